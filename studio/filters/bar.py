"""The bar of filters: a chip for each part, what adds one, and the saved views.

The filter stands in the address as its short text, so a link shows the same rows; what an address
holds that cannot be read is said and left out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.errors import DeitaError
from deita_core.filtering.columns import Column
from deita_core.filtering.filter import (
    Bounds,
    Contains,
    Filter,
    Near,
    OneOf,
    Part,
    Search,
    Where,
    column_text,
    parse_filter,
)
from deita_core.people import may
from deita_core.project.views import delete_view, save_view, views
from studio.filters.found import search_for
from studio.filters.masks import column_names, columns_of, mask_of
from studio.shell import state
from studio.shell.person import told
from studio.shell.resources import Opened, errors_shown, say
from studio.shell.text import escape

# More names than this are searched for by a text instead of chosen from a list.
_MOST_NAMES = 200
_SEARCH, _MEANING, _SQL = "words", "meaning", "SQL"


def filter_bar(opened: Opened) -> NDArray[np.bool_] | None:
    """Draw the bar; the rows that pass, (n,) bool, or None where nothing is filtered."""
    wanted = current_filter()
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.popover("Filter", icon=":material/filter_alt:"), errors_shown():
            _add(opened)
        with st.popover("Views", icon=":material/bookmarks:"):
            _views(opened, wanted)
        for place, part in enumerate(wanted.parts):
            st.button(
                escape(_short(part.describe())),
                key=f"filter_chip_{place}",
                icon=":material/close:",
                help=f"Take out: {escape(part.describe())}",
                on_click=_take_out,
                args=(part,),
            )
        if len(wanted.parts) > 1:
            st.button("Clear", key="filter_clear", type="tertiary", on_click=set_filter, args=("",))
    if not wanted:
        return None
    search_for(*(part.query for part in wanted.parts if isinstance(part, Search)))
    try:
        return mask_of(opened, wanted.to_text())
    except DeitaError as error:
        st.error(f"The filter is not applied: {escape(str(error))}")
        return None


def current_filter() -> Filter:
    """The filter that holds now; after a link or Back it is the address's."""
    if state.address_decides(state.FILTER):
        found = parse_filter(st.query_params.get(state.FILTER, ""))
        for problem in found.problems:
            st.toast(f"The address has a filter that cannot be read: {escape(problem)}")
        st.session_state[state.FILTER] = found.filter.to_text()
    text = str(st.session_state[state.FILTER])
    state.put_in_address(state.FILTER, text or None)
    return parse_filter(text).filter


def set_filter(text: str) -> None:
    """Let the filter of this short text hold from the next run on; for callbacks."""
    st.session_state[state.FILTER] = text


def _take_out(part: Part) -> None:
    set_filter(parse_filter(str(st.session_state[state.FILTER])).filter.without(part).to_text())


def put_in_filter(part: Part, *, instead_of: Callable[[Part], bool] | None = None) -> None:
    """Let rows have to pass this part, too, from the next run on; for callbacks.

    instead_of: which parts it takes the place of.
    """
    wanted = parse_filter(str(st.session_state[state.FILTER])).filter
    for one in wanted.parts:
        if instead_of is not None and instead_of(one):
            wanted = wanted.without(one)
    set_filter(wanted.and_(part).to_text())


def _put_in(make: Callable[[], Part]) -> None:
    put_in_filter(make())


def _short(text: str) -> str:
    return text if len(text) <= 48 else f"{text[:47]}…"


# adding a part


def _add(opened: Opened) -> None:
    kinds = [_SEARCH, _MEANING, _SQL]
    named = [*kinds, *column_names(opened)]
    labels = {_SEARCH: "Words in the text", _MEANING: "Close in meaning", _SQL: "A line of SQL"}
    chosen = st.selectbox(
        "What to filter by",
        named,
        format_func=lambda name: escape(labels.get(name) or column_text(name)),
        key="filter_column",
    )
    if chosen in kinds:
        made = _typed(chosen)
    else:
        column = columns_of(opened, with_vectors=chosen.startswith(("status.", "nearest")))[chosen]
        made = _bounds(chosen, column) if column.kind == "number" else _names(chosen, column)
    st.button(
        "Add the filter",
        key="filter_add",
        type="primary",
        icon=":material/add:",
        disabled=made is None,
        on_click=told(_put_in),
        args=(made,),
    )


def _typed(kind: str) -> Callable[[], Part] | None:
    hints = {
        _SEARCH: ("Words", 'sourdough "rye flour" /b[ae]k(e|ing)/'),
        _MEANING: ("About", "questions about baking bread"),
        _SQL: ("WHERE", "quality > 4 AND language = 'de'"),
    }
    label, example = hints[kind]
    text = st.text_input(label, placeholder=f"e.g. {example}", key=f"filter_text_{kind}").strip()
    most = None
    if kind == _MEANING:
        most = st.number_input("The closest", 1, 1_000_000, 100, key="filter_most")
    if not text:
        return None
    if kind == _SEARCH:
        return lambda: Search(query=text)
    if kind == _SQL:
        return lambda: Where(sql=text)
    return lambda: Near(texts=(text,), most=most)


def _bounds(name: str, column: Column) -> Callable[[], Part] | None:
    known = column.values[np.isfinite(column.values)]
    if not len(known):
        st.caption("No row has a value here.")
        return None
    least, most = float(known.min()), float(known.max())
    st.caption(f"From {least:g} to {most:g} in this pool.")
    first, second = st.columns(2)
    low = first.number_input("At least", value=None, placeholder=f"{least:g}", key=f"low_{name}")
    high = second.number_input("At most", value=None, placeholder=f"{most:g}", key=f"high_{name}")
    if low is None and high is None:
        return None
    ends = (None if low is None else float(low), None if high is None else float(high))
    return lambda: Bounds(column=name, low=ends[0], high=ends[1])


def _names(name: str, column: Column) -> Callable[[], Part] | None:
    without = st.toggle("Without these", key=f"without_{name}")
    if len(column.names) > _MOST_NAMES:
        text = st.text_input("Contains", key=f"contains_{name}")
        return (lambda: Contains(column=name, text=text, without=without)) if text else None
    names = st.multiselect("Names", column.names, format_func=escape, key=f"names_{name}")
    return (lambda: OneOf(column=name, names=tuple(names), without=without)) if names else None


# views


def _views(opened: Opened, wanted: Filter) -> None:
    found = views(opened.project)
    if not found:
        st.caption("No views yet: filter the rows, and save the filter under a name.")
    for view in found:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                escape(_short(view.name)),
                key=f"view_{view.view}",
                type="tertiary",
                help=escape(parse_filter(view.filter).filter.describe()),
                on_click=set_filter,
                args=(view.filter,),
            )
            st.space("stretch")
            st.button(
                "",
                key=f"view_delete_{view.view}",
                type="tertiary",
                icon=":material/delete:",
                help="Delete the view; the rows stay",
                disabled=not may("reviewer"),
                on_click=told(_delete),
                args=(opened, view.name),
            )
    if wanted and may("reviewer"):
        name = st.text_input("Save this filter as", max_chars=100, key="view_name").strip()
        st.button(
            "Save the view",
            key="view_save",
            icon=":material/bookmark_add:",
            disabled=not name,
            on_click=told(_save),
            args=(opened, name, wanted.to_text()),
        )


def _save(opened: Opened, name: str, text: str) -> None:
    save_view(opened.project, name, text, author=str(st.session_state.get(state.AUTHOR, "")))
    say(f"Saved the view “{name}”.")


def _delete(opened: Opened, name: str) -> None:
    delete_view(opened.project, name)
    say(f"Deleted the view “{name}”.")
