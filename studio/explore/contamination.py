"""Rows in view that hold texts of a benchmark or lie close to them: looked for, read, excluded."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from deita_core.describe import CONTAMINATED
from deita_core.files import cell_text
from deita_core.filtering.filter import OneOf
from deita_core.jobs.kinds import ContaminationSpec
from deita_core.people import may
from deita_core.project.browse import stored_row
from deita_core.project.contamination import (
    Benchmark,
    BenchmarkPair,
    benchmark_pairs,
    benchmarks,
    excludable,
    exclude_contaminated,
    excluded_for,
    forget_benchmark,
    restore_contaminated,
)
from deita_core.project.models import active_model
from deita_core.similarity.contamination import RUN, SHORTEST
from studio.explore.spread import Rows
from studio.filters.current import put_in_filter
from studio.pool.loader import one_file
from studio.rows.conversation import marked_run, page_chosen, plain_text
from studio.rows.table import PAGE, lines_chosen
from studio.shell.jobs_panel import active_job
from studio.shell.person import reviewer_name, told
from studio.shell.resources import AS_OF_NOW, Opened, errors_shown, say
from studio.shell.text import escape, plural


def contamination_view(opened: Opened, rows: Rows) -> None:
    """Draw what benchmarks found among these rows, and the form that holds the pool to another."""
    with errors_shown():
        known = {one.name: one for one in benchmarks(opened.project)}
        if known:
            name = st.selectbox("Benchmark", list(known)[::-1], key="contamination_benchmark")
            _found(opened, known[name], rows)
        running = active_job(opened, ContaminationSpec.kind)
        if not running and may("curator"):
            title = "Hold the pool against another benchmark"
            with st.expander(title if known else "Hold the pool against a benchmark", not known):
                _form(opened)
        elif not running and not known:
            st.caption("The pool was held against no benchmark yet.")


# what was found


def _found(opened: Opened, one: Benchmark, rows: Rows) -> None:
    st.markdown(f"{escape(one.sentence)}.")
    pairs = _pairs(opened, one.name)
    inside = np.isin([pair.row for pair in pairs], rows)
    shown = [pair for pair, is_in in zip(pairs, inside, strict=True) if is_in]
    if pairs:
        _actions(opened, one, pairs, rows)
    if len(shown) < len(pairs):
        st.caption(f"{plural(len(shown), 'pair', 'pairs')} of {len(pairs):,} are of rows in view.")
    if shown:
        _list(opened, one, shown)


@st.cache_data(show_spinner=False, max_entries=8, hash_funcs=AS_OF_NOW)
def _pairs(opened: Opened, name: str) -> list[BenchmarkPair]:
    return benchmark_pairs(opened.project, name)


def _actions(opened: Opened, one: Benchmark, pairs: list[BenchmarkPair], rows: Rows) -> None:
    with st.container(horizontal=True):
        st.button(
            "Show only these rows",
            key="contamination_filter",
            icon=":material/filter_alt:",
            help="Filters by the flag that the rows of all benchmarks have.",
            on_click=told(put_in_filter),
            args=(OneOf(column="flag", names=(CONTAMINATED,)),),
        )
        wanted = excludable(opened.project, one.name, rows.tolist())
        if may("reviewer") and wanted:
            st.button(
                f"Exclude {plural(len(wanted))}",
                key="contamination_exclude",
                icon=":material/block:",
                help="Of the rows in view. Pinned rows stay; nothing is deleted.",
                on_click=told(_exclude),
                args=(opened, one.name, rows),
            )
        if may("reviewer") and (out := excluded_for(opened.project, one.name)):
            st.button(
                f"Undo: take {plural(len(out))} back",
                key="contamination_undo",
                icon=":material/undo:",
                on_click=told(_take_back),
                args=(opened, one.name),
            )
        st.download_button(
            "Report",
            data=lambda: report_csv(pairs),
            file_name=f"contamination-{Path(one.name).stem}.csv",
            mime="text/csv",
            icon=":material/download:",
            key="contamination_report",
            on_click="ignore",
            help="All pairs as CSV.",
        )
        if may("curator"):
            st.button(
                "Forget",
                key="contamination_forget",
                type="tertiary",
                icon=":material/delete:",
                help="Takes back what this benchmark found, the flags too. Exclusions stay.",
                on_click=told(forget_benchmark),
                args=(opened.project, one.name),
            )


def report_csv(pairs: Sequence[BenchmarkPair]) -> str:
    """The pairs as CSV, one a line; texts are safe for a spreadsheet."""
    out = io.StringIO()
    names = list(BenchmarkPair.__dataclass_fields__)
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for pair in pairs:
        told_of = asdict(pair).items()
        writer.writerow({k: cell_text(v) if isinstance(v, str) else v for k, v in told_of})
    return out.getvalue()


def _exclude(opened: Opened, name: str, rows: Rows) -> None:
    done = exclude_contaminated(opened.project, name, rows.tolist(), author=reviewer_name())
    say(f"Excluded {plural(len(done))} that {escape(name)} found.")


def _take_back(opened: Opened, name: str) -> None:
    done = restore_contaminated(opened.project, name, author=reviewer_name())
    say(f"Took {plural(len(done))} back.")


def _list(opened: Opened, one: Benchmark, shown: list[BenchmarkPair]) -> None:
    page = page_chosen(len(shown), PAGE, key="contamination_page")
    part = shown[page * PAGE : (page + 1) * PAGE]
    table = pd.DataFrame(
        {
            "row": [pair.row for pair in part],
            "words shared": [pair.share for pair in part],
            "similarity": [pair.similarity for pair in part],
            "benchmark": [f"record {pair.position}, {pair.part}" for pair in part],
            "its text": [pair.text for pair in part],
        }
    )
    if one.threshold is None:
        table = table.drop(columns="similarity")
    columns = {
        "words shared": st.column_config.NumberColumn(format="percent"),
        "similarity": st.column_config.NumberColumn(format="%.3f"),
    }
    key = f"contamination_{one.benchmark}_{hash(tuple(part)):x}"
    alt = "Pairs of a row and a text of the benchmark"
    for place in lines_chosen(table, key=key, alt=alt, columns=columns, height=245):
        _pair(opened, part[place])


def _pair(opened: Opened, pair: BenchmarkPair) -> None:
    """Row and benchmark side by side, the longest run that they share marked in both."""
    run = pair.longest or ""
    text = plain_text(stored_row(opened.project, pair.row).conversation)
    names = (f"Row {pair.row}", f"{pair.benchmark}, record {pair.position}, {pair.part}")
    for column, name, said in zip(st.columns(2), names, (text, pair.text), strict=True):
        with column.container(border=True):
            st.caption(escape(name))
            st.markdown(marked_run(said, run), anchors=False)
    if not run:
        st.caption("Close in meaning alone: no run of words is shared.")


# looking for it


def _form(opened: Opened) -> None:
    file = one_file("Benchmark file", key="contamination")
    left, right = st.columns(2, vertical_alignment="bottom")
    run = left.number_input(
        "Words in a row that count", SHORTEST, 100, RUN, key="contamination_run", help="13 in GPT-3"
    )
    embedded = active_model(opened.project, "embedding") is not None
    by_meaning = right.toggle(
        "Also close in meaning", key="contamination_close", disabled=not embedded
    )
    threshold = None
    if by_meaning and embedded:
        threshold = st.slider("Similarity above", 0.5, 0.99, 0.9, 0.01, key="contamination_above")
    st.button(
        "Look for it in the pool",
        key="contamination_look",
        type="primary",
        icon=":material/search:",
        disabled=file is None,
        on_click=told(_look),
        args=(opened, file, int(run), threshold),
    )


def _look(opened: Opened, file: Path, run: int, threshold: float | None) -> None:
    opened.runner.submit([ContaminationSpec(file=file, run=run, threshold=threshold)])
