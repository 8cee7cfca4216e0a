"""The pages down the side column, in the order of the work, each with its state."""

from __future__ import annotations

from itertools import count

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from studio.shell.resources import Opened, info
from studio.shell.text import plural


def pages_with_state(opened: Opened | None) -> list[StreamlitPage]:
    """The pages in the order of the work; titles carry how far the project has come."""
    pool = score = select = ""
    if opened is not None:
        found = info(opened)
        pool = plural(found.imported) if found.imported else "empty"
        tried = found.imported - found.unscored
        score = f"{100 * tried // found.imported} %" if found.imported else ""
        select = f"{found.selections} saved" if found.selections else ""
    pages = (
        ("pool", pool, ":material/database:", "Load files and see what is in them."),
        ("score", score, ":material/speed:", "Complexity and quality of each turn."),
        ("explore", "", ":material/scatter_plot:", "The pool as a map."),
        ("select", select, ":material/filter_alt:", "Threshold, budget, result."),
        ("export", "", ":material/download:", "Write a selection for a trainer."),
    )
    return [
        st.Page(
            f"pages/{name}.py",
            title=f"{name.capitalize()} · {facts}" if facts else name.capitalize(),
            icon=icon,
            url_path=name,
            default=name == "pool",
            help=help,
        )
        for name, facts, icon, help in pages
    ]


_RUNS = count()


def first_run_of_server() -> bool:
    """True once in the life of a server: draw that page again.

    Until the first `st.navigation`, Streamlit takes `pages/` for its older kind of app, in which
    widgets have other identities; a click on what was drawn then would be lost.
    """
    return next(_RUNS) == 0
