"""The history of a project: who did what, and when; to filter, page through and download."""

from __future__ import annotations

from functools import partial

import streamlit as st

from deita_core.project.log import LOG_FORMATS, log_entries, log_length, log_names, log_text
from studio.shell import state
from studio.shell.resources import Opened, errors_shown
from studio.shell.text import plural

_AT_ONCE = 50


@state.dialog("History", width="large")
@errors_shown()
def show_log(opened: Opened) -> None:
    """Draw the log, newest first."""
    project = opened.project
    with st.container(horizontal=True):
        who = st.selectbox(
            "Who", log_names(project, "who"), index=None, placeholder="everybody", key="log_who"
        )
        action = st.selectbox(
            "What",
            log_names(project, "action"),
            index=None,
            placeholder="everything",
            key="log_action",
        )
    count = log_length(project, who=who, action=action)
    pages = max(1, -(-count // _AT_ONCE))
    page = min(st.session_state.get("log_page", 1), pages)
    found = log_entries(
        project, who=who, action=action, limit=_AT_ONCE, offset=(page - 1) * _AT_ONCE
    )
    st.dataframe(
        [
            {
                "when (UTC)": entry.made,
                "who": entry.who,
                "role": entry.role,
                "what": entry.action,
                "details": entry.details(),
            }
            for entry in found
        ],
        hide_index=True,
        column_config={"details": st.column_config.TextColumn(width="large")},
        alt="Who did what, newest first",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plural(count, "entry", "entries"), width="content")
        if pages > 1:
            st.pagination(pages, key="log_page")
    with st.container(horizontal=True):
        for format in LOG_FORMATS:
            st.download_button(
                f"Download as {format.upper()}",
                partial(log_text, project, format),
                file_name=f"{project.path.stem}-log.{format}",
                icon=":material/download:",
                on_click="ignore",
                key=f"log_{format}",
            )
