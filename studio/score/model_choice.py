"""Choosing a model for a dimension: its kind and name, its settings, and whether it fits here.

A dimension is complexity, quality or embedding. `SCORERS` and `EMBEDDERS` say what can be chosen,
each with what it needs and costs; the settings have good defaults in a closed expander.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import streamlit as st

from deita_core.embedding.catalogue import check_embedder
from deita_core.errors import DeitaError, ModelError
from deita_core.models.device import Fit, devices, what_fits
from deita_core.models.language_model import ModelFacts
from deita_core.models.options import APIS, PRECISIONS, ModelOptions
from deita_core.project.columns import NumericColumn, numeric_columns
from deita_core.scoring.catalogue import check_scorer
from deita_core.scoring.protocol import Dimension
from studio.score.allowed import endpoint_named, key_variable_named, model_named
from studio.shell import state
from studio.shell.resources import Opened, info, open_at
from studio.shell.text import escape, file_size

# What has to be typed or chosen to name a model of a kind.
Field = Literal["", "model", "endpoint", "seed", "column", "file"]


@dataclass(frozen=True, slots=True)
class ModelKind:
    """One entry of the list of models.

    key: its name in the catalogue, or the prefix before the model's own. cost: what it needs and
    costs. slow: worth a pilot. baseline: for comparison, rarely for a selection.
    """

    key: str
    label: str
    cost: str
    field: Field = ""
    slow: bool = False
    baseline: bool = False


EMBEDDING = "embedding"
_LLM_COST = "One pass of the model over each turn: a GPU for billions of parameters."
_SAME = ModelKind(
    "same", "The same as complexity", "Most models give both; a language model is loaded once."
)
SCORERS = (
    ModelKind("", "Leave as it is", "No scores are made or changed."),
    ModelKind(
        "light", "Light",
        "Built in, no download: seconds per 10,000 rows on a CPU. A first look: outside of pools "
        "like Alpaca its quality is close to a length meter, and it favours the longer answer.",
    ),
    ModelKind(
        "deita", "Deita (released)",
        "The paper's LLaMA-13B scorers from the hub: 26 GB of download each, a GPU with 32 GB "
        "(8 GB in int4).", slow=True,
    ),
    ModelKind(
        "llm", "Language model: folder or hub name",
        f"A model trained with the paper's scoring prompt. {_LLM_COST}", "model", slow=True,
    ),
    ModelKind(
        "endpoint", "Endpoint (OpenAI-compatible)",
        "A server that returns log probabilities. Your texts are sent to it; it may bill tokens.",
        "endpoint", slow=True,
    ),
    ModelKind(
        "vllm", "vLLM: folder or hub name",
        "The quickest way on a GPU; needs the package vLLM and nearly all of the GPU's memory.",
        "model", slow=True,
    ),
    ModelKind(
        "column", "Column of the pool", "Numbers that the pool already has; seconds.", "column"
    ),
    ModelKind("file", "Scores from a file", "Made elsewhere, matched by id or text.", "file"),
    ModelKind(
        "instruction-length", "Baseline: instruction length",
        "Characters of the instruction; seconds.", baseline=True,
    ),
    ModelKind(
        "response-length", "Baseline: response length",
        "Characters of the response; seconds.", baseline=True,
    ),
    ModelKind(
        "random", "Baseline: random",
        "Chance, the same for the same seed; seconds.", "seed", baseline=True,
    ),
    ModelKind(
        "perplexity", "Baseline: perplexity",
        f"How unexpected the response is to any language model. {_LLM_COST}",
        "model", slow=True, baseline=True,
    ),
    ModelKind(
        "ifd", "Baseline: IFD",
        "How little the instruction helps to foresee the response; two passes a turn.",
        "model", slow=True, baseline=True,
    ),
)  # fmt: skip
EMBEDDERS = (
    ModelKind("", "Leave as it is", "No embeddings are made or changed."),
    ModelKind("minilm", "MiniLM", "Built in, no download: about 400 rows a second on a CPU."),
    ModelKind(
        "deita-embedder", "Deita's (Mistral-7B)",
        "The paper's choice, from the hub: 14 GB of download, a GPU with 20 GB (8 GB in int4).",
        slow=True,
    ),
    ModelKind(
        "llm", "Language model, last token",
        f"The paper's way with any model. {_LLM_COST}", "model", slow=True,
    ),
    ModelKind(
        "llm-mean", "Language model, mean of all tokens",
        f"Steadier with models that were not trained for it. {_LLM_COST}", "model", slow=True,
    ),
    ModelKind(
        "st", "Sentence-transformers",
        "Any model of that library; small ones run on a CPU.", "model", slow=True,
    ),
)  # fmt: skip
_RELEVANCE = ModelKind(
    "light-relevance", "Relevance check",
    "Whether an answer belongs to its question, not how good it is: finds answers that belong "
    "elsewhere. Built in; seconds per 10,000 rows.", baseline=True,
)  # fmt: skip
_KINDS = {
    "complexity": SCORERS, "quality": (_SAME, *SCORERS, _RELEVANCE), EMBEDDING: EMBEDDERS,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What is chosen for a dimension.

    name: of the catalogue; empty when nothing is to run, or when a `column` of the pool gives the
    scores. error: why it cannot run.
    """

    dimension: str
    kind: ModelKind
    name: str = ""
    options: ModelOptions = field(default_factory=ModelOptions)
    column: str = ""
    error: str = ""

    @property
    def runs(self) -> bool:
        """True when there is something to run and no error."""
        return bool(self.name or self.column) and not self.error

    def check(self) -> str:
        """The error that a thorough check finds (tokenizer, hub; takes seconds), or ""."""
        return _inspect(self.dimension, self.name, self.options, thorough=True)[1]


def model_choice(opened: Opened, dimension: str, first: ModelChoice | None = None) -> ModelChoice:
    """Draw the choice of a model for complexity, quality or embedding.

    first: what was chosen for complexity, for quality to follow.
    """
    kinds = {kind.key: kind for kind in _KINDS[dimension]}
    with st.container(border=True):
        st.markdown(f"**{dimension.capitalize()}**")
        key = st.selectbox(
            "Model",
            list(kinds),
            format_func=lambda key: kinds[key].label,
            key=f"model_{dimension}",
            persist_state="session",
            label_visibility="collapsed",
        )
        kind = kinds[key or ""]
        st.caption(kind.cost)
        if kind is _SAME and first is not None:
            return _same(dimension, first)
        if kind.field == "column":
            return _column(opened, dimension, kind)
        if kind.field == "file":
            st.button(
                "Choose the file",
                key=f"to_files_{dimension}",
                icon=":material/upload:",
                on_click=st.session_state.update,
                args=({state.SCORE_VIEW: "files"},),
            )
            return ModelChoice(dimension, kind)
        try:
            name = _name(dimension, kind)
        except DeitaError as error:
            st.error(escape(str(error)))
            return ModelChoice(dimension, kind, error=str(error))
        return _checked(dimension, kind, name) if name else ModelChoice(dimension, kind)


def _same(dimension: str, first: ModelChoice) -> ModelChoice:
    """The choice for complexity once more; what its name means here may have another error."""
    if first.kind.field in ("column", "file"):
        st.caption("Choose here too: another column has the quality.")
        return ModelChoice(dimension, first.kind)
    error = first.error
    if first.name and not error:
        error = _inspect(dimension, first.name, first.options)[1]
    return replace(first, dimension=dimension, error=error)


def _checked(dimension: str, kind: ModelKind, name: str) -> ModelChoice:
    """The choice with its settings, below what is known of the model."""
    notes, facts = st.container(), None
    options, error = _settings(dimension, kind) if kind.slow else (ModelOptions(), "")
    if not error:
        facts, error = _inspect(dimension, name, options)
    with notes:
        if error:
            st.error(escape(error))
        elif facts is not None:
            _fit(facts, options)
    return ModelChoice(dimension, kind, name, options, error=error)


def _name(dimension: str, kind: ModelKind) -> str:
    """The name in the catalogue, or "" while something is still missing.

    Raises ModelError for a folder or URL that cannot be used.
    """
    if kind.field == "model":
        text = _text(dimension, "Model", "name", "owner/name, or a folder below data/models")
        return f"{kind.key}:{model_named(text)}" if text else ""
    if kind.field == "endpoint":
        url = _text(dimension, "Address", "url", "http://localhost:8000/v1")
        model = _text(dimension, "Model there", "served", "its name on that server")
        address = endpoint_named(url) if url else ""
        return f"endpoint:{model}@{address}" if address and model else ""
    if kind.field == "seed":
        seed = st.number_input("Seed", min_value=0, value=0, step=1, key=f"seed_{dimension}")
        return f"random:{seed}"
    return kind.key


def _text(dimension: str, label: str, what: str, example: str) -> str:
    value = st.text_input(
        label, placeholder=example, key=f"{what}_{dimension}", persist_state="session"
    )
    return (value or "").strip()


@st.cache_data(show_spinner=False, max_entries=4)
def _columns(path: str, rows: int) -> list[NumericColumn]:
    return numeric_columns(open_at(path).project)


def _column(opened: Opened, dimension: str, kind: ModelKind) -> ModelChoice:
    # Imported rows never change, so their number says whether it is the same pool.
    whole = info(opened).imported
    found = {c.name: c for c in _columns(opened.key, whole)}
    if dimension == EMBEDDING or not found:
        st.caption("No record of this pool holds a number.")
        return ModelChoice(dimension, kind)
    name = st.selectbox("Column", list(found), key=f"column_{dimension}")
    column = found[name or next(iter(found))]
    span = "" if column.lowest is None else f", {column.lowest:g} to {column.highest:g}"
    lists = f", {column.lists:,} with a list" if column.lists else ""
    st.caption(f"{column.usable:,} of {whole:,} rows have a number{span}{lists}.")
    return ModelChoice(dimension, kind, column=column.name)


@st.cache_data(show_spinner=False, ttl=20, max_entries=64)
def _inspect(
    dimension: str, name: str, options: ModelOptions, *, thorough: bool = False
) -> tuple[ModelFacts | None, str]:
    """What is known of a model, and why it cannot run here ("" when it can)."""
    try:
        if dimension == EMBEDDING:
            return check_embedder(name, options, thorough=thorough), ""
        known: Dimension = "complexity" if dimension == "complexity" else "quality"
        return check_scorer(name, known, options, thorough=thorough), ""
    except DeitaError as error:
        return None, str(error)


def _fit(facts: ModelFacts, options: ModelOptions) -> None:
    """How large it is, and in which precisions it fits."""
    if facts.folder is None:
        st.caption(":material/cloud_download: Not on this machine: it is downloaded first.")
    if facts.parameters is None:
        st.caption("Its size is not known before it is loaded.")
        return
    device = next((d for d in devices() if d.name == options.device), devices()[0])
    fits = {one.precision: one for one in what_fits(facts.parameters, device)}
    chosen = options.precision or next(iter(fits))
    reads = f", reads {facts.context:,} tokens" if facts.context else ""
    scale, unit = (1e9, "billion") if facts.parameters >= 1_000_000_000 else (1e6, "million")
    size = f"{facts.parameters / scale:.1f} {unit} parameters{reads}."
    if chosen not in fits:
        st.warning(f"{size} {device.label} does not run {chosen}: {_others(fits)}.")
        return
    needs = (
        f"Needs about {file_size(fits[chosen].needed)} in {chosen}; {device.label} has "
        f"{file_size(device.free)} free"
    )
    if fits[chosen].fits:
        st.caption(f":material/check: {size} {needs}.")
    else:
        st.warning(f"{size} {needs}: it does not fit. {_others(fits)}.")


def _others(fits: dict[str, Fit]) -> str:
    good = [name for name, one in fits.items() if one.fits]
    return f"It fits in {', '.join(good)}" if good else "Choose a smaller model or another machine"


_AUTOMATIC = "automatic"


def _settings(dimension: str, kind: ModelKind) -> tuple[ModelOptions, str]:
    """The settings chosen, and the error in them ("" when there is none)."""
    with st.expander("Settings", icon=":material/tune:"):
        given = _endpoint(dimension) if kind.field == "endpoint" else _local(dimension)
        longest = "What is longer is cut and flagged. Empty: what the model reads."
        given["max_tokens"] = _number(dimension, "Longest prompt in tokens", "max_tokens", longest)
    try:
        given["key_variable"] = key_variable_named(given.get("key_variable", ""))
        return ModelOptions.model_validate({k: v for k, v in given.items() if v is not None}), ""
    except ModelError as error:
        return ModelOptions(), str(error)


def _local(dimension: str) -> dict[str, Any]:
    found = {one.name: one for one in devices()}
    labels = {n: f"{d.label}, {file_size(d.free)} of {file_size(d.total)} free"
              for n, d in found.items()}  # fmt: skip
    device = None
    if len(found) > 1:
        device = _select(dimension, "Device", "device", list(found), labels)
    else:
        st.caption(f"Device: {next(iter(labels.values()))}.")
    fast = next(iter(found.values())).precisions[0]
    precisions = {_AUTOMATIC: f"automatic: {fast}", "int8": "int8 (8 bit)", "int4": "int4 (4 bit)"}
    batches = "On a GPU, padding included. Empty: found out; memory that runs out halves it."
    return {
        "device": device,
        "precision": _select(dimension, "Precision", "precision", list(PRECISIONS), precisions),
        "batch_tokens": _number(dimension, "Tokens at once", "batch_tokens", batches),
    }


def _endpoint(dimension: str) -> dict[str, Any]:
    variable = st.text_input(
        "Variable with the API key",
        placeholder="DEITA_ENDPOINT_KEY",
        key=f"key_variable_{dimension}",
        persist_state="session",
        help="The name of an environment variable of this server, never the key itself. "
        "Empty: DEITA_ENDPOINT_KEY, where it is set.",
    )
    digits = "The six digits must be among them. Empty: 20."
    return {
        "key_variable": (variable or "").strip(),
        "api": _select(dimension, "Interface", "api", list(APIS), {}),
        "requests": _number(dimension, "Requests at once", "requests", "Empty: 16."),
        "logprobs": _number(dimension, "Most probable tokens asked for", "logprobs", digits),
        "timeout": _number(dimension, "Seconds to wait for an answer", "timeout", "Empty: 120."),
    }


def _select(
    dimension: str, label: str, what: str, options: list[str], labels: dict[str, str]
) -> str | None:
    chosen = st.selectbox(
        label,
        [_AUTOMATIC, *options],
        format_func=lambda one: labels.get(one, one),
        key=f"{what}_{dimension}",
        persist_state="session",
    )
    return None if chosen in (None, _AUTOMATIC) else chosen


def _number(dimension: str, label: str, what: str, help: str) -> int | None:
    value = st.number_input(
        label,
        min_value=1,
        value=None,
        step=1,
        placeholder=_AUTOMATIC,
        key=f"{what}_{dimension}",
        persist_state="session",
        help=help,
    )
    return None if value is None else int(value)
