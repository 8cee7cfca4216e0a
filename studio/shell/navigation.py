"""The pages down the side column, in the order of the work, each with its state."""

from __future__ import annotations

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from studio.shell.formatting import plural
from studio.shell.resources import Opened, info


def pages_with_state(opened: Opened | None) -> list[StreamlitPage]:
    """The pages in the order of the work; titles carry how far the project has come."""
    pool = score = select = ""
    if opened is not None:
        found = info(opened)
        pool = plural(found.imported) if found.imported else "empty"
        tried = found.imported - found.unscored
        score = f"{100 * tried // found.imported} %" if found.imported else ""
        select = f"{found.selections} saved" if found.selections else ""
    return [
        _page("pool", "Pool", pool, ":material/database:", "Load files and see what is in them."),
        _page("score", "Score", score, ":material/speed:", "Complexity and quality of each turn."),
        _page("explore", "Explore", "", ":material/scatter_plot:", "The pool as a map."),
        _page("select", "Select", select, ":material/filter_alt:", "Threshold, budget, result."),
        _page("export", "Export", "", ":material/download:", "Write a selection for a trainer."),
    ]


@st.cache_resource(show_spinner=False)
def _runs() -> list[bool]:
    return []


def first_run_of_server() -> bool:
    """True once in the life of a server: draw that page again.

    Until the first `st.navigation`, Streamlit takes `pages/` for its older kind of app, in which
    widgets have other identities; a click on what was drawn then would be lost.
    """
    if _runs():
        return False
    _runs().append(True)
    return True


def _page(name: str, title: str, facts: str, icon: str, help: str) -> StreamlitPage:
    return st.Page(
        f"pages/{name}.py",
        title=f"{title} · {facts}" if facts else title,
        icon=icon,
        url_path=name,
        default=name == "pool",
        help=help,
    )
