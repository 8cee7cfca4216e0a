"""What the Score page says first: how far the models in use have come, and what is left."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from deita_core.embedding.catalogue import name_of_embedder
from deita_core.errors import ModelError
from deita_core.project.graphs import has_graph
from deita_core.project.job_log import RESUMABLE, jobs
from deita_core.project.scores import ScorerRecord
from deita_core.project.summary import ProjectInfo
from deita_core.project.vectors import EmbedderRecord
from deita_core.scoring.catalogue import name_of_scorer
from deita_core.scoring.options import PRECISIONS, ModelOptions
from deita_core.scoring.protocol import DIMENSIONS
from deita_core.steps import Step, embed_step, graph_step, map_step, score_steps
from pages.parts import words
from pages.parts.resources import Opened
from pages.parts.safe_text import escape
from pages.parts.scorer_table import known_embedders, known_scorers

_CARD = Path(__file__).parents[2] / "deita_core/scoring/weights/MODEL_CARD.md"


def sentence(opened: Opened, found: ProjectInfo) -> str:
    """ "52,002 of 52,002 conversations are scored with ...; 51,974 are embedded with ..."."""
    active = {r.dimension: r for r in known_scorers(opened) if r.active}
    names = [words.model(active[d].model) for d in DIMENSIONS if d in active]
    by = " and ".join(f"`{name}`" for name in dict.fromkeys(names))
    failed = f" ({words.rows(found.failed)} with no complete turn)" if found.failed else ""
    said = (
        f"**{found.scored:,}** of {found.imported:,} conversations have an evol score"
        f"{f' by {by}' if by else ''}{failed}"
    )
    embedder = next((e for e in known_embedders(opened) if e.active), None)
    if embedder is None:
        return f"{said}, and none has an embedding."
    return (
        f"{said}, and **{found.embedded:,}** have an embedding by `{words.model(embedder.model)}`."
    )


def run_buttons(opened: Opened, found: ProjectInfo) -> None:
    """Offer what the models in use have not done; nothing when all is done."""
    if opened.runner.busy or _stopped(opened):
        return
    missing = found.imported - found.embedded - found.embedding_failed
    graph_is_missing = bool(found.embedded) and not has_graph(opened.project)
    map_is_missing = found.mapped < found.embedded
    parts = [
        f"{found.unscored:,} to score" if found.unscored else "",
        f"{missing:,} to embed" if missing else "",
        "the similarity graph to build" if graph_is_missing or missing else "",
        "the map to draw" if map_is_missing or missing else "",
    ]
    if not any(parts):
        return
    st.warning(f"Still to do: {', '.join(p for p in parts if p)}.", icon=":material/pending:")
    steps: list[Step] = []
    try:
        steps += _scoring(opened) if found.unscored else []
        steps += [_embedding(opened)] if missing else []
    except ModelError as error:
        st.caption(f"{escape(str(error))}. Go on with it under **Run a model**.")
        return
    steps += [graph_step()] if missing or graph_is_missing else []
    steps += [map_step()] if missing or map_is_missing else []
    by = _by(opened, scoring=bool(found.unscored), embedding=bool(missing))
    if st.button("Do it now", type="primary", icon=":material/play_arrow:", help=by or None):
        opened.runner.submit(steps)
        st.rerun()


def model_card() -> None:
    """What the light scorers are, and how good."""
    st.caption(
        "Light scorers are small CPU models that Deita Studio trained itself. They are a first "
        "look, not the paper's LLM scorers: see how well they agree with ratings."
    )
    if _CARD.exists():
        with st.popover("Model card", icon=":material/description:", width="content"):
            st.markdown(_CARD.read_text(encoding="utf-8"))


def _stopped(opened: Opened) -> bool:
    """Is the way on offered by what stopped last?"""
    last = [j for j in jobs(opened.project, 20) if j.kind in ("score", "embed")]
    return bool(last) and last[0].state in RESUMABLE


def _by(opened: Opened, *, scoring: bool, embedding: bool) -> str:
    active = [r.model for r in known_scorers(opened) if r.active and scoring]
    active += [e.model for e in known_embedders(opened) if e.active and embedding]
    names = dict.fromkeys(words.model(model) for model in active)
    return f"With the models in use: {', '.join(names)}." if names else ""


def _scoring(opened: Opened) -> list[Step]:
    """The scorers in use go on; where there is none, the light one begins."""
    active = {r.dimension: r for r in known_scorers(opened) if r.active}
    names = {d: name_of_scorer(active[d].model) if d in active else "light" for d in DIMENSIONS}
    options = {d: chosen for d, r in active.items() if (chosen := _options(r)) != ModelOptions()}
    return score_steps(names["complexity"], names["quality"], options=options)


def _embedding(opened: Opened) -> Step:
    active = next((e for e in known_embedders(opened) if e.active), None)
    if active is None:
        return embed_step()
    chosen = _options(active)
    name = name_of_embedder(active.model)
    plain = name == "minilm" or chosen == ModelOptions()
    return embed_step(name) if plain else embed_step(name, chosen)


def _options(record: ScorerRecord | EmbedderRecord) -> ModelOptions:
    """The settings that its numbers depend on, as they were."""
    known = dict(record.parameters)
    chosen = {k: known[k] for k in ("max_tokens", "api") if k in known}
    if known.get("precision") in PRECISIONS:
        chosen["precision"] = known["precision"]
    return ModelOptions.from_json(chosen)
