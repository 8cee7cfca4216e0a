"""What every page shares: open projects with their job runners, and the arrays of a pool.

Keys carry the project's path and the version of what the value is made from, so nothing stale is
ever shown. Connections and arrays are shared between sessions (`cache_resource`): no page may
change them. What only the Select page caches is in `studio/select/cache.py`.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NoReturn

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.errors import DeitaError
from deita_core.jobs import JobRunner
from deita_core.jobs.kinds import GraphSpec
from deita_core.jobs.kinds.select_rows import selection_input
from deita_core.people import may
from deita_core.project import Project
from deita_core.project.browse import ProjectInfo, previews, project_info
from deita_core.project.clusters import clusters
from deita_core.project.graphs import is_graph_damaged, load_clusters
from deita_core.project.pool import load_pool_table
from deita_core.project.selections import selections_version
from deita_core.selection.evol import evol_scores
from deita_core.selection.filters import mean_scores
from deita_core.selection.pool_table import PoolTable
from studio.charts.colours import Coloured
from studio.charts.map_chart import MapEvent, MapName, map_chart, pack_hover_texts
from studio.shell import state
from studio.shell.text import escape


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
def open_at(path: str) -> Opened:
    """The project at `path`, for functions that are cached by its path."""
    project = Project.open(Path(path), wait=1.0)
    runner = JobRunner(project)
    runner.start()
    if is_graph_damaged(project) and may("curator"):
        runner.submit([GraphSpec()])
    opened = Opened(project, runner)
    atexit.register(_release, opened)  # the server ends: let the worker stop at a batch
    return opened


def open_project(path: Path) -> Opened:
    """The project, opened once for the whole server; raises as `Project.open` does."""
    opened = open_at(str(path))
    if opened.project.closed:  # deleted or copied by another session meanwhile
        close_project(path)
        opened = open_at(str(path))
    return opened


def close_project(path: Path) -> None:
    """Stop its jobs and release the file (to rename, copy or delete it)."""
    opened = open_at(str(path))
    open_at.clear(str(path))
    _release(opened)


def current() -> Opened:
    """The project that the side column has picked; stops the page when there is none."""
    if state.OPENED not in st.session_state:
        _go_through_the_frame()
    opened = st.session_state.get(state.OPENED)
    if not isinstance(opened, Opened) or opened.project.closed:
        st.info("Choose or create a project in the side column to begin.", icon=":material/folder:")
        st.stop()
    return opened


def stop_without(missing: str, icon: str, *, page: str, page_icon: str) -> NoReturn:
    """Say what the page needs, link to the page where it is made, and draw no more."""
    st.info(missing, icon=f":material/{icon}:")
    label = f"Go to {page.capitalize()}"
    st.page_link(f"pages/{page}.py", label=label, icon=f":material/{page_icon}:")
    st.stop()


def stop_without_rows(opened: Opened) -> ProjectInfo:
    """The project's counts; stops the page when the pool is empty."""
    found = info(opened)
    if not found.imported:
        missing = "The pool is empty: load a file on the Pool page first."
        stop_without(missing, "database", page="pool", page_icon="database")
    return found


def _go_through_the_frame() -> None:
    """Streamlit runs a file of `pages/` without app.py when the first visit after the server's
    start goes to that page's own address: go to app.py, which then comes back to the page."""
    page = (st.context.url or "").partition("?")[0].rstrip("/").rpartition("/")[2]
    st.session_state[state.WANTED_PAGE] = page
    st.switch_page("app.py", query_params=st.query_params.to_dict())


_RUNS = count()


def first_run_of_server() -> bool:
    """True once in the life of a server: draw that page again.

    Until the first `st.navigation`, Streamlit takes `pages/` for its older kind of app, in which
    widgets have other identities; a click on what was drawn then would be lost.
    """
    return next(_RUNS) == 0


# For `hash_funcs` of what is cached: a project as it is at one version of its data.
AS_OF_NOW = {Opened: lambda opened: (opened.key, opened.project.data_version())}


def _with_selections(opened: Opened) -> tuple[str, int, int]:
    return opened.key, opened.project.data_version(), selections_version(opened.project)


@st.cache_resource(show_spinner=False, max_entries=4, hash_funcs=AS_OF_NOW)
def arrays(opened: Opened) -> PoolTable:
    """The pool's columns as of now."""
    return load_pool_table(opened.project)


@st.cache_resource(show_spinner="Loading the embeddings", max_entries=1, hash_funcs=AS_OF_NOW)
def pool_input(opened: Opened) -> PoolTable:
    """The pool with its vectors, as `select` takes it; SelectionError says what is missing."""
    return selection_input(opened.project, arrays(opened))


@st.cache_data(show_spinner=False, max_entries=16, hash_funcs={Opened: _with_selections})
def info(opened: Opened) -> ProjectInfo:
    """The project's counts as of now."""
    return project_info(opened.project)


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs=AS_OF_NOW)
def scores(opened: Opened, aggregation: str = "sum") -> dict[str, NDArray[np.float64]]:
    """Evol score, mean complexity and mean quality of every row as of now; NaN where missing."""
    pool = arrays(opened)
    means = mean_scores(pool)
    turns = (pool.turn_row, pool.turn_complexity, pool.turn_quality)
    evol = evol_scores(*turns, len(pool), aggregation)
    return {"evol score": evol, "complexity": means.complexity, "quality": means.quality}


def pool_map(
    opened: Opened,
    coloured: Coloured,
    *,
    key: str,
    highlight: NDArray[np.int64] | None = None,
    height: int = 620,
    beside: str = "",
    on_pick: Callable[[int], None] | None = None,
) -> MapEvent:
    """Draw the map of the pool in these colours; what the user has done to it.

    beside: see `map_chart`. on_pick: gets the code of a group that was chosen in the legend.
    """
    xy = arrays(opened).xy
    return map_chart(
        xy,
        *coloured,
        key=key,
        version=f"{opened.key}-{info(opened).mapped}-{len(xy)}",
        highlight=highlight,
        hover_texts=_hover_texts(opened.key, len(xy)),
        names=_cluster_names(opened),
        height=height,
        beside=beside,
        on_pick=on_pick,
    )


@st.cache_resource(show_spinner=False, max_entries=4, hash_funcs=AS_OF_NOW)
def _cluster_names(opened: Opened) -> tuple[MapName, ...]:
    """The names of the clusters, each in the middle of its rows."""
    found, codes = clusters(opened.project), load_clusters(opened.project)
    if not found or codes is None:
        return ()
    xy = arrays(opened).xy
    placed = np.flatnonzero((codes >= 0) & np.isfinite(xy).all(axis=1))
    placed = placed[np.argsort(codes[placed], kind="stable")]
    borders = np.searchsorted(codes[placed], np.arange(len(found) + 1))
    names = []
    for one in found:
        rows = placed[borders[one.cluster] : borders[one.cluster + 1]]
        if len(rows):
            x, y = np.median(xy[rows], axis=0).tolist()
            names.append(MapName(one.name, x, y, len(rows)))
    return tuple(names)


@st.cache_resource(show_spinner=False, max_entries=2)
def _hover_texts(path: str, rows: int) -> bytes:
    # More texts would make the map slow to arrive; a click still opens the row.
    return pack_hover_texts(previews(open_at(path).project)) if rows <= 60_000 else b""


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show an expected error in this place instead of breaking the page."""
    try:
        yield
    except DeitaError as error:
        st.error(escape(str(error)))


def say(text: str) -> None:
    """Show a short message after the next rerun (a page cannot show one before it)."""
    st.session_state[state.NOTICE] = text


def go_to_project(path: Path | None, message: str) -> None:
    """Run again with that project, or with the first that opens; the picker is drawn already."""
    key = None if path is None else path.name.removesuffix(".duckdb")
    st.session_state[state.NEXT_PROJECT] = key
    say(message)
    st.rerun()
