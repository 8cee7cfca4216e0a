"""Everything the app caches: open projects with their job runners, and the arrays of a pool.

Keys carry the project's path and data version, so nothing stale is ever shown. Connections and
arrays are shared between sessions (`cache_resource`) and must not be changed by a page.
"""

from __future__ import annotations

import atexit
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.curate import selection_input
from deita_core.jobs import JobRunner
from deita_core.project import Project
from deita_core.project.arrays import PoolArrays, load_arrays
from deita_core.project.browse import previews
from deita_core.project.summary import ProjectInfo, project_info
from deita_core.selection.evol import evol_scores, row_scores
from deita_core.selection.measures import Comparison, compare
from deita_core.selection.outcome import Outcome, select_steps
from deita_core.selection.rule import SelectionRule
from deita_core.selection.table import SelectionInput
from pages.parts import state
from pages.parts.map_chart import pack_hover_texts


@dataclass(frozen=True, slots=True)
class Opened:
    """A project open in this server, and the runner of its jobs."""

    project: Project
    runner: JobRunner

    @property
    def key(self) -> str:
        """What cache entries of this project are keyed by, beside the data version."""
        return str(self.project.path)


def _release(opened: Opened) -> None:
    opened.runner.stop()
    opened.project.close()


@st.cache_resource(show_spinner=False, on_release=_release)
def _open(path: str) -> Opened:
    project = Project.open(Path(path), wait=1.0)
    runner = JobRunner(project)
    runner.start()
    opened = Opened(project, runner)
    atexit.register(_release, opened)  # the server ends: let the worker stop at a batch
    return opened


def open_project(path: Path) -> Opened:
    """The project, opened once for the whole server; raises as `Project.open` does."""
    return _open(str(path))


def close_project(path: Path) -> None:
    """Stop its jobs and release the file (to rename, copy or delete it)."""
    opened = _open(str(path))
    _open.clear(str(path))
    _release(opened)


def current() -> Opened:
    """The project that the side column has picked; stops the page when there is none."""
    if CURRENT not in st.session_state:
        _go_through_the_frame()
    opened = st.session_state.get(CURRENT)
    if not isinstance(opened, Opened) or opened.project.closed:
        st.info("Choose or create a project in the side column to begin.", icon=":material/folder:")
        st.stop()
    return opened


def _go_through_the_frame() -> None:
    """Streamlit runs a file of `pages/` without app.py when the first visit after the server's
    start goes to that page's own address: go to app.py, which then comes back to the page."""
    page = (st.context.url or "").partition("?")[0].rstrip("/").rpartition("/")[2]
    st.session_state[state.WANTED_PAGE] = page
    st.switch_page("app.py", query_params=st.query_params.to_dict())


CURRENT = "opened_project"
# More texts than this would make the map slow to arrive; a click still opens the row.
_MOST_HOVER_TEXTS = 60_000


@st.cache_resource(show_spinner=False, max_entries=4)
def _arrays(path: str, version: int) -> PoolArrays:
    return load_arrays(_open(path).project)


def arrays(opened: Opened) -> PoolArrays:
    """The pool's columns as of now."""
    return _arrays(opened.key, opened.project.data_version())


@st.cache_data(show_spinner=False, max_entries=16)
def _info(path: str, version: int) -> ProjectInfo:
    return project_info(_open(path).project)


def info(opened: Opened) -> ProjectInfo:
    """The project's counts as of now."""
    return _info(opened.key, opened.project.data_version())


@st.cache_resource(show_spinner="Loading the embeddings", max_entries=1)
def _input(path: str, version: int) -> SelectionInput:
    return selection_input(_open(path).project, _arrays(path, version))


def pool_input(opened: Opened) -> SelectionInput:
    """The pool as `select` takes it; raises SelectionError saying what is missing."""
    return _input(opened.key, opened.project.data_version())


@st.cache_resource(show_spinner=False, max_entries=8)
def _outcome_box(path: str, version: int, rule: str) -> dict[str, Outcome]:
    return {}  # filled by `outcome`, because a cached function cannot show its progress


def outcome(opened: Opened, rule: SelectionRule) -> Outcome:
    """What the rule selects from the pool as of now.

    Long passes (large budgets) show their progress, and any other click on the page ends them.
    """
    box = _outcome_box(opened.key, opened.project.data_version(), rule.to_json())
    if _DONE not in box:
        box[_DONE] = _select(rule, pool_input(opened))
    return box[_DONE]


def _select(rule: SelectionRule, table: SelectionInput) -> Outcome:
    steps, started, bar = select_steps(rule, table), time.monotonic(), None
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            if bar is not None:
                bar.empty()
            result: Outcome = end.value
            return result
        if time.monotonic() - started > _PATIENCE_SECONDS:
            bar = bar or st.progress(0.0)
            share = step.visited / max(1, step.total)
            bar.progress(share, f"Selecting: {step.visited:,} rows looked at, {step.kept:,} kept")


_DONE = "outcome"
_PATIENCE_SECONDS = 0.7


@st.cache_resource(show_spinner="Comparing with a random selection", max_entries=8)
def _comparison(path: str, version: int, rule: str) -> Comparison:
    return compare(_input(path, version), _outcome_box(path, version, rule)[_DONE])


def comparison(opened: Opened, rule: SelectionRule) -> Comparison:
    """The rule's selection beside the pool and a random selection of the same size."""
    return _comparison(opened.key, opened.project.data_version(), rule.to_json())


@dataclass(frozen=True, slots=True)
class ScoreColumns:
    """(n,) float64 each, NaN where missing: mean complexity and quality, and evol score."""

    complexity: NDArray[np.float64]
    quality: NDArray[np.float64]
    evol: NDArray[np.float64]


@st.cache_resource(show_spinner=False, max_entries=8)
def _scores(path: str, version: int, aggregation: str) -> ScoreColumns:
    pool = _arrays(path, version)
    turns = (pool.turn_row, pool.turn_complexity, pool.turn_quality)
    means = row_scores(*turns, len(pool))
    return ScoreColumns(
        means.complexity, means.quality, evol_scores(*turns, len(pool), aggregation)
    )


def scores(opened: Opened, aggregation: str = "sum") -> ScoreColumns:
    """The scores of every row as of now."""
    return _scores(opened.key, opened.project.data_version(), aggregation)


@st.cache_resource(show_spinner=False, max_entries=2)
def _hover_texts(path: str, rows: int) -> bytes:
    return pack_hover_texts(previews(_open(path).project)) if rows <= _MOST_HOVER_TEXTS else b""


def hover_texts(opened: Opened) -> bytes:
    """What the map shows under the pointer: the beginning of each row, for up to 60,000 rows."""
    return _hover_texts(opened.key, len(arrays(opened)))


def say(text: str) -> None:
    """Show a short message after the next rerun (a page cannot show one before it)."""
    st.session_state[state.NOTICE] = text
