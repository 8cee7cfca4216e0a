"""The rows of a selection: to list by status and search, to read one with its reasons, to pin.

The row that somebody reads stays in view while the rule changes around it. Also the rows that
differ: since the last change of the rule, and from a saved selection.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from deita_core.people import may
from deita_core.project.browse import stored_row, table_of
from deita_core.project.pins import Pin, PinKind, set_pins
from deita_core.project.selections import SavedSelection, selection_rows
from deita_core.selection.analysis.changes import Changes
from deita_core.selection.analysis.thresholds import flip_point
from deita_core.selection.outcome import Outcome
from deita_core.selection.status import KEPT, NEAR_DUPLICATE, STATUSES
from deita_core.similarity.neighbours import similar_rows
from studio.charts.colours import STATUS_STYLES
from studio.filters.found import search_for
from studio.rows.conversation import RowHeader, marked_differences, plain_text
from studio.rows.pane import focus_of
from studio.rows.row_list import LIST_HEIGHT, ListEvent, row_list
from studio.rows.table import lines_chosen, row_table, rows_table, show_conversation
from studio.select.cache import current_pins, input_of, rows_with
from studio.shell import state
from studio.shell.person import reviewer_name, told
from studio.shell.projects import page_shown
from studio.shell.resources import Opened, errors_shown, pool_input, say
from studio.shell.text import escape, plural

_LABELS = np.array([status.label for status in STATUSES], object)
_DONE = {"pinned": "Pinned", "excluded": "Excluded", None: "Took back"}
_LIKE_THIS = 20
# Buttons for more rows at once would send as many numbers along.
_MOST_AT_ONCE = 20_000
_MOST_REASONS = 5000
_MOST_DIFFERENCES = 2000
_READ = "read"
_PINNED = "pinned_just_now"


def rows_view(
    opened: Opened,
    result: Outcome,
    inside: NDArray[np.int64] | None,
    clicked: int | None,
    height: int,
) -> None:
    """The rows of one status, those inside the outline, those that a search finds; one is read.

    clicked: the row last clicked on the map. height: of list and row together, in pixels.
    """
    counts = {s.code: result.trace.count(s.code) for s in STATUSES}
    text = st.text_input(
        "Search in the text",
        type="search",
        placeholder="Search in the text of any row, e.g. sourdough",
        key=state.SELECT_SEARCH,
        persist_state="session",
        label_visibility="collapsed",
    )
    status = st.segmented_control(
        "Show",
        [code for code, count in counts.items() if count],
        default=KEPT if counts[KEPT] else None,
        format_func=lambda code: f"{STATUSES[code].label} · {counts[code]:,}",
        key="rows_status",
        label_visibility="collapsed",
    )
    shown = None if text else status
    rows = _in_order(result, shown)
    if text:
        with errors_shown():
            rows = rows[np.isin(rows, rows_with(opened, text))]
            search_for(text)
            st.caption(f"Rows of any kind that contain “{escape(text)}”.")
    if inside is not None:
        rows = rows[np.isin(rows, inside)]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Only rows inside your outline on the map.", width="content")
            if 0 < len(rows) <= _MOST_AT_ONCE:
                pin_buttons(opened, rows.tolist(), key="pins_outline")
    st.session_state.pop(_PINNED, None)
    st.fragment(_listed)(opened, result, rows, shown, clicked, height)


def _listed(
    opened: Opened,
    result: Outcome,
    rows: NDArray[np.int64],
    status: int | None,
    clicked: int | None,
    height: int,
) -> None:
    """The list and the row read, which a choice in the list draws anew, and nothing else."""
    if st.session_state.pop(_PINNED, False):  # here, and a pin is a part of the page's rule
        st.rerun()
    focus = focus_of(opened, _READ, clicked)
    with page_shown(opened):
        event = ListEvent()
        if len(rows):
            event = row_list(
                opened,
                rows,
                key="select_rows_list",
                at=st.session_state.get(focus),
                aggregation=result.rule.aggregation,
                extra=_columns(result, status),
                colours=(result.trace.status.astype(np.uint8), STATUS_STYLES),
                many=True,
                scrolled=".st-key-select_reader",
            )
        else:
            st.caption("No rows.")
        if event.row is not None:
            st.session_state[focus] = event.row
        if len(event.ticked) > 1:
            with st.container(horizontal=True):
                pin_buttons(opened, event.ticked, key="pins_table")
        row = st.session_state.get(focus)
        with st.container(
            border=True, height=height - LIST_HEIGHT, key="select_reader", autoscroll=False
        ):
            if row is None:
                st.caption(
                    "Choose a row in the list or on the map to read it, and why it is in or out."
                )
            else:
                _explained(opened, result, row, _READ, focus)


def clicked_row(opened: Opened, result: Outcome, clicked: int | None) -> None:
    """The row that is read, above whatever else is shown; nothing when there is none."""
    focus = focus_of(opened, _READ, clicked)
    row: int | None = st.session_state.get(focus)
    if row is not None:
        with st.container(border=True):
            _explained(opened, result, row, _READ, focus)


def _in_order(result: Outcome, status: int | None) -> NDArray[np.int64]:
    """Kept rows as they were kept; others by rank, those without one last."""
    if status == KEPT:
        kept = result.kept
        return kept[result.trace.status[kept] == KEPT]
    rank = result.trace.rank
    rows = np.arange(len(rank)) if status is None else np.flatnonzero(result.trace.status == status)
    ordered: NDArray[np.int64] = rows[np.lexsort((rank[rows], rank[rows] == 0))]
    return ordered


def _columns(result: Outcome, status: int | None) -> dict[str, NDArray[Any]]:
    rank = result.trace.rank
    extra: dict[str, NDArray[Any]] = {"rank": np.where(rank > 0, rank, -1)}
    if status == NEAR_DUPLICATE:
        extra["similarity"] = np.round(result.trace.similarity, 3)
        extra["too close to row"] = result.trace.blocker
    if status is None:
        extra["status"] = _LABELS[result.trace.status]
    return extra


def row_in_focus(
    opened: Opened, result: Outcome, place: str, source: str, chosen: Sequence[int]
) -> None:
    """The row that is read at this place of the page, explained; nothing when there is none.

    chosen: what is chosen in the table or map now. source: names that table; another one, drawn
    because other rows came to stand in it, takes nothing away.
    """
    seen, focus = f"{state.FOCUS}_seen_{place}_{opened.key}", f"{state.FOCUS}_{place}_{opened.key}"
    before, now = st.session_state.get(seen), (source, tuple(chosen))
    if before != now:
        st.session_state[seen] = now
        if len(chosen) == 1:
            st.session_state[focus] = int(chosen[0])
        elif before is not None and before[0] == source:
            st.session_state.pop(focus, None)
    row: int | None = st.session_state.get(focus)
    if row is not None:
        with st.container(border=True):
            _explained(opened, result, row, place, focus)


def _explained(opened: Opened, result: Outcome, row: int, place: str, focus: str) -> None:
    """The row with its why, its flip point and what can be done; its blocker beside it."""
    blocker = int(result.trace.blocker[row])
    with st.container(horizontal=True, vertical_alignment="center"):
        pin_buttons(opened, [row], key=f"{place}_pins")
        like_this = st.toggle("Rows like this", key=f"{place}_like")
        compare = blocker >= 0 and st.toggle("Mark differences", key=f"{place}_compare", value=True)
        st.button(
            "Close",
            icon=":material/close:",
            type="tertiary",
            key=f"close_{place}",
            on_click=st.session_state.pop,
            args=(focus, None),
        )
    sentence = st.container()
    why = result.why(row)
    sentence.markdown(f"**{escape(why[:1].upper() + why[1:])}.**")
    if like_this:
        _neighbours(opened, result, row, key=f"{place}_neighbours")
    if compare:
        _side_by_side(opened, row, blocker, float(result.trace.similarity[row]))
    else:
        _conversations(opened, result, row, blocker, place)
    # Last: the first row that is asked about in a large pool takes seconds, the next ones none.
    with sentence, st.spinner("Looking for what would move it in or out"):
        flip = flip_point(result.rule, input_of(opened, result.rule), row, result)
    sentence.markdown(f"What would change that: {escape(flip.sentence())}.")


def _conversations(opened: Opened, result: Outcome, row: int, blocker: int, place: str) -> None:
    columns = st.columns(2) if blocker >= 0 else [st.container()]
    how = result.rule.aggregation
    for column, shown in zip(columns, (row, blocker), strict=False):
        reason = None if shown == row else result.why(shown)
        facts = RowHeader(status=int(result.trace.status[shown]), reason=reason)
        with column:
            key = f"{place}_row" if shown == row else f"{place}_blocker"
            show_conversation(opened, shown, key=key, aggregation=how, facts=facts)


def _side_by_side(opened: Opened, row: int, blocker: int, similarity: float) -> None:
    texts = [plain_text(stored_row(opened.project, one).conversation) for one in (row, blocker)]
    names = (f"Row {row:,}", f"Row {blocker:,}, which blocks it (similarity {similarity:.3f})")
    for column, name, text in zip(st.columns(2), names, marked_differences(*texts), strict=True):
        with column.container(border=True):
            st.caption(name)
            st.markdown(text, anchors=False)


def _neighbours(opened: Opened, result: Outcome, row: int, *, key: str) -> None:
    table = pool_input(opened)
    place = int(table.place[row])
    if place < 0:
        st.caption("This row has no embedding, so no other row is known to be like it.")
        return
    places, similarity = similar_rows(table.vectors, place, _LIKE_THIS, graph=table.graph)
    rows = table.vector_rows[places].astype(np.int64)
    column = np.full(len(result.trace.status), np.nan)
    column[rows] = np.round(similarity, 3)
    extra = {"similarity": column, "status": _LABELS[result.trace.status]}
    row_table(opened, rows, key=key, aggregation=result.rule.aggregation, extra=extra)


def pin_buttons(opened: Opened, rows: Sequence[int], *, key: str) -> None:
    """Pin or exclude these rows, or take that back; one row or many."""
    if not may("reviewer"):
        return
    present = {one.row: one.kind for one in current_pins(opened)}
    kinds = {present.get(row) for row in rows} if present else {None}
    many = f" {len(rows):,} rows" if len(rows) > 1 else ""
    for label, choice, icon in (
        (f"Pin{many}", "pinned", "keep"),
        (f"Exclude{many}", "excluded", "block"),
        (f"Take back{many}", None, "undo"),
    ):
        if kinds == {choice} or (choice is None and not kinds - {None}):
            continue
        named, given = f"{key}_{choice}", (opened, rows, choice)
        st.button(label, icon=f":material/{icon}:", key=named, on_click=_set, args=given)


@told
def _set(opened: Opened, rows: Sequence[int], choice: PinKind | None) -> None:
    notes = {one.row: one.note for one in current_pins(opened)}
    author = reviewer_name()
    by_note: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        by_note[notes.get(row, "")].append(row)
    for note, group in by_note.items():
        set_pins(opened.project, group, choice, note=note, author=author)
    st.session_state[_PINNED] = True
    say(f"{_DONE[choice]}: {plural(len(rows))}. Undo takes it back.")


def pins_view(opened: Opened) -> None:
    """Every pin and exclusion with its note; several can be chosen and changed at once."""
    chosen = current_pins(opened)
    if not chosen:
        st.caption(
            "Nothing is pinned or excluded. Choose rows in the table or on the map: a pinned row "
            "is always in and an excluded one never is, whatever the rule says."
        )
        return
    names = {"kind": "by hand", "made": "when (UTC)"}
    table = pd.DataFrame(chosen).drop(columns="id").rename(columns=names)
    found = table_of(opened.project, [one.row for one in chosen])
    places = lines_chosen(
        table.assign(**{"first instruction": found["preview"]}),
        key=f"pins_{len(chosen)}",
        alt="Pinned and excluded conversations",
        many=True,
    )
    picked = [chosen[place] for place in places] or list(chosen)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if may("reviewer"):
            note = st.text_input(f"Note on {plural(len(picked))}", key="pin_note")
            st.button("Set the note", on_click=_note, args=(opened, picked), disabled=not note)
        pin_buttons(opened, [one.row for one in picked], key="pins_chosen")


@told
def _note(opened: Opened, picked: Sequence[Pin]) -> None:
    note, author = st.session_state["pin_note"], reviewer_name()
    for kind in get_args(PinKind):
        rows = [one.row for one in picked if one.kind == kind]
        set_pins(opened.project, rows, kind, note=note, author=author)
    st.session_state["pin_note"] = ""


def changes_view(opened: Opened, found: Changes | None, result: Outcome) -> None:
    """A table of the rows that entered or left, with the reason of each."""
    if found is None or not len(found):
        st.caption("The last change of the rule, if there was one, moved no row.")
        return
    st.markdown(f"{found.sentence()} with the last change of the rule.")
    sets = {"left": found.left, "entered": found.entered}
    chosen_set = st.segmented_control(
        "Rows that",
        [name for name, rows in sets.items() if len(rows)],
        format_func=lambda name: f"{name} · {len(sets[name]):,}",
        default="left" if len(found.left) else "entered",
        required=True,
        key="changes_side",
        label_visibility="collapsed",
    )
    rows = sets[chosen_set]
    reasons = _reasons(result, rows[:_MOST_REASONS], found.reason)
    how, key = result.rule.aggregation, f"changes_{chosen_set}"
    chosen = rows_table(opened, rows, key=key, aggregation=how, extra={"why": reasons})
    row_in_focus(opened, result, "changes", chosen.table, chosen.rows)


def difference_view(opened: Opened, selection: SavedSelection, result: Outcome) -> None:
    """How many rows differ, and on request which, each with its status now."""
    saved = np.asarray(selection_rows(opened.project, selection.selection)[0], np.int64)
    more = result.kept[~np.isin(result.kept, saved)]
    fewer = saved[~np.isin(saved, result.kept)]
    rows = np.concatenate([fewer, more])
    if not len(rows):
        st.caption("The selection above has the same rows.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"The selection above has {plural(len(more))} more that this one lacks, and lacks "
            f"{len(fewer):,} of this one.",
            width="content",
        )
        if not st.toggle("Show them", key=f"difference-{selection.selection}"):
            return
    which = np.full(len(result.trace.status), "", object)
    which[fewer], which[more] = "only in the saved one", "only in the one above"
    extra = {"which": which, "now": _reasons(result, rows[:_MOST_DIFFERENCES], result.why)}
    key, how = f"difference_rows_{selection.selection}", result.rule.aggregation
    row_table(opened, rows, key=key, aggregation=how, extra=extra)


def _reasons(
    result: Outcome, rows: NDArray[np.int64], reason: Callable[[int], str]
) -> NDArray[np.object_]:
    """A column over the whole pool with the reason of each of these rows."""
    column = np.full(len(result.trace.status), "", object)
    column[rows] = [reason(row) for row in rows.tolist()]
    return column
