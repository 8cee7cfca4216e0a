"""The scorers and embedders of a project: which are in use, how far each has come, its health."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from deita_core.people import may
from deita_core.project.browse import ProjectInfo, table_of
from deita_core.project.graphs import has_graph
from deita_core.project.models import activate_model
from deita_core.project.scores import (
    ScorerCounts,
    ScorerRecord,
    extreme_turns,
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
from deita_core.scoring.protocol import DIMENSIONS
from studio.rows.table import lines_chosen, row_table, show_conversation
from studio.score.model_choice import EMBEDDING
from studio.shell.person import told
from studio.shell.resources import AS_OF_NOW, Opened, say
from studio.shell.text import escape, model_label, percent, plural

ModelsInUse = dict[str, ScorerRecord | EmbedderRecord]
LEVELS = {
    "good": ":green[:material/check_circle:]",
    "look": ":orange[:material/visibility:]",
    "hopeless": ":red[:material/error:]",
}
_HEALTH = {"good": "good", "look": "look at it", "hopeless": "no scorer"}
_USED = st.column_config.CheckboxColumn(help="Used for selection")


@st.cache_data(show_spinner=False, max_entries=4, hash_funcs=AS_OF_NOW)
def known_scorers(opened: Opened) -> list[ScorerRecord]:
    """Every scorer of the project, as of now."""
    return scorers(opened.project)


@st.cache_data(show_spinner=False, max_entries=4, hash_funcs=AS_OF_NOW)
def _embedders(opened: Opened) -> list[EmbedderRecord]:
    return embedders(opened.project)


@st.cache_data(show_spinner=False, max_entries=4, hash_funcs=AS_OF_NOW)
def _counts(opened: Opened) -> dict[int, ScorerCounts]:
    return scorer_counts(opened.project)


@st.cache_data(show_spinner=False, max_entries=32, hash_funcs=AS_OF_NOW)
def _health(opened: Opened, scorer: int) -> Health:
    return health(opened.project, scorer)


def models_of(opened: Opened, dimension: str) -> list[ScorerRecord | EmbedderRecord]:
    """The models that have run for complexity, quality or embedding, oldest first."""
    if dimension == EMBEDDING:
        return [*_embedders(opened)]
    return [record for record in known_scorers(opened) if record.dimension == dimension]


def models_in_use(opened: Opened) -> ModelsInUse:
    """By dimension, the model whose numbers selection uses."""
    return {d: r for d in (*DIMENSIONS, EMBEDDING) for r in models_of(opened, d) if r.active}


def number_of(record: ScorerRecord | EmbedderRecord) -> int:
    """The project's number of the model."""
    return record.embedder if isinstance(record, EmbedderRecord) else record.scorer


def models_view(opened: Opened, found: ProjectInfo) -> None:
    """Which count for selection; all of them in a table; the details of the one chosen."""
    st.subheader("Used for selection")
    for place, dimension in zip(st.columns(3), (*DIMENSIONS, EMBEDDING), strict=True):
        with place:
            _choose_used(opened, dimension)
    embedder = next((e for e in _embedders(opened) if e.active), None)
    if embedder is not None and embedder.embedded and not has_graph(opened.project):
        st.caption("These embeddings have no similarity graph yet: it is made with the map.")
    st.subheader("Scorers")
    chosen = _scorers_table(opened, found)
    if chosen is not None:
        with st.container(border=True):
            _details(opened, chosen)
    st.subheader("Embedders")
    _embedders_table(opened, found, embedder)


def _label(record: ScorerRecord | EmbedderRecord) -> str:
    if isinstance(record, EmbedderRecord):
        return f"{model_label(record.model)} · {record.embedded:,} rows"
    return f"{model_label(record.model)} · {record.scored:,} turns"


def _choose_used(opened: Opened, dimension: str) -> None:
    """A choice among the models that have run; with one, its name."""
    labels = {number_of(record): _label(record) for record in models_of(opened, dimension)}
    if len(labels) < 2:
        st.markdown(f":small[{dimension.capitalize()}]")
        st.caption(escape(next(iter(labels.values()), "none yet")))
        return
    key = f"active_{dimension}_{opened.key}"
    used = models_in_use(opened).get(dimension)
    # Another job or page may have changed it.
    st.session_state[key] = None if used is None else number_of(used)
    st.selectbox(
        dimension.capitalize(),
        list(labels),
        format_func=labels.__getitem__,
        key=key,
        disabled=not may("curator"),
        on_change=_use_chosen,
        args=(opened, dimension, key),
    )


@told
def _use_chosen(opened: Opened, dimension: str, key: str) -> None:
    activate_model(opened.project, st.session_state[key])
    say(f"Selection uses another {dimension} now.")


def _scorers_table(opened: Opened, found: ProjectInfo) -> ScorerRecord | None:
    """Draw the scorers, one a line; the one that is ticked."""
    records = known_scorers(opened)
    if not records:
        st.caption("No scorer has run yet: choose one under **Run a model**.")
        return None
    counts = _counts(opened)
    lines = [
        {
            "dimension": record.dimension,
            "model": model_label(record.model),
            "used": record.active,
            "rows": percent(known.rows, found.imported),
            "scored": record.scored,
            "failed": record.failed,
            "cut": known.truncated,
            "on digits": "" if known.mass is None else f"{100 * known.mass:.1f} %",
            "health": _HEALTH[_health(opened, record.scorer).level],
            **_version(record),
        }
        for record in records
        for known in [counts.get(record.scorer, ScorerCounts(0, 0, None))]
    ]
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    chosen = lines_chosen(
        pd.DataFrame(lines),
        key=f"scorers_{len(lines)}",
        columns={
            "used": _USED,
            "rows": text(help="Share of the pool that it has done"),
            "scored": number(format="localized", help="Turns with a score"),
            "failed": number(format="localized", help="Turns without one, each with a reason"),
            "cut": number(format="localized", help="Turns cut to fit the model"),
            "on digits": text(
                help="Median probability that the model puts on the digits 1 to 6. A trained "
                "scorer is above 95 %."
            ),
        },
        alt="Scorers with their counts and health",
    )
    if not chosen:
        st.caption("Tick a scorer for its health, failures, cut rows and extremes.")
    return records[chosen[0]] if chosen else None


def _version(record: ScorerRecord | EmbedderRecord) -> dict[str, str]:
    settings = ", ".join(f"{k} {v}" for k, v in record.parameters.items())
    return {"revision": record.revision[:12], "settings": settings}


def _details(opened: Opened, record: ScorerRecord) -> None:
    model = f"{escape(record.model)}, {escape(record.revision)}"
    st.markdown(f"**{record.dimension.capitalize()}** by {model}")
    for verdict in _health(opened, record.scorer).verdicts():
        st.markdown(f"{LEVELS[verdict.level]} {escape(verdict.sentence)}")
    key = f"scorer_{record.scorer}"
    st.markdown("**Lowest and highest**")
    extremes(opened, record.scorer, key=key)
    _failures(opened, record, key)
    cut = shortened_rows(opened.project, record.scorer)
    if cut and st.toggle(f"Show {plural(len(cut))} cut to fit the model", key=f"{key}_cut"):
        row_table(opened, cut, key=f"{key}_cut_rows")


def extremes(opened: Opened, scorer: int, *, key: str) -> None:
    """The turns with the lowest and highest scores of a scorer; a click opens one."""
    low, high = extreme_turns(opened.project, scorer)
    turns = [*low, *[turn for turn in reversed(high) if turn not in low]]
    if not turns:
        st.caption("No turn has a score.")
        return
    table = {
        "score": [round(turn.score, 2) for turn in turns],
        "row": [turn.row for turn in turns],
        "turn": [turn.turn + 1 for turn in turns],
        "conversation": list(table_of(opened.project, [turn.row for turn in turns])["preview"]),
    }
    chosen = lines_chosen(
        pd.DataFrame(table),
        key=f"{key}_{hash(tuple(turns)):x}",
        columns={
            **{name: st.column_config.NumberColumn(width=70) for name in ("score", "row", "turn")},
            "conversation": st.column_config.TextColumn(width="large"),
        },
        alt="Turns with the lowest and the highest scores",
    )
    for place in chosen:
        with st.container(border=True):
            show_conversation(opened, turns[place].row, key=f"{key}_conversation")


def _failures(opened: Opened, record: ScorerRecord, key: str) -> None:
    reasons = failures(opened.project, record.scorer)
    if not reasons:
        st.caption("Every turn that it was given has a score.")
        return
    st.markdown("**Without a score**")
    chosen = lines_chosen(
        pd.DataFrame(reasons, columns=["reason", "turns"]),
        key=f"{key}_failures_{len(reasons)}",
        columns={"reason": st.column_config.TextColumn(width="large")},
        alt="Reasons why turns have no score",
    )
    st.button(
        "Let the next run try them again",
        key=f"{key}_again",
        icon=":material/replay:",
        on_click=_forget,
        disabled=not may("curator"),
        args=(opened, record),
        help="For failures that pass, like a server that was down.",
    )
    for place in chosen:
        rows = failed_rows(opened.project, record.scorer, reasons[place][0])
        row_table(opened, rows, key=f"{key}_failed_rows")


@told
def _forget(opened: Opened, record: ScorerRecord) -> None:
    count = forget_failures(opened.project, record.scorer)
    say(f"{plural(count)} will be tried again by the next run of this model.")


def _embedders_table(opened: Opened, found: ProjectInfo, active: EmbedderRecord | None) -> None:
    records = _embedders(opened)
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
            **_version(e),
        }
        for e in records
    ]
    table, used = pd.DataFrame(lines), {"used": _USED}
    st.dataframe(table, hide_index=True, column_config=used, alt="Embedders with their counts")
    if active is not None and active.truncated:
        longest = active.parameters.get("max_tokens", "its limit of")
        label = (
            f"Show {plural(active.truncated)} longer than {longest} tokens, of which only "
            "the beginning is embedded"
        )
        if st.toggle(label, key="show_truncated"):
            row_table(opened, truncated_rows(opened.project, active.embedder), key="truncated_rows")
