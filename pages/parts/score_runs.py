"""What the Score page knows of models: which ran, what failed and why, and how to run them."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from deita_core.device import pick_device
from deita_core.project.scores import failure_reasons, rows_with_failure, scorers
from deita_core.project.summary import ProjectInfo
from deita_core.project.vectors import embedders, truncated_rows
from deita_core.steps import embed_step, map_step, score_step
from pages.parts import words
from pages.parts.resources import Opened
from pages.parts.row_table import row_table

_CARD = Path(__file__).parents[2] / "deita_core/scoring/weights/MODEL_CARD.md"


def run_buttons(opened: Opened, found: ProjectInfo) -> None:
    """Offer what is still to be done; nothing when all is done."""
    if opened.runner.busy:
        return
    missing_vectors = found.imported - found.embedded - found.embedding_failed
    todo = []
    if found.unscored:
        todo.append(score_step())
    if missing_vectors:
        todo.append(embed_step())
    if missing_vectors or found.mapped < found.embedded:
        todo.append(map_step())
    if not todo:
        return
    parts = [
        f"{found.unscored:,} to score" if found.unscored else "",
        f"{missing_vectors:,} to embed" if missing_vectors else "",
        "the map to draw" if found.mapped < found.embedded or missing_vectors else "",
    ]
    st.warning(f"Still to do: {', '.join(p for p in parts if p)}.", icon=":material/pending:")
    if st.button("Do it now", type="primary", icon=":material/play_arrow:"):
        opened.runner.submit(todo)
        st.rerun()


def scorers_view(opened: Opened) -> None:
    """Which scorers gave the scores, called what they are."""
    st.subheader("Scorers")
    for scorer in scorers(opened.project):
        if not scorer.active:
            continue
        st.markdown(f"**{scorer.dimension}**: `{scorer.model}`, revision `{scorer.revision[:12]}`")
        st.caption(f"{scorer.scored:,} turns scored, {scorer.failed:,} without a score")
    st.caption(
        "Light scorers are small CPU models that Deita Studio trained itself. They are a first "
        "look, not the paper's LLM scorers: see how well they agree with ratings."
    )
    if _CARD.exists():
        with st.popover("Model card", icon=":material/description:", width="content"):
            st.markdown(_CARD.read_text(encoding="utf-8"))


def embeddings_view(opened: Opened, found: ProjectInfo) -> None:
    """Which embedder, how many conversations were longer than it reads."""
    st.subheader("Embeddings")
    for embedder in embedders(opened.project):
        if not embedder.active:
            continue
        longest = embedder.parameters.get("max_tokens", "its limit of")
        st.markdown(f"`{embedder.model}`, {embedder.dimension} dimensions")
        st.caption(
            f"{words.rows(embedder.truncated)} "
            f"({words.share(embedder.truncated, found.imported)}) longer than {longest} tokens: "
            f"only their beginning is embedded. Runs on: {pick_device().label}."
        )
        if embedder.truncated and st.toggle("Show them", key="show_truncated"):
            rows = truncated_rows(opened.project, embedder.embedder)
            row_table(opened, rows, key="truncated_rows")


def failures_view(opened: Opened) -> None:
    """Turns without a score, by reason, down to the rows."""
    table = failure_reasons(opened.project)
    st.subheader("Turns without a score")
    if table.empty:
        st.caption("Every turn has both scores.")
        return
    st.caption("A score that cannot be given is left empty with the reason, never guessed.")
    event = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key="failures",
        alt="Reasons why turns have no score",
    )
    chosen = event.selection.rows
    if chosen:
        reason = table.iloc[chosen[0]]
        rows = rows_with_failure(opened.project, reason["dimension"], reason["reason"])
        row_table(opened, rows, key="failed_rows")
