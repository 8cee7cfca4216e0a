"""The files of the pool with their counts."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from deita_core.project.pool import sources
from deita_core.steps import preparation
from pages.parts import words
from pages.parts.resources import Opened


def files_table(opened: Opened) -> None:
    """One line a file: read = imported + duplicates + rejected, format, hash."""
    files = sources(opened.project)
    table = pd.DataFrame(
        {
            "file": [s.name for s in files],
            "read": [s.read for s in files],
            "imported": [s.imported for s in files],
            "duplicates": [s.duplicates for s in files],
            "rejected": [s.rejected for s in files],
            "adds up": ["yes" if s.complete else "no" for s in files],
            "state": [s.state for s in files],
            "size": [words.size(s.bytes) if s.bytes is not None else "" for s in files],
            "read as": [s.explanation or "" for s in files],
            "SHA-256": [(s.sha256 or "")[:16] for s in files],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        column_config={"read as": st.column_config.TextColumn(width="medium")},
        alt="Files of the pool with rows read, imported, duplicate and rejected",
    )
    stopped = [s.source for s in files if s.state == "incomplete"]
    if stopped and not opened.runner.busy:
        st.warning(
            f"{words.rows(len(stopped), 'file was', 'files were')} not read to the end.",
            icon=":material/pause_circle:",
        )
        if st.button("Go on importing", icon=":material/play_arrow:"):
            opened.runner.submit(preparation(stopped))
            st.rerun()
