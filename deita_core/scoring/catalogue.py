"""Scorers by name: what a job, a command or a manifest asks for.

A name is one of `NAMES`, or "deita" (the released scorers of the paper), or one with a prefix
of `PREFIXES` (`light:FOLDER` and `reward:FOLDER` for scorers of one's own; `llm:FOLDER`,
`llm:HUB/NAME`, `endpoint:MODEL@URL`, `random:SEED`), or
"package.module:callable" for a scorer of one's own; the callable takes the dimension and returns
a `Scorer`. `check_scorer` tells before a job, and without weights, whether a name can give scores.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

from deita_core.errors import ModelError
from deita_core.models.language_model import (
    ModelFacts,
    check_max_tokens,
    check_precision,
    imported,
    load_tokenizer,
    model_facts,
)
from deita_core.models.options import ModelOptions
from deita_core.scoring.baselines import LengthScorer, LossScorer, RandomScorer
from deita_core.scoring.light.own import check_own_light, own_light_scorer
from deita_core.scoring.light.relevance import ID as RELEVANCE
from deita_core.scoring.light.relevance import RelevanceScorer
from deita_core.scoring.light.scorer import LightScorer
from deita_core.scoring.llm.endpoint import EndpointScorer
from deita_core.scoring.llm.prompts import DEITA, PromptTokenizer
from deita_core.scoring.llm.reward import RewardScorer, read_line
from deita_core.scoring.llm.scorer import LLMScorer
from deita_core.scoring.llm.vllm import VLLMScorer
from deita_core.scoring.protocol import Dimension, Scorer

NAMES = ("light", "light-relevance", "instruction-length", "response-length", "random")
# Behind the colon stands a model, an endpoint or a seed. The id of such a scorer is its name.
PREFIXES = ("endpoint", "ifd", "light", "llm", "perplexity", "random", "reward", "vllm")
_OF_MODELS = ("llm", "vllm", "reward", "perplexity", "ifd")
# Ids of models, as recorded beside scores, and the names that load them.
_IDS = {
    "deita-studio/light-complexity": "light",
    "deita-studio/light-quality": "light",
    RELEVANCE: "light-relevance",
    **dict.fromkeys(DEITA.values(), "deita"),
}
_WHAT = f"scorer (known: {', '.join([*NAMES, 'deita'])})"


def name_of_scorer(model: str) -> str:
    """The name that loads a model id again; ModelError when the catalogue does not know it."""
    if _is_known(model):
        return model
    if model not in _IDS:
        raise ModelError(f"no scorer of the catalogue is {model!r} (known: {', '.join(_IDS)})")
    return _IDS[model]


def load_scorer(name: str, dimension: Dimension, options: ModelOptions | None = None) -> Scorer:
    """The scorer of that name; ModelError when there is none or it cannot be imported.

    The options reach "deita" and the scorers of models; the others choose for themselves.
    """
    name = f"llm:{DEITA[dimension]}" if name == "deita" else name
    if not _is_known(name):
        own: Scorer = imported(name, _WHAT)(dimension)
        return own
    kind, _, rest = name.partition(":")
    match kind:
        case "light":
            return own_light_scorer(rest, dimension) if rest else LightScorer(dimension)
        case "light-relevance":
            return RelevanceScorer(dimension)
        case "endpoint":
            return EndpointScorer.of_name(rest, dimension, options)
        case "llm":
            return LLMScorer(rest, dimension, options=options)
        case "reward":
            return RewardScorer(rest, dimension, options)
        case "vllm":
            return VLLMScorer(rest, dimension, options)
        case "instruction-length" | "response-length":
            return LengthScorer(kind, dimension)
        case "random":
            return RandomScorer("0" if name == "random" else rest, dimension)
        case _:
            return LossScorer(rest, "ifd" if kind == "ifd" else "perplexity", dimension, options)


def _is_known(name: str) -> bool:
    prefix, colon, _ = name.partition(":")
    return name in NAMES or (bool(colon) and prefix in PREFIXES)


def check_scorer(
    name: str, dimension: Dimension, options: ModelOptions | None = None, *, thorough: bool = False
) -> ModelFacts | None:
    """What is known of the model behind a name of the catalogue; None for one without weights.

    thorough: also ask the hub for models that are not here, and look whether the tokenizer has
    the digits; takes seconds. Raises ModelError as loading it would.
    """
    options = options or ModelOptions()
    name = f"llm:{DEITA[dimension]}" if name == "deita" else name
    if name == "light-relevance":
        load_scorer(name, dimension)
    if name in NAMES:
        return None
    if not _is_known(name):
        imported(name, _WHAT)
        return None
    kind, _, model = name.partition(":")
    if kind == "light":
        check_own_light(model, dimension)
        return None
    if kind not in _OF_MODELS:  # made in an instant, and it looks at its name
        load_scorer(name, dimension, options)
        return None
    check_precision(options.precision)
    if kind == "vllm" and importlib.util.find_spec("vllm") is None:
        raise ModelError(
            "vLLM is not installed: install it (it needs a GPU), or use the model without it"
        )
    facts = model_facts(model, ask_hub=thorough)
    check_max_tokens(model, options.max_tokens, facts.context)
    if kind == "reward":
        learnt = read_line(facts.folder or Path(model)).dimension
        if learnt != dimension:
            raise ModelError(f"{model} was trained for {learnt} and cannot score {dimension}")
    if thorough and kind in ("llm", "vllm") and facts.folder is not None:
        _check_digits(str(facts.folder), dimension, options.max_tokens or facts.context)
    return facts


@lru_cache(maxsize=8)
def _check_digits(folder: str, dimension: Dimension, limit: int | None) -> None:
    try:
        tokenizer = load_tokenizer(folder)
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        raise ModelError(f"the tokenizer in {folder} cannot be loaded: {error}") from error
    PromptTokenizer(tokenizer, limit or 1_000_000).score_tokens(dimension)
