"""Choosing a model for one dimension: its name, its settings, and whether it fits this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import streamlit as st

from deita_core.device_memory import devices, what_fits
from deita_core.embedding.check import check_embedder
from deita_core.errors import DeitaError
from deita_core.language_models.model_facts import ModelFacts
from deita_core.project.columns import NumericColumn, numeric_columns
from deita_core.scoring.check import check_scorer
from deita_core.scoring.endpoint import checked_url
from deita_core.scoring.options import ModelOptions
from deita_core.scoring.protocol import Dimension
from pages.parts import score_files, state, words
from pages.parts.model_kinds import SAME, ModelKind, kinds_for
from pages.parts.model_settings import model_settings
from pages.parts.resources import Opened, info, open_at
from pages.parts.safe_text import escape

EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen for a dimension. name: of the catalogue; "" when nothing is to run, or
    (with `column`) when a column of the pool gives the scores. error: why it cannot run."""

    dimension: str
    kind: ModelKind
    name: str = ""
    options: ModelOptions = field(default_factory=ModelOptions)
    column: str = ""
    error: str = ""

    @property
    def runs(self) -> bool:
        """Is there something to run, and nothing against it?"""
        return bool(self.name or self.column) and not self.error

    def check(self) -> str:
        """What a thorough look finds against it (seconds); "" when nothing does."""
        return looked_at(self.dimension, self.name, self.options, thorough=True)[1]


def model_choice(opened: Opened, dimension: str, first: Choice | None = None) -> Choice:
    """Draw the choice of a model for complexity, quality or embedding.

    first: what was chosen for complexity, for quality to follow.
    """
    kinds = {kind.key: kind for kind in kinds_for(dimension)}
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
        if key == SAME and first is not None:
            return _same(dimension, first)
        if kind.field == "column":
            return _column(opened, dimension, kind)
        if kind.field == "file":
            st.button(
                "Choose the file",
                key=f"to_files_{dimension}",
                icon=":material/upload:",
                on_click=_show_files,
            )
            return Choice(dimension, kind)
        try:
            name = _name(dimension, kind)
        except DeitaError as error:
            st.error(escape(str(error)))
            return Choice(dimension, kind, error=str(error))
        if not name:
            return Choice(dimension, kind)
        return _checked(dimension, kind, name)


def _same(dimension: str, first: Choice) -> Choice:
    """The choice for complexity once more; what its name means here may have another error."""
    if first.kind.field in ("column", "file"):
        st.caption("Choose here too: another column has the quality.")
        return Choice(dimension, first.kind)
    error = first.error
    if first.name and not error:
        error = looked_at(dimension, first.name, first.options)[1]
    return replace(first, dimension=dimension, error=error)


def _show_files() -> None:
    st.session_state[state.SCORE_VIEW] = score_files.NAME


def _checked(dimension: str, kind: ModelKind, name: str) -> Choice:
    options, error = ModelOptions(), ""
    notes = st.container()
    if kind.slow:
        options, error = model_settings(dimension, kind)
    facts: ModelFacts | None = None
    if not error:
        facts, error = looked_at(dimension, name, options)
    with notes:
        if error:
            st.error(escape(error))
        elif facts is not None:
            _fit(facts, options)
    return Choice(dimension, kind, name, options, error=error)


def _name(dimension: str, kind: ModelKind) -> str:
    """The name in the catalogue, or "" while something is still missing.

    Raises ModelError for a URL that cannot be used.
    """
    if kind.field == "model":
        text = _text(dimension, "Model", "name", kind.example)
        return f"{kind.key}:{text}" if text else ""
    if kind.field == "endpoint":
        url = _text(dimension, "Address", "url", "http://localhost:8000/v1")
        model = _text(dimension, "Model there", "served", "its name on that server")
        if url:
            checked_url(url)
        return f"endpoint:{model}@{url}" if url and model else ""
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
def _columns(path: str, version: int) -> list[NumericColumn]:
    return numeric_columns(open_at(path).project)


def _column(opened: Opened, dimension: str, kind: ModelKind) -> Choice:
    # Imported rows never change, so their number says whether it is the same pool.
    found = {c.name: c for c in _columns(opened.key, info(opened).imported)}
    if dimension == EMBEDDING or not found:
        st.caption("No record of this pool holds a number.")
        return Choice(dimension, kind)
    name = st.selectbox("Column", list(found), key=f"column_{dimension}")
    column = found[name or next(iter(found))]
    span = "" if column.lowest is None else f", {column.lowest:g} to {column.highest:g}"
    lists = f", {column.lists:,} with a list" if column.lists else ""
    whole = info(opened).imported
    st.caption(f"{column.usable:,} of {whole:,} rows have a number{span}{lists}.")
    return Choice(dimension, kind, column=column.name)


@st.cache_data(show_spinner=False, ttl=20, max_entries=64)
def _looked_at(
    dimension: str, name: str, options: str, thorough: bool
) -> tuple[ModelFacts | None, str]:
    chosen = ModelOptions.from_json(json.loads(options))
    try:
        if dimension == EMBEDDING:
            return check_embedder(name, chosen, thorough=thorough), ""
        known: Dimension = "complexity" if dimension == "complexity" else "quality"
        return check_scorer(name, known, chosen, thorough=thorough), ""
    except DeitaError as error:
        return None, str(error)


def looked_at(
    dimension: str, name: str, options: ModelOptions, *, thorough: bool = False
) -> tuple[ModelFacts | None, str]:
    """What is known of a model, and what speaks against running it ("" when nothing does)."""
    return _looked_at(dimension, name, json.dumps(options.to_json()), thorough)


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
    size = f"{_count(facts.parameters)} parameters{reads}."
    if chosen not in fits:
        st.warning(f"{size} {device.label} does not run {chosen}: {_others(fits)}.")
        return
    needs = (
        f"Needs about {words.size(fits[chosen].needed)} in {chosen}; {device.label} has "
        f"{words.size(device.free)} free"
    )
    if fits[chosen].fits:
        st.caption(f":material/check: {size} {needs}.")
    else:
        st.warning(f"{size} {needs}: it does not fit. {_others(fits)}.")


def _others(fits: dict[str, object]) -> str:
    good = [name for name, one in fits.items() if getattr(one, "fits", False)]
    return f"It fits in {', '.join(good)}" if good else "Choose a smaller model or another machine"


def _count(parameters: int) -> str:
    if parameters >= 1_000_000_000:
        return f"{parameters / 1e9:.1f} billion"
    return f"{parameters / 1e6:.1f} million"
