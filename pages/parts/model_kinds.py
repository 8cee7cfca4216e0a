"""The models an annotator can choose from, each with what it needs and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# What has to be typed or chosen to name a model of a kind.
Field = Literal["", "model", "endpoint", "seed", "column", "file"]
SAME = "same"


@dataclass(frozen=True, slots=True)
class ModelKind:
    """key: its name of the catalogue, or the prefix before the model. cost: needs and costs.

    slow: worth a pilot. baseline: for comparison, rarely for a selection.
    """

    key: str
    label: str
    cost: str
    field: Field = ""
    example: str = ""
    slow: bool = False
    baseline: bool = False


_LLM_COST = "One pass of the model over each turn: a GPU for billions of parameters."
SCORERS = (
    ModelKind("", "Leave as it is", "No scores are made or changed."),
    ModelKind(
        "light",
        "Light",
        "Built in, no download: seconds per 10,000 rows on a CPU. A first look.",
    ),
    ModelKind(
        "deita",
        "Deita (released)",
        "The paper's LLaMA-13B scorers from the hub: 26 GB of download each, a GPU with 32 GB "
        "(8 GB in int4).",
        slow=True,
    ),
    ModelKind(
        "llm",
        "Language model: folder or hub name",
        f"A model trained with the paper's scoring prompt. {_LLM_COST}",
        "model",
        "a folder on this machine, or owner/name",
        slow=True,
    ),
    ModelKind(
        "endpoint",
        "Endpoint (OpenAI-compatible)",
        "A server that returns log probabilities. Your texts are sent to it; it may bill tokens.",
        "endpoint",
        slow=True,
    ),
    ModelKind(
        "vllm",
        "vLLM: folder or hub name",
        "The quickest way on a GPU; needs the package vLLM and nearly all of the GPU's memory.",
        "model",
        "a folder on this machine, or owner/name",
        slow=True,
    ),
    ModelKind(
        "column", "Column of the pool", "Numbers that the pool already has; seconds.", "column"
    ),
    ModelKind("file", "Scores from a file", "Made elsewhere, matched by id or text.", "file"),
    ModelKind(
        "instruction-length",
        "Baseline: instruction length",
        "Characters of the instruction; seconds.",
        baseline=True,
    ),
    ModelKind(
        "response-length",
        "Baseline: response length",
        "Characters of the response; seconds.",
        baseline=True,
    ),
    ModelKind(
        "random", "Baseline: random", "Chance, the same for the same seed; seconds.", "seed",
        baseline=True,
    ),
    ModelKind(
        "perplexity",
        "Baseline: perplexity",
        f"How unexpected the response is to any language model. {_LLM_COST}",
        "model",
        "a folder on this machine, or owner/name",
        slow=True,
        baseline=True,
    ),
    ModelKind(
        "ifd",
        "Baseline: IFD",
        "How little the instruction helps to foresee the response; two passes a turn.",
        "model",
        "a folder on this machine, or owner/name",
        slow=True,
        baseline=True,
    ),
)  # fmt: skip

EMBEDDERS = (
    ModelKind("", "Leave as it is", "No embeddings are made or changed."),
    ModelKind("minilm", "MiniLM", "Built in, no download: about 400 rows a second on a CPU."),
    ModelKind(
        "deita-embedder",
        "Deita's (Mistral-7B)",
        "The paper's choice, from the hub: 14 GB of download, a GPU with 20 GB (8 GB in int4).",
        slow=True,
    ),
    ModelKind(
        "llm",
        "Language model, last token",
        f"The paper's way with any model. {_LLM_COST}",
        "model",
        "a folder on this machine, or owner/name",
        slow=True,
    ),
    ModelKind(
        "llm-mean",
        "Language model, mean of all tokens",
        f"Steadier with models that were not trained for it. {_LLM_COST}",
        "model",
        "a folder on this machine, or owner/name",
        slow=True,
    ),
    ModelKind(
        "st",
        "Sentence-transformers",
        "Any model of that library; small ones run on a CPU.",
        "model",
        "a folder on this machine, or owner/name",
        slow=True,
    ),
)


_SAME = ModelKind(
    SAME, "The same as complexity", "Most models give both; a language model is loaded once."
)


def kinds_for(dimension: str) -> tuple[ModelKind, ...]:
    """The kinds of models for complexity, quality or embedding."""
    if dimension == "embedding":
        return EMBEDDERS
    return (_SAME, *SCORERS) if dimension == "quality" else SCORERS
