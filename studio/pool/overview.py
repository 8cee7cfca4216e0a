"""What the pool is made of: its files, lengths, turns, languages and flags, and the rows left out.

None of it needs a model. Left out are rejects, with their raw text, and duplicates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from deita_core.describe import FLAGS
from deita_core.filtering.filter import Bounds, Filter, OneOf, Part
from deita_core.jobs.chains import preparation
from deita_core.jobs.kinds.import_pool import refused
from deita_core.people import may
from deita_core.project.browse import duplicates_page, reject_reasons, rejects_page, tally
from deita_core.project.pool import sources
from deita_core.selection.pool_table import PoolTable
from studio.charts.charts import count_by_group, histogram_figure, rank_shares, shares_figure, show
from studio.filters.current import open_in_explore
from studio.rows.conversation import page_chosen
from studio.rows.table import PAGE, lines_chosen
from studio.shell.resources import Opened, arrays, info
from studio.shell.text import compact, escape, file_size, percent, plural

# The last numbers of turns of the groups that a chart shows; the last group has no end.
_TURNS: Final = (1, 2, 5, 10)
_TURNS_SAID: Final = ("1", "2", "3 to 5", "6 to 10", "more than 10")
_MOST_BARS: Final = 8


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
    """Lengths, turns, languages and flags of the pool, at a glance; a bar leads to its rows."""
    pool = arrays(opened)
    _figures(pool)
    st.caption("A click on a bar opens its rows in Explore.")
    left, right = st.columns(2)
    with left:
        st.caption("Length of a conversation; the longest 1 % count in the last bar")
        _lengths(pool)
        st.caption("Languages")
        _shares(opened, "language")
    with right:
        st.caption("Turns of a conversation")
        counts = np.bincount(np.searchsorted(_TURNS, pool.turns), minlength=len(_TURNS_SAID))
        shown = [place for place, count in enumerate(counts.tolist()) if count]
        show(
            shares_figure({_TURNS_SAID[n]: int(counts[n]) for n in shown}, in_order=True),
            key="overview-turns",
            alt="How many turns the conversations have",
            on_pick=lambda bar: _explore(turns_part(shown[bar])),
        )
        st.caption("Flags: what looks careless without asking a model (see the tab Flags)")
        _shares(opened, "flag")


def _explore(part: Part) -> None:
    open_in_explore(Filter(parts=(part,)).to_text())


def _lengths(pool: PoolTable) -> None:
    extent = (0.0, max(1.0, float(np.quantile(pool.tokens, 0.99))))
    counted = count_by_group(pool.tokens.astype(np.float64), extent=extent)
    show(
        histogram_figure(counted, title="tokens", unit="approximate", height=210),
        key="overview-tokens",
        alt="How long the conversations are, in tokens",
        on_pick=lambda bar: _explore(length_part(counted.edges, bar)),
    )


def length_part(edges: NDArray[np.float64], bar: int) -> Bounds:
    """The whole numbers of tokens that count in a bar: from its edge to below the next.

    edges: (b + 1,); the last bar has no upper end.
    """
    last = bar == len(edges) - 2
    high = None if last else float(np.ceil(edges[bar + 1])) - 1
    return Bounds(column="tokens", low=float(np.ceil(edges[bar])), high=high)


def turns_part(group: int) -> Bounds:
    """The numbers of turns of one of the groups of `_TURNS_SAID`."""
    low = _TURNS[group - 1] + 1 if group else None
    return Bounds(column="turns", low=low, high=dict(enumerate(_TURNS)).get(group))


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
    shares = dict(zip(counts["name"], counts["rows"], strict=True))
    show(
        shares_figure(shares, most=_MOST_BARS, total=len(arrays(opened))),
        key=f"overview-{column}",
        alt=f"Rows by {column}",
        on_pick=lambda bar: _explore(names_part(column, shares, bar)),
    )


def names_part(column: str, shares: Mapping[str, int], bar: int) -> OneOf:
    """The name of a bar; of the last one all names that did not get a bar of their own."""
    bars = [name for name, _ in rank_shares(shares, _MOST_BARS)]
    named = set(bars[:_MOST_BARS])
    names = [bars[bar]] if bar < _MOST_BARS else [name for name in shares if name not in named]
    return OneOf(column=column, names=tuple(names))


def flags_view(opened: Opened) -> None:
    """What each flag means and how many rows have it; the ticked one leads to its rows."""
    counts = tally(opened.project, "flag")
    st.caption("Flags need no model. A row can have several, and most have none.")
    counts["share"] = [percent(count, info(opened).imported) for count in counts["rows"]]
    counts["meaning"] = [FLAGS.get(name, "") for name in counts["name"]]
    chosen = lines_chosen(
        counts,
        key="pool_flags",
        columns={"name": "flag", "meaning": st.column_config.TextColumn(width="large")},
        alt="How many rows have each quality flag",
    )
    if not chosen:
        st.caption("Tick a flag to see its rows.")
        return
    name, rows = str(counts["name"][chosen[0]]), int(counts["rows"][chosen[0]])
    st.button(
        f"Open its {plural(rows)} in Explore",
        key="pool_flag_explore",
        icon=":material/travel_explore:",
        on_click=_explore,
        args=(OneOf(column="flag", names=(name,)),),
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
