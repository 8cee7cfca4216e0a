"""Rows that did not get in: rejects with their raw text, and duplicates."""

from __future__ import annotations

import json

import streamlit as st

from deita_core.project.browse import duplicates_page, reject_reasons, rejects_page
from pages.parts.resources import Opened, info

_PAGE = 50


def rejects_view(opened: Opened) -> None:
    """Reasons with counts, then the rejected rows page by page, with download."""
    total = info(opened).rejected
    if not total:
        st.success("No row was rejected.", icon=":material/check:")
        return
    st.dataframe(reject_reasons(opened.project), hide_index=True, alt="Reasons of the rejects")
    page = _pages(total, "rejects_page")
    table = rejects_page(opened.project, _PAGE, page * _PAGE)
    event = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key="rejects_table",
        column_config={"raw": st.column_config.TextColumn("raw text", width="large")},
        alt="Rejected rows",
    )
    chosen = event.selection.rows
    if chosen:
        row = table.iloc[chosen[0]]
        place = f"row {row['position']}" + (f", line {row['line']:.0f}" if row["line"] > 0 else "")
        st.markdown(f"**{row['reason']}** · {row['file']}, {place}")
        st.code(row["raw"][:20_000], language=None, wrap_lines=True)
    st.download_button(
        "Download all rejected rows",
        lambda: _as_json_lines(opened),
        file_name="rejected.jsonl",
        mime="application/jsonl",
        icon=":material/download:",
    )


def _as_json_lines(opened: Opened) -> str:
    table = rejects_page(opened.project, 10_000_000)
    lines = []
    for row in table.to_dict("records"):
        row["line"] = None if row["line"] != row["line"] else int(row["line"])
        lines.append(json.dumps(row, ensure_ascii=False, default=int))
    return "\n".join(lines) + "\n"


def duplicates_view(opened: Opened) -> None:
    """Rows left out because the same conversation is in the pool already."""
    total = info(opened).duplicates
    if not total:
        st.success("No row is there twice.", icon=":material/check:")
        return
    st.caption("The same roles, texts and tools as a row that came before; that row was kept.")
    page = _pages(total, "duplicates_page")
    st.dataframe(
        duplicates_page(opened.project, _PAGE, page * _PAGE),
        hide_index=True,
        column_config={"row": "kept as row", "preview": st.column_config.TextColumn(width="large")},
        alt="Duplicate rows and the row that was kept",
    )


def _pages(total: int, key: str) -> int:
    pages = (total + _PAGE - 1) // _PAGE
    return 0 if pages <= 1 else int(st.pagination(pages, key=key)) - 1
