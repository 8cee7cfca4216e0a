"""What the pool is made of: its files, lengths, turns, languages and flags, and the rows left out.

None of it needs a model. Left out are rejects, with their raw text, and duplicates.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import streamlit as st

from deita_core.jobs.chains import preparation
from deita_core.jobs.kinds.import_pool import refused
from deita_core.people import may
from deita_core.project.browse import duplicates_page, reject_reasons, rejects_page, tally
from deita_core.project.pool import sources
from deita_core.selection.pool_table import PoolTable
from studio.charts.charts import count_by_group, histogram_figure, shares_figure, show
from studio.rows.conversation import page_chosen
from studio.rows.table import PAGE, lines_chosen
from studio.shell.resources import Opened, arrays, info
from studio.shell.text import compact, escape, file_size, percent, plural


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
            "size": [file_size(s.bytes) if s.bytes is not None else "" for s in files],
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
    for one in refused(opened.project):
        roles = ", ".join(f"{theirs} → {ours}" for theirs, ours in one.roles.items())
        remedy = f"with the roles {roles}" if roles else "and say which field is which"
        st.error(
            escape(f"{one.sentence}. Load it again under “Column mapping” {remedy}."),
            icon=":material/error:",
        )
    stopped = [s.source for s in files if s.state == "incomplete"]
    if stopped and not opened.runner.busy:
        st.warning(
            f"{plural(len(stopped), 'file was', 'files were')} not read to the end.",
            icon=":material/pause_circle:",
        )
        allowed = may("curator")
        if st.button("Go on importing", icon=":material/play_arrow:", disabled=not allowed):
            opened.runner.submit(preparation(stopped))
            st.rerun()


def pool_overview(opened: Opened) -> None:
    """Lengths, turns, languages and flags of the pool, at a glance."""
    pool = arrays(opened)
    _figures(pool)
    left, right = st.columns(2)
    with left:
        st.caption("Length of a conversation; the longest 1 % count in the last bar")
        extent = (0.0, max(1.0, float(np.quantile(pool.tokens, 0.99))))
        show(
            histogram_figure(
                count_by_group(pool.tokens.astype(np.float64), extent=extent),
                title="tokens",
                unit="approximate",
                height=210,
            ),
            key="overview-tokens",
            alt="How long the conversations are, in tokens",
        )
        st.caption("Languages")
        _shares(opened, "language")
    with right:
        st.caption("Turns of a conversation")
        names = np.array(["1", "2", "3 to 5", "6 to 10", "more than 10"])
        groups = names[np.searchsorted([1, 2, 5, 10], pool.turns)]
        counts = {name: int((groups == name).sum()) for name in names.tolist()}
        show(
            shares_figure({name: n for name, n in counts.items() if n}, in_order=True),
            key="overview-turns",
            alt="How many turns the conversations have",
        )
        st.caption("Flags: what looks careless without asking a model (see the tab Flags)")
        _shares(opened, "flag")


def _figures(pool: PoolTable) -> None:
    figures = {
        "Tokens in all": compact(int(pool.tokens.sum())),
        "Median length": f"{np.median(pool.tokens):,.0f} tokens",
        "With several turns": percent(int((pool.turns > 1).sum()), len(pool)),
        "With a flag": percent(int((pool.flags != 0).sum()), len(pool)),
    }
    for column, (label, figure) in zip(st.columns(4), figures.items(), strict=True):
        column.metric(label, figure, border=True)


def _shares(opened: Opened, column: str) -> None:
    counts = tally(opened.project, column)
    if counts.empty:
        st.caption("None.")
        return
    show(
        shares_figure(
            dict(zip(counts["name"], counts["rows"], strict=True)),
            most=8,
            total=len(arrays(opened)),
        ),
        key=f"overview-{column}",
        alt=f"Rows by {column}",
    )


def rejects_view(opened: Opened) -> None:
    """Reasons with counts, then the rejected rows page by page, with download."""
    total = info(opened).rejected
    if not total:
        st.success("No row was rejected.", icon=":material/check:")
        return
    st.dataframe(reject_reasons(opened.project), hide_index=True, alt="Reasons of the rejects")
    page = page_chosen(total, PAGE, key="rejects")
    table = rejects_page(opened.project, PAGE, page * PAGE)
    chosen = lines_chosen(
        table,
        key="rejects_table",
        columns={"raw": st.column_config.TextColumn("raw text", width="large")},
        alt="Rejected rows",
    )
    if chosen:
        row = table.iloc[chosen[0]]
        place = f"row {row['position']}" + (f", line {row['line']:.0f}" if row["line"] > 0 else "")
        st.markdown(f"**{escape(row['reason'])}** · {escape(row['file'])}, {place}")
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
    page = page_chosen(total, PAGE, key="duplicates")
    st.dataframe(
        duplicates_page(opened.project, PAGE, page * PAGE),
        hide_index=True,
        column_config={"row": "kept as row", "preview": st.column_config.TextColumn(width="large")},
        alt="Duplicate rows and the row that was kept",
    )
