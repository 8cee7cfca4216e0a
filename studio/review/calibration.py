"""People's scores held against each scorer's: how near they are, where not, and what that costs."""

from __future__ import annotations

import math
import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from deita_core.jobs.review import calibrations, labelled_counts, write_labelled
from deita_core.people import may
from deita_core.project.browse import table_of
from deita_core.project.clusters import clusters
from deita_core.project.queues import Queue, people_scores
from deita_core.project.selections import selections
from deita_core.review.calibration import MOST_ERRORS, Calibration, Closeness, cost_of_errors
from deita_core.scoring.protocol import DIMENSIONS
from deita_core.selection.analysis.changes import Changes
from deita_core.selection.rule import SelectionRule
from studio.charts.charts import count_grid, density_figure, show
from studio.review.agreement import cluster_label
from studio.review.answered import explore_button, read_row, withheld_rows, words_withheld
from studio.review.queue_list import as_reviewed
from studio.rows.table import lines_chosen, row_table
from studio.select.cache import input_of
from studio.shell.resources import Opened, arrays, errors_shown
from studio.shell.text import escape, model_label, plural

# A scale of 1 to 6 in half points, each point in the middle of its cell.
_CELLS, _EXTENT = 11, (0.75, 6.25)
_CLUSTER = re.compile(r"cluster (\d+)")


def calibration_view(opened: Opened, queue: Queue) -> None:
    """Draw the comparison with one scorer, its errors, what they cost, and the labelled file."""
    with errors_shown():
        found = {
            f"{one.dimension.capitalize()} by {model_label(one.scorer)}": one
            for one in _found(opened, queue.queue)
            if one.whole.rows
        }
        if not found:
            _nothing_yet(queue)
        else:
            one = found[_chosen(list(found))]
            _figures(one)
            _closer(opened, one)
            _errors(opened, queue, one)
            _cost(opened, queue)
        _labelled(opened, queue)


@st.cache_resource(
    show_spinner="Comparing the scores", max_entries=8, hash_funcs={Opened: as_reviewed}
)
def _found(opened: Opened, queue: int) -> list[Calibration]:
    return calibrations(opened.project, queue, arrays(opened))


def _nothing_yet(queue: Queue) -> None:
    if not set(queue.asks) & set(DIMENSIONS):
        said = (
            "This queue does not ask for complexity or quality, so there are no people's scores to "
            "hold against a scorer's: make a queue that asks for them."
        )
    else:
        said = (
            "People's scores are held against a scorer's as soon as somebody has given one to a "
            "row that a scorer has scored, too."
        )
    st.info(said, icon=":material/straighten:")


def _chosen(names: list[str]) -> str:
    if len(names) == 1:
        st.markdown(f"**{escape(names[0])}**")
        return names[0]
    return str(
        st.selectbox("Scorer", names, key="calibration_scorer", label_visibility="collapsed")
    )


def _figures(one: Calibration) -> None:
    first, second, third, fourth = st.columns(4)
    first.metric(
        "Spearman with people",
        _number(one.whole.spearman),
        border=True,
        help="1: the scorer puts the rows in the same order as people. 0: in no such order.",
    )
    second.metric(
        "Spearman of length alone",
        _number(one.length_spearman),
        border=True,
        help="What the number of characters would reach: a scorer should be above it.",
    )
    third.metric("Within one point", f"{one.whole.within_one:.0%}", border=True)
    fourth.metric(
        "Bias",
        f"{one.whole.bias:+.2f} points",
        border=True,
        help=f"The scorer's score less people's, on average over {plural(one.whole.rows)}. A row "
        "counts with the mean of its people and the mean of its turns.",
    )


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _closer(opened: Opened, one: Calibration) -> None:
    """Both scores of each row as a picture, and the figures by language, cluster and length."""
    left, right = st.columns([2, 3])
    with left:
        on_scale = all(v.min() >= 1.0 and v.max() <= 6.0 for v in (one.people, one.scores))
        grid = count_grid(one.people, one.scores, bins=_CELLS, extent=_EXTENT if on_scale else None)
        show(
            density_figure(grid, x_title=f"people's {one.dimension}", y_title="the scorer's"),
            key="calibration_joint",
            alt=f"How many rows have which {one.dimension} of people and of the scorer",
        )
    with right:
        kinds = _parts(opened, one)
        kind = st.segmented_control(
            "By",
            list(kinds),
            default=next((kind for kind in kinds if len(kinds[kind]) > 1), next(iter(kinds))),
            required=True,
            format_func=str.capitalize,
            key="calibration_by",
            label_visibility="collapsed",
        )
        parts = kinds[str(kind)]
        table = pd.DataFrame(
            {
                str(kind): list(parts),
                "rows": [part.rows for part in parts.values()],
                "Spearman": [_or_none(part.spearman) for part in parts.values()],
                "within one point": [_or_none(part.within_one) for part in parts.values()],
                "bias": [_or_none(part.bias) for part in parts.values()],
            }
        )
        columns = {
            "Spearman": st.column_config.NumberColumn(format="%.2f"),
            "within one point": st.column_config.NumberColumn(format="percent"),
            "bias": st.column_config.NumberColumn(format="%+.2f"),
        }
        st.dataframe(
            table,
            hide_index=True,
            column_config=columns,
            height=320 if len(table) > 8 else "auto",
            alt=f"Closeness to people by {kind}",
        )


def _parts(opened: Opened, one: Calibration) -> dict[str, dict[str, Closeness]]:
    """The parts by kind and name, those with most rows first."""
    names = {cluster.cluster: cluster.name for cluster in clusters(opened.project)}
    found: dict[str, dict[str, Closeness]] = {}
    for part in sorted(one.parts, key=lambda part: -part.rows):
        kind, _, rest = part.part.partition(" ")
        if number := _CLUSTER.fullmatch(part.part):
            rest = cluster_label(int(number[1]), names)
        elif part.part == cluster_label(-1, names):
            kind, rest = "cluster", part.part
        found.setdefault(kind, {})[f"{rest} characters" if kind == "length" else rest] = part
    return {kind: found[kind] for kind in ("language", "cluster", "length") if kind in found}


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 2)


# where it errs


def _errors(opened: Opened, queue: Queue, one: Calibration) -> None:
    hidden = withheld_rows(opened, queue.queue)
    most = np.flatnonzero(~np.isin(one.rows, sorted(hidden)))[:MOST_ERRORS]
    st.subheader("Where it errs most", anchor=False)
    if left := int(np.isin(one.rows, sorted(hidden)).sum()):
        st.caption(words_withheld(left))
    if not len(most):
        return
    rows = one.rows[most].tolist()
    explore_button(rows, key="calibration_explore")
    table = pd.DataFrame(
        {
            "row": rows,
            "people": np.round(one.people[most], 2),
            "scorer": np.round(one.scores[most], 2),
            "bias": np.round(one.scores[most] - one.people[most], 2),
            "first instruction": table_of(opened.project, rows)["preview"],
        }
    )
    columns = {
        "people": st.column_config.NumberColumn(format="%.2f"),
        "scorer": st.column_config.NumberColumn(format="%.2f"),
        "bias": st.column_config.NumberColumn(format="%+.2f"),
        "first instruction": st.column_config.TextColumn(width="large"),
    }
    key = f"errors_{queue.queue}_{one.dimension}_{hash(tuple(rows)):x}"
    alt = "Rows on which the scorer errs most"
    for place in lines_chosen(table, key=key, alt=alt, columns=columns, height=245):
        with st.container(border=True):
            read_row(opened, rows[place], key="errors_row", queue=queue)


# what errors cost


def _cost(opened: Opened, queue: Queue) -> None:
    st.subheader("What the errors cost", anchor=False)
    saved = {one.name: one for one in selections(opened.project)}
    if not saved:
        st.caption("Save a selection on the Select page to see which of its rows depend on them.")
        return
    name = st.selectbox(
        "With people's scores for the scorers', these rows would enter or leave a selection",
        list(saved),
        index=None,
        placeholder="choose a saved selection",
        key="calibration_selection",
    )
    if name is None:
        return
    found = _changes(opened, queue.queue, SelectionRule.from_json(saved[name].rule))
    st.markdown(
        f"**{found.sentence()[:1].upper()}{found.sentence()[1:]}**, of {saved[name].rows:,}."
    )
    if not len(found):
        return
    rows = np.concatenate((found.entered, found.left))
    explore_button(rows.tolist(), key="cost_explore")
    why = np.full(len(arrays(opened)), "", object)
    becomes = why.copy()
    becomes[found.entered], becomes[found.left] = "enters", "leaves"
    why[rows] = [found.reason(row) for row in rows.tolist()]
    row_table(opened, rows, key="cost_rows", extra={"becomes": becomes, "why": why})


@st.cache_resource(
    show_spinner="Selecting with people's scores",
    max_entries=4,
    hash_funcs={Opened: as_reviewed, SelectionRule: SelectionRule.to_json},
)
def _changes(opened: Opened, queue: int, rule: SelectionRule) -> Changes:
    people = {name: people_scores(opened.project, name, queue) for name in DIMENSIONS}
    return cost_of_errors(rule, input_of(opened, rule), people)


# the labelled file


def _labelled(opened: Opened, queue: Queue) -> None:
    """People's scores as the file that a scorer is trained on."""
    counts = labelled_counts(opened.project, queue.queue)
    if not counts.rows:
        return
    st.subheader("Train on these reviews", anchor=False)
    st.markdown(f"{counts.sentence()[:1].upper()}{counts.sentence()[1:]}.")
    st.download_button(
        "Labelled rows",
        data=lambda: _file(opened, queue.queue),
        file_name=f"{opened.project.path.stem}-labelled.jsonl",
        mime="application/jsonl",
        icon=":material/download:",
        key="calibration_labelled",
        on_click="ignore",
        disabled=not may("curator"),
        help="Instruction, response and the mean of people's scores of each row of one turn, as "
        "JSON Lines: the file that the command `decisions --labelled` writes."
        if may("curator")
        else "Takes the role curator.",
    )


def _file(opened: Opened, queue: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "labelled.jsonl"
        write_labelled(opened.project, out, queue)
        return out.read_bytes()
