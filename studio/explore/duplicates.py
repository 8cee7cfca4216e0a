"""Near-duplicates of the rows in view: by meaning, by words, and copies left out at import.

Dropping excludes all rows of a group but the one that is kept; nothing is deleted, and one button
takes the last drop back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from deita_core.jobs.kinds import TextDuplicatesSpec
from deita_core.people import may
from deita_core.project.browse import stored_row, table_of
from deita_core.project.duplicates import (
    copies_left_out,
    drop_duplicates,
    droppable,
    duplicates_by_meaning,
    duplicates_by_text,
    last_dropped,
    restore_duplicates,
    text_threshold,
    visiting_order,
)
from deita_core.project.graphs import load_graph
from deita_core.project.pins import pins_version
from deita_core.similarity.duplicates import LEAST_OVERLAP, By, DuplicateGroups
from studio.explore.spread import Rows
from studio.rows.conversation import marked_differences, page_chosen, plain_text
from studio.rows.table import PAGE, lines_chosen, row_table
from studio.shell import state
from studio.shell.jobs_panel import active_job
from studio.shell.person import reviewer_name, told
from studio.shell.resources import AS_OF_NOW, Opened, arrays, errors_shown, say, scores
from studio.shell.text import escape, plural

_OTHERS = 5
_USUAL = 0.9
_KEPT = "duplicates_kept"


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Groups at a threshold; listed: of two rows or more, the largest first."""

    by: By
    threshold: float
    groups: DuplicateGroups
    listed: list[NDArray[np.int64]]


def duplicates_view(opened: Opened, rows: Rows) -> None:
    """Draw the groups among these rows, what opens one, and what drops all but one of each."""
    ways = {"meaning": "By meaning", "text": "By words", "copies": "Exact copies"}
    way = state.bound_choice("Alike", ways, key=state.DUPLICATES_BY, show_label=False)
    with errors_shown():
        if way == "copies":
            _copies(opened, rows)
            return
        found = _by_meaning(opened, rows) if way == "meaning" else _by_text(opened, rows)
        if found is not None:
            _groups(opened, found)
    _take_back(opened)


# finding them


def _as_pinned(opened: Opened) -> tuple[str, int, int]:
    return opened.key, opened.project.data_version(), pins_version(opened.project)


_VIEWED = {Opened: _as_pinned, np.ndarray: np.ndarray.tobytes}


def _by_meaning(opened: Opened, rows: Rows) -> _Found | None:
    graph = load_graph(opened.project)
    if graph is None:
        st.info(
            "Near-duplicates by meaning are read off the similarity graph, which is made once the "
            "conversations are embedded.",
            icon=":material/hub:",
        )
        return None
    floor = min(0.99, np.ceil(graph.floor * 100) / 100)
    threshold = st.slider(
        "Similarity above",
        float(floor),
        0.99,
        max(float(floor), _USUAL),
        0.01,
        key="duplicates_threshold",
        persist_state="session",
        help="Cosine similarity of the embeddings. The graph knows no pairs below its floor.",
    )
    return _meaning_groups(opened, rows, threshold)


@st.cache_resource(show_spinner="Grouping", max_entries=8, hash_funcs=_VIEWED)
def _meaning_groups(opened: Opened, rows: Rows, threshold: float) -> _Found:
    order = visiting_order(opened.project, arrays(opened))
    order = order[np.isin(order, rows)]
    groups = duplicates_by_meaning(opened.project, threshold, order)
    return _Found("meaning", threshold, groups, groups.groups())


def _by_text(opened: Opened, rows: Rows) -> _Found | None:
    before = text_threshold(opened.project)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        threshold = st.slider(
            "Share of runs of three words in common, above",
            LEAST_OVERLAP,
            0.99,
            before or 0.8,
            0.01,
            key="duplicates_overlap",
            persist_state="session",
        )
        running = active_job(opened, TextDuplicatesSpec.kind)
        found = None if running else _text_groups(opened, rows, threshold)
        if found is None and not running:
            st.button(
                "Look for them",
                key="duplicates_look",
                type="primary",
                icon=":material/search:",
                disabled=not may("curator"),
                help="Compares the wording of the whole pool, as a job.",
                on_click=told(_look),
                args=(opened, threshold),
            )
    if found is None and not running and before is not None:
        st.caption(f"Last looked for above {before:g}, or in fewer rows than there are now.")
    return found


def _look(opened: Opened, threshold: float) -> None:
    opened.runner.submit([TextDuplicatesSpec(threshold=threshold)])


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs=_VIEWED)
def _text_groups(opened: Opened, rows: Rows, threshold: float) -> _Found | None:
    groups = duplicates_by_text(opened.project, threshold)
    if groups is None:
        return None
    inside = np.zeros(len(groups.keeper), np.bool_)
    inside[rows] = True
    excluded = np.ones(len(inside), np.bool_)
    excluded[visiting_order(opened.project, arrays(opened))] = False
    groups = groups.within(inside & ~excluded)
    return _Found("text", threshold, groups, groups.groups())


# the list of groups


def _groups(opened: Opened, found: _Found) -> None:
    chosen = _as_kept(opened, found)
    rows = droppable(opened.project, chosen)
    distance = f" (distance {1 - found.threshold:.2f})" if found.by == "meaning" else ""
    count = plural(len(found.groups.dropped), "near-duplicate", "near-duplicates")
    groups = plural(len(found.listed), "group", "groups")
    st.markdown(
        f"**{count}** in **{groups}** above {found.threshold:.2f}"
        f"{distance}, among the rows in view."
    )
    if not found.listed:
        return
    if may("reviewer"):
        st.button(
            f"Keep one of each group, drop {plural(len(rows))}",
            key="duplicates_drop_all",
            icon=":material/filter_1:",
            disabled=not rows,
            help="Keeps the row you chose, or the one with the best score. Dropped rows are "
            "excluded, never deleted; pinned rows stay.",
            on_click=told(_drop),
            args=(opened, chosen, found),
        )
    page = page_chosen(len(found.listed), PAGE, key="duplicates_page")
    shown = found.listed[page * PAGE : (page + 1) * PAGE]
    first = [int(group[0]) for group in shown]
    table = pd.DataFrame(
        {
            "rows": [len(group) for group in shown],
            "least alike": [float(found.groups.similarity[group[1:]].min()) for group in shown],
            "most alike": [float(found.groups.similarity[group[1:]].max()) for group in shown],
            "best row": first,
            "first instruction": table_of(opened.project, first)["preview"],
        }
    ).round(3)
    key = f"duplicates_{found.by}_{hash(tuple(map(bytes, shown))):x}"
    for place in lines_chosen(table, key=key, alt="Groups of near-duplicates", height=245):
        _group(opened, found, shown[place])


def _as_kept(opened: Opened, found: _Found) -> DuplicateGroups:
    """The groups with the rows that somebody chose to keep."""
    groups = found.groups
    for row in sorted(_chosen(opened)):
        if row < len(groups.keeper) and groups.keeper[row] >= 0 and row in groups.dropped:
            groups = groups.keeping(row)
    return groups


def _chosen(opened: Opened) -> set[int]:
    """Rows that this session chose to keep of their groups."""
    kept: dict[str, set[int]] = st.session_state.setdefault(_KEPT, {})
    return kept.setdefault(opened.key, set())


# one group


def _group(opened: Opened, found: _Found, group: NDArray[np.int64]) -> None:
    members = group.tolist()
    evol = scores(opened)["evol score"]
    with st.container(border=True):
        kept = next((row for row in members if row in _chosen(opened)), members[0])
        key = f"duplicates_keep_{'_'.join(map(str, members[:3]))}"

        def label(row: int) -> str:
            parts = [f"row {row}"]
            parts += [f"evol score {evol[row]:.2f}"] if np.isfinite(evol[row]) else []
            parts += (
                ["best"] if row == members[0] else [f"{found.groups.similarity[row]:.3f} alike"]
            )
            return " · ".join(parts)

        page = page_chosen(len(members) - 1, _OTHERS, key=f"{key}_page")
        others = [row for row in members if row != kept][page * _OTHERS : (page + 1) * _OTHERS]
        options = sorted({kept, members[0], *others}, key=members.index)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.radio(
                "Keep",
                options,
                index=options.index(kept),
                format_func=label,
                key=f"{key}_{page}",
                on_change=_keep,
                args=(opened, members, f"{key}_{page}"),
            )
            _drop_one(opened, found, members, kept)
        _differences(opened, kept, others)


def _drop_one(opened: Opened, found: _Found, members: list[int], kept: int) -> None:
    inside = np.zeros(len(found.groups.keeper), np.bool_)
    inside[members] = True
    groups = found.groups.within(inside)
    groups = groups.keeping(kept) if kept != members[0] else groups
    count = len(droppable(opened.project, groups))
    if may("reviewer"):
        st.button(
            f"Drop the other {plural(count)}",
            key="duplicates_drop_one",
            icon=":material/block:",
            disabled=not count,
            on_click=told(_drop),
            args=(opened, groups, found),
        )


def _keep(opened: Opened, members: list[int], key: str) -> None:
    chosen = _chosen(opened)
    chosen.difference_update(members)
    chosen.add(int(st.session_state[key]))


def _differences(opened: Opened, kept: int, others: list[int]) -> None:
    """The kept row, and the others with the words marked that it does not have there."""
    text = plain_text(stored_row(opened.project, kept).conversation)
    st.caption(f"Row {kept}, which is kept")
    st.markdown(marked_differences(text, text)[0], anchors=False)
    for row in others:
        other = plain_text(stored_row(opened.project, row).conversation)
        with st.container(border=True):
            st.caption(f"Row {row}: marked is what differs")
            st.markdown(marked_differences(text, other)[1], anchors=False)


def _drop(opened: Opened, groups: DuplicateGroups, found: _Found) -> None:
    done = drop_duplicates(
        opened.project, groups, found.threshold, found.by, author=reviewer_name()
    )
    say(f"Excluded {plural(len(done.rows))} as near-duplicates.")


def _take_back(opened: Opened) -> None:
    last = _last(opened)
    if last and may("reviewer"):
        st.button(
            f"Undo: take {plural(last)} back",
            key="duplicates_undo",
            icon=":material/undo:",
            help="The rows that the last drop excluded.",
            on_click=told(_restore),
            args=(opened,),
        )


@st.cache_data(show_spinner=False, max_entries=8, hash_funcs={Opened: _as_pinned})
def _last(opened: Opened) -> int:
    """How many rows the last drop excluded."""
    last = last_dropped(opened.project)
    return 0 if last is None else len(last.rows)


def _restore(opened: Opened) -> None:
    done = restore_duplicates(opened.project, author=reviewer_name())
    say(f"Took {plural(len(done.rows))} back.")


# copies


def _copies(opened: Opened, rows: Rows) -> None:
    found = _left_out(opened)
    inside = np.isin([row for row, _, _ in found], rows)
    shown = [one for one, is_in in zip(found, inside, strict=True) if is_in]
    count = sum(copies for _, copies, _ in shown)
    st.markdown(
        f"**{plural(count, 'exact copy', 'exact copies')}** of "
        f"**{plural(len(shown), 'row in view', 'rows in view')}** were left out when the files "
        "were imported: same roles, texts and tools."
    )
    if not shown:
        return
    copies, files = (
        np.zeros(len(arrays(opened)), np.int64),
        np.full(len(arrays(opened)), "", object),
    )
    for row, number, names in shown:
        copies[row], files[row] = number, names
    extra = {"copies": copies, "in": files}
    row_table(opened, [row for row, _, _ in shown], key="duplicates_copies", extra=extra)


@st.cache_data(show_spinner=False, max_entries=4, hash_funcs=AS_OF_NOW)
def _left_out(opened: Opened) -> list[tuple[int, int, str]]:
    found = copies_left_out(opened.project)
    return [(one.row, one.copies, escape(", ".join(one.files))) for one in found]
