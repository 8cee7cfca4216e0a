"""The scorers and embedders of a project side by side, and which of them count for selection."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from deita_core.project.browse import ProjectInfo
from deita_core.project.graphs import has_graph
from deita_core.project.models import activate_model
from deita_core.project.scores import (
    ScorerCounts,
    ScorerRecord,
    failed_rows,
    failures,
    forget_failures,
    health,
    scorer_counts,
    scorers,
    shortened_rows,
)
from deita_core.project.vectors import EmbedderRecord, embedders, truncated_rows
from deita_core.scoring.health import Health
from studio.rows.table import row_table
from studio.score.pilot import LEVELS, extremes
from studio.shell.formatting import model_label, percent, plural
from studio.shell.resources import Opened, open_at, say
from studio.shell.safe_text import escape

_USED = st.column_config.CheckboxColumn(help="Used for selection")


@st.cache_data(show_spinner=False, max_entries=4)
def _scorers(path: str, version: int) -> tuple[list[ScorerRecord], dict[int, ScorerCounts]]:
    project = open_at(path).project
    return scorers(project), scorer_counts(project)


@st.cache_data(show_spinner=False, max_entries=32)
def _health(path: str, version: int, scorer: int) -> Health:
    return health(open_at(path).project, scorer)


@st.cache_data(show_spinner=False, max_entries=4)
def _embedders(path: str, version: int) -> list[EmbedderRecord]:
    return embedders(open_at(path).project)


def known_scorers(opened: Opened) -> list[ScorerRecord]:
    """Every scorer of the project, as of now."""
    return _scorers(opened.key, opened.project.data_version())[0]


def known_embedders(opened: Opened) -> list[EmbedderRecord]:
    """Every embedder of the project, as of now."""
    return _embedders(opened.key, opened.project.data_version())


def models_view(opened: Opened, found: ProjectInfo) -> None:
    """Which count for selection; all of them in a table; the details of the one chosen."""
    records = known_scorers(opened)
    _active_choice(opened, records, found)
    st.subheader("Scorers")
    if not records:
        st.caption("No scorer has run yet: choose one under **Run a model**.")
    else:
        chosen = _table(opened, records, found)
        if chosen is not None:
            with st.container(border=True):
                _details(opened, chosen, found)
    st.subheader("Embedders")
    _embedders_table(opened, found)


def _active_choice(opened: Opened, records: list[ScorerRecord], found: ProjectInfo) -> None:
    st.subheader("Used for selection")
    places = st.columns(3)
    for place, dimension in zip(places, ("complexity", "quality"), strict=False):
        of_it = {r.scorer: r for r in records if r.dimension == dimension}
        with place:
            _choose(
                opened,
                dimension,
                {number: _label(r, r.scored, "turns") for number, r in of_it.items()},
                next((number for number, r in of_it.items() if r.active), None),
            )
    known = {e.embedder: e for e in known_embedders(opened)}
    with places[2]:
        _choose(
            opened,
            "embedding",
            {number: _label(e, e.embedded, "rows") for number, e in known.items()},
            next((number for number, e in known.items() if e.active), None),
        )
    active = next((e for e in known.values() if e.active), None)
    if active is not None and active.embedded and not has_graph(opened.project):
        st.caption("These embeddings have no similarity graph yet: it is made with the map.")


def _label(record: ScorerRecord | EmbedderRecord, done: int, unit: str) -> str:
    return f"{model_label(record.model)} · {done:,} {unit}"


def _choose(opened: Opened, dimension: str, labels: dict[int, str], active: int | None) -> None:
    """A choice of what is active; with one possibility, its name."""
    key = f"active_{dimension}_{opened.key}"
    if len(labels) < 2:
        st.markdown(f":small[{dimension.capitalize()}]")
        st.caption(escape(next(iter(labels.values()), "none yet")))
        return
    st.session_state[key] = active  # another job or page may have changed it
    st.selectbox(
        dimension.capitalize(),
        list(labels),
        format_func=lambda number: labels[number],
        key=key,
        on_change=_activate,
        args=(opened, dimension, key),
    )


def _activate(opened: Opened, dimension: str, key: str) -> None:
    number = st.session_state[key]
    if dimension == "embedding":
        activate_model(opened.project, number)
    else:
        activate_model(opened.project, number)
    say(f"Selection uses another {dimension} now.")


def _table(opened: Opened, records: list[ScorerRecord], found: ProjectInfo) -> ScorerRecord | None:
    counts = _scorers(opened.key, opened.project.data_version())[1]
    lines: list[dict[str, Any]] = []
    for record in records:
        known = counts.get(record.scorer, ScorerCounts(0, 0, None))
        verdict = _health(opened.key, opened.project.data_version(), record.scorer)
        lines.append(
            {
                "dimension": record.dimension,
                "model": model_label(record.model),
                "used": record.active,
                "rows": percent(known.rows, found.imported),
                "scored": record.scored,
                "failed": record.failed,
                "cut": known.truncated,
                "on digits": "" if known.mass is None else f"{100 * known.mass:.1f} %",
                "health": {"good": "good", "look": "look at it", "hopeless": "no scorer"}[
                    verdict.level
                ],
                "revision": record.revision[:12],
                "settings": ", ".join(f"{k} {v}" for k, v in record.parameters.items()),
            }
        )
    event = st.dataframe(
        pd.DataFrame(lines),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"scorers_{len(lines)}",
        column_config={
            "used": _USED,
            "rows": st.column_config.TextColumn(help="Share of the pool that it has done"),
            "scored": st.column_config.NumberColumn(format="localized", help="Turns with a score"),
            "failed": st.column_config.NumberColumn(
                format="localized", help="Turns without one, each with a reason"
            ),
            "cut": st.column_config.NumberColumn(
                format="localized", help="Turns cut to fit the model"
            ),
            "on digits": st.column_config.TextColumn(
                help="Median probability that the model puts on the digits 1 to 6. A trained "
                "scorer is above 95 %.",
            ),
        },
        alt="Scorers with their counts and health",
    )
    chosen = event.selection.rows
    if not chosen:
        st.caption("Tick a scorer for its health, failures, cut rows and extremes.")
    return records[chosen[0]] if chosen and chosen[0] < len(records) else None


def _details(opened: Opened, record: ScorerRecord, found: ProjectInfo) -> None:
    st.markdown(f"**{record.dimension.capitalize()}** by `{record.model}`, `{record.revision}`")
    seen = _health(opened.key, opened.project.data_version(), record.scorer)
    for verdict in seen.verdicts():
        st.markdown(f"{LEVELS[verdict.level]} {escape(verdict.sentence)}")
    key = f"scorer_{record.scorer}"
    st.markdown("**Lowest and highest**")
    extremes(opened, record.scorer, key=key)
    _failures(opened, record, key)
    cut = shortened_rows(opened.project, record.scorer)
    if cut and st.toggle(f"Show {plural(len(cut))} cut to fit the model", key=f"{key}_cut"):
        row_table(opened, cut, key=f"{key}_cut_rows")


def _failures(opened: Opened, record: ScorerRecord, key: str) -> None:
    reasons = failures(opened.project, record.scorer)
    if not reasons:
        st.caption("Every turn that it was given has a score.")
        return
    st.markdown("**Without a score**")
    event = st.dataframe(
        pd.DataFrame(reasons, columns=["reason", "turns"]),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"{key}_failures_{len(reasons)}",
        column_config={"reason": st.column_config.TextColumn(width="large")},
        alt="Reasons why turns have no score",
    )
    st.button(
        "Let the next run try them again",
        key=f"{key}_again",
        icon=":material/replay:",
        on_click=_forget,
        args=(opened, record),
        help="For failures that pass, like a server that was down.",
    )
    for place in event.selection.rows:
        rows = failed_rows(opened.project, record.scorer, reasons[place][0])
        row_table(opened, rows, key=f"{key}_failed_rows")


def _forget(opened: Opened, record: ScorerRecord) -> None:
    count = forget_failures(opened.project, record.scorer)
    say(f"{plural(count)} will be tried again by the next run of this model.")


def _embedders_table(opened: Opened, found: ProjectInfo) -> None:
    records = known_embedders(opened)
    if not records:
        st.caption("No embedder has run yet: choose one under **Run a model**.")
        return
    lines = [
        {
            "model": model_label(e.model),
            "used": e.active,
            "rows": percent(e.embedded + e.failed, found.imported),
            "embedded": e.embedded,
            "failed": e.failed,
            "cut": e.truncated,
            "on the map": e.mapped,
            "dimensions": e.dimension,
            "revision": e.revision[:12],
            "settings": ", ".join(f"{k} {v}" for k, v in e.parameters.items()),
        }
        for e in records
    ]
    st.dataframe(
        pd.DataFrame(lines),
        hide_index=True,
        column_config={"used": _USED},
        alt="Embedders with their counts",
    )
    active = next((e for e in records if e.active), None)
    if active is not None and active.truncated:
        longest = active.parameters.get("max_tokens", "its limit of")
        shown = st.toggle(
            f"Show {plural(active.truncated)} longer than {longest} tokens, of which only "
            "the beginning is embedded",
            key="show_truncated",
        )
        if shown:
            rows = truncated_rows(opened.project, active.embedder)
            row_table(opened, rows, key="truncated_rows")
