"""The bar of filters: a chip for each part, what adds one, and the saved views.

The filter stands in the address as its short text, so a link shows the same rows; what an address
holds that cannot be read is said and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.errors import DeitaError
from deita_core.filtering.columns import Column
from deita_core.filtering.filter import (
    Bounds,
    Contains,
    Filter,
    OneOf,
    Part,
    Search,
    Where,
    column_text,
    parse_filter,
)
from deita_core.people import may
from deita_core.project.views import View, delete_view, rename_view, save_view, views
from studio.filters.current import current_filter, put_in_filter, set_filter
from studio.filters.found import search_for
from studio.filters.masks import column_names, columns_of, mask_of
from studio.filters.meaning import by_meaning
from studio.shell import state
from studio.shell.person import reviewer_name, told
from studio.shell.resources import Opened, errors_shown, say
from studio.shell.text import escape

# More names than this are searched for by a text instead of chosen from a list.
_MOST_NAMES = 200
_SEARCH, _SQL, _TEXT = "words", "SQL", "text"


def filter_bar(opened: Opened) -> NDArray[np.bool_] | None:
    """Draw the bar of Explore; the rows that pass, (n,) bool, or None where nothing is filtered."""
    wanted = filter_chips(opened)
    if not wanted:
        return None
    search_for(*(part.query for part in wanted.parts if isinstance(part, Search)))
    try:
        return mask_of(opened, wanted.to_text())
    except DeitaError as error:
        st.error(f"The filter is not applied: {escape(str(error))}")
        return None


def filter_chips(opened: Opened, place: str = state.FILTER) -> Filter:
    """Draw one line with the filter of a place as chips, what adds one, and the saved views.

    place: the key under which the session and the address hold the filter's text: of Explore, or
    of the rule on Select.
    """
    wanted = current_filter(place)
    with st.container(horizontal=True, vertical_alignment="center"):
        adding = st.popover("Filter", icon=":material/filter_alt:", key=f"{place}_add")
        with adding, errors_shown():
            _add(opened, place)
        with st.popover("By meaning", icon=":material/join_inner:", key=f"{place}_meaning"):
            by_meaning(place)
        with st.popover("Views", icon=":material/bookmarks:", key=f"{place}_views"):
            _views(opened, wanted, place)
        if wanted:
            # In one line that scrolls: what is beneath stays where it is, however many there are.
            with st.container(horizontal=True, wrap=False, gap="xsmall", key=f"{place}_chips"):
                for number, part in enumerate(wanted.parts):
                    _chip(place, number, part)
        if len(wanted.parts) > 1:
            key = f"{place}_clear"
            label = f"Clear all {len(wanted.parts)}"
            st.button(label, key=key, type="tertiary", on_click=set_filter, args=("", place))
    return wanted


def _chip(place: str, number: int, part: Part) -> None:
    st.button(
        escape(_short(part.describe())),
        key=f"{place}_chip_{number}",
        icon=":material/close:",
        help=f"Take out: {escape(part.describe())}",
        on_click=_take_out,
        args=(part, place),
    )


def _take_out(part: Part, place: str) -> None:
    set_filter(parse_filter(str(st.session_state[place])).filter.without(part).to_text(), place)


def _put_in(make: Callable[[], Sequence[Part]], place: str) -> None:
    put_in_filter(*make(), place=place)


def _short(text: str) -> str:
    return text if len(text) <= 48 else f"{text[:47]}…"


# adding a part

Made = Callable[[], Sequence[Part]]


def _add(opened: Opened, place: str) -> None:
    kinds = [_SEARCH, _SQL, _TEXT]
    named = [*kinds, *column_names(opened)]
    labels = {
        _SEARCH: "Words in the text",
        _SQL: "A line of SQL",
        _TEXT: "A filter as text",
    }
    chosen = st.selectbox(
        "What to filter by",
        named,
        format_func=lambda name: escape(labels.get(name) or column_text(name)),
        key=f"{place}_column",
    )
    if chosen in kinds:
        made = _typed(chosen, place)
    else:
        column = columns_of(opened, with_vectors=chosen.startswith(("status.", "nearest")))[chosen]
        made = (
            _bounds(chosen, column, place)
            if column.kind == "number"
            else _names(chosen, column, place)
        )
    st.button(
        "Add the filter",
        key=f"{place}_do",
        type="primary",
        icon=":material/add:",
        disabled=made is None,
        on_click=told(_put_in),
        args=(made, place),
    )


def _typed(kind: str, place: str) -> Made | None:
    hints = {
        _SEARCH: ("Words", 'sourdough "rye flour" /b[ae]k(e|ing)/'),
        _SQL: ("WHERE", "quality > 4 AND language = 'de'"),
        _TEXT: ("Filter", "quality=4..;tag=good,fine;search=bread"),
    }
    label, example = hints[kind]
    text = st.text_input(label, placeholder=f"e.g. {example}", key=f"{place}_text_{kind}").strip()
    if not text:
        return None
    if kind == _SEARCH:
        return lambda: [Search(query=text)]
    if kind == _SQL:
        return lambda: [Where(sql=text)]
    return lambda: parse_filter(text).strict().parts


def _bounds(name: str, column: Column, place: str) -> Made | None:
    known = column.values[np.isfinite(column.values)]
    if not len(known):
        st.caption("No row has a value here.")
        return None
    least, most = float(known.min()), float(known.max())
    st.caption(f"From {least:g} to {most:g} in this pool.")
    first, second = st.columns(2)
    low = first.number_input(
        "At least", value=None, placeholder=f"{least:g}", key=f"{place}_low_{name}"
    )
    high = second.number_input(
        "At most", value=None, placeholder=f"{most:g}", key=f"{place}_high_{name}"
    )
    if low is None and high is None:
        return None
    ends = (None if low is None else float(low), None if high is None else float(high))
    return lambda: [Bounds(column=name, low=ends[0], high=ends[1])]


def _names(name: str, column: Column, place: str) -> Made | None:
    without = st.toggle("Without these", key=f"{place}_without_{name}")
    if len(column.names) > _MOST_NAMES:
        text = st.text_input("Contains", key=f"{place}_contains_{name}")
        return (lambda: [Contains(column=name, text=text, without=without)]) if text else None
    names = st.multiselect("Names", column.names, format_func=escape, key=f"{place}_names_{name}")
    return (lambda: [OneOf(column=name, names=tuple(names), without=without)]) if names else None


# views


def _views(opened: Opened, wanted: Filter, place: str) -> None:
    found = views(opened.project)
    explored = str(st.session_state.get(state.FILTER, "")) if place != state.FILTER else ""
    if explored:
        st.button(
            "As filtered on Explore",
            key=f"{place}_explored",
            icon=":material/scatter_plot:",
            type="tertiary",
            help=escape(parse_filter(explored).filter.describe()),
            on_click=set_filter,
            args=(explored, place),
        )
    if not found:
        st.caption("No views yet: filter the rows, and save the filter under a name.")
    for view in found:
        _view(opened, view, place)
    if wanted and may("reviewer"):
        name = st.text_input("Save this filter as", max_chars=100, key=f"{place}_name").strip()
        taken = name in {view.name for view in found}
        st.button(
            f"Replace “{escape(_short(name))}”" if taken else "Save the view",
            key=f"{place}_save",
            icon=":material/bookmark_add:",
            disabled=not name,
            on_click=told(_save),
            args=(opened, name, wanted.to_text(), taken),
        )


def _view(opened: Opened, view: View, place: str) -> None:
    """One view: to choose, rename and delete."""
    key = f"{place}_view_{view.view}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            escape(_short(view.name)),
            key=key,
            type="tertiary",
            help=escape(parse_filter(view.filter).filter.describe()),
            on_click=set_filter,
            args=(view.filter, place),
        )
        if not may("reviewer"):
            return
        st.space("stretch")
        renaming = st.toggle("Rename", key=f"{key}_rename")
        st.button(
            "",
            key=f"{key}_delete",
            type="tertiary",
            icon=":material/delete:",
            help="Delete the view; the rows stay",
            on_click=told(_delete),
            args=(opened, view.name),
        )
    if renaming:
        st.text_input(
            "New name",
            view.name,
            max_chars=100,
            key=f"{key}_name",
            on_change=told(_rename),
            args=(opened, view.name, key),
        )


def _save(opened: Opened, name: str, text: str, replace: bool) -> None:
    save_view(opened.project, name, text, author=reviewer_name(), replace=replace)
    say(f"{'Replaced' if replace else 'Saved'} the view “{name}”.")


def _rename(opened: Opened, name: str, key: str) -> None:
    new = str(st.session_state[f"{key}_name"]).strip()
    if new and new != name:
        rename_view(opened.project, name, new)
        say(f"The view “{name}” is called “{new}” now.")
    st.session_state[f"{key}_rename"] = False


def _delete(opened: Opened, name: str) -> None:
    delete_view(opened.project, name)
    say(f"Deleted the view “{name}”.")
