"""Which filter holds on a page: it stands in the session and, as its short text, in the address.

A place is the key of both: of Explore, or of the rule on Select.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from deita_core.filtering.filter import Filter, Part, parse_filter
from studio.shell import state
from studio.shell.text import escape


def current_filter(place: str = state.FILTER) -> Filter:
    """The filter that holds now; after a link or Back it is the address's."""
    if state.address_decides(place):
        found = parse_filter(st.query_params.get(place, ""))
        for problem in found.problems:
            st.toast(f"The address has a filter that cannot be read: {escape(problem)}")
        st.session_state[place] = found.filter.to_text()
    text = str(st.session_state[place])
    state.put_in_address(place, text or None)
    return parse_filter(text).filter


def set_filter(text: str, place: str = state.FILTER) -> None:
    """Let the filter of this short text hold from the next run on; for callbacks."""
    st.session_state[place] = text


def open_in_explore(text: str) -> None:
    """Go to Explore with the filter of this short text; for callbacks."""
    set_filter(text)
    st.session_state[state.WANTED_PAGE] = "explore"


def put_in_filter(
    *parts: Part, instead_of: Callable[[Part], bool] | None = None, place: str = state.FILTER
) -> None:
    """Let rows have to pass these parts, too, from the next run on; for callbacks.

    instead_of: which parts they take the place of.
    """
    wanted = parse_filter(str(st.session_state.get(place, ""))).filter
    for one in wanted.parts:
        if instead_of is not None and instead_of(one):
            wanted = wanted.without(one)
    set_filter(wanted.and_(*parts).to_text(), place)
