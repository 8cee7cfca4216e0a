"""The project at the top of the side column: pick, create, rename, duplicate, delete.

The address holds the key of the project, which is the name of its file. A key that names no
project opens nothing: to open another one in its place would put pins into the wrong file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import streamlit as st

from deita_core.errors import DeitaError
from deita_core.jobs.chains import SAMPLE_KEY, SAMPLE_NAME, sample_chain
from deita_core.people import may
from deita_core.project.folder import (
    create_project,
    delete_project,
    duplicate_project,
    list_projects,
    path_of,
    projects_folder,
)
from studio.shell import state
from studio.shell.conflicts import deletion_said
from studio.shell.log_view import show_log
from studio.shell.resources import (
    Opened,
    close_project,
    errors_shown,
    go_to_project,
    open_project,
    say,
)
from studio.shell.snapshots import ask_snapshots
from studio.shell.text import escape, file_size

_TITLES = "project_titles"
_PASSED_OVER = "projects_passed_over"
# In the folder of projects: the key of the project that was opened last.
_LAST_USED = ".last-used"


def project_picker() -> Opened | None:
    """Draw the picker; the project that is open now, or None when there is none."""
    folder = projects_folder()
    keys = [file.key for file in list_projects(folder)]
    # Opened before the picker is drawn, because only the project itself knows its title.
    opened, problem = _open_wanted(folder, keys)
    key = st.session_state[state.PROJECT]
    if keys:
        st.selectbox(
            "Project",
            keys,
            index=None if key is None else 0,
            key=state.PROJECT,
            format_func=_labels(keys).__getitem__,
            placeholder="Choose a project",
            label_visibility="collapsed",
            persist_state="session",
        )
    if key is not None:
        state.put_in_address(state.PROJECT, key)
    if problem:
        st.error(problem, icon=":material/lock:")
        if st.button("Try again", icon=":material/refresh:"):
            st.rerun()
    opened_instead, reasons = st.session_state.get(_PASSED_OVER, ("", []))
    if opened_instead == key:
        for reason in reasons:
            st.warning(reason, icon=":material/lock:")
    st.session_state[state.OPENED] = opened
    _manage(folder, opened)
    return opened


def _open_wanted(folder: Path, keys: list[str]) -> tuple[Opened | None, str]:
    """Open what a dialog, the session or the address asks for; else say why it is not open."""
    if state.NEXT_PROJECT in st.session_state:
        wanted = st.session_state.pop(state.NEXT_PROJECT)
    else:
        wanted = st.session_state.get(state.PROJECT)
        if wanted is None or state.address_decides(state.PROJECT):
            wanted = st.query_params.get(state.PROJECT, wanted)
    st.session_state[state.PROJECT] = wanted if wanted in keys else None
    if wanted is None:
        return _open_first(folder, keys)
    if wanted not in keys:
        gone = deletion_said(folder, wanted) or f"There is no project “{wanted}” here"
        return None, f"{escape(gone)}. Choose one from the list, or make a new one."
    return _try_open(folder, wanted)


def _open_first(folder: Path, keys: list[str]) -> tuple[Opened | None, str]:
    """The project used last, or else the first that opens; the others' reasons are kept."""
    last = ""
    with suppress(OSError, UnicodeDecodeError):
        last = (folder / _LAST_USED).read_text(encoding="utf-8").strip()
    reasons: list[str] = []
    for key in sorted(keys, key=lambda key: key != last):
        opened, problem = _try_open(folder, key)
        if opened is not None:
            st.session_state[state.PROJECT] = key
            st.session_state[_PASSED_OVER] = (key, reasons)
            return opened, ""
        reasons.append(problem)
    return None, "\n\n".join(reasons)


def _try_open(folder: Path, key: str) -> tuple[Opened | None, str]:
    """The project and an empty text, or None and why it cannot be opened."""
    try:
        opened = open_project(path_of(folder, key))
    except DeitaError as error:
        return None, escape(str(error))
    st.session_state.setdefault(_TITLES, {})[key] = opened.project.name
    if st.session_state.get(state.OPENED) != opened:
        with suppress(OSError):  # a folder that is not ours to write to can be looked at
            (folder / _LAST_USED).write_text(key, encoding="utf-8")
    return opened, ""


def _labels(keys: list[str]) -> dict[str, str]:
    """Titles where they are known; two projects of one title are told apart by their keys."""
    known = st.session_state.get(_TITLES, {})
    titles = {key: str(known.get(key, key)) for key in keys}
    count = Counter(titles.values())
    return {
        key: title if count[title] == 1 else f"{title} ({key})" for key, title in titles.items()
    }


def prepare_sample_if_alone() -> None:
    """Make the sample project when the folder of projects is empty."""
    if not list_projects(projects_folder()) and may("admin"):
        _make_sample()


def open_sample() -> None:
    """Go to the sample project at the next run, made first when there is none."""
    if not path_of(projects_folder(), SAMPLE_KEY).exists():
        _make_sample()
    st.session_state[state.NEXT_PROJECT] = SAMPLE_KEY


def _make_sample() -> None:
    with create_project(projects_folder(), SAMPLE_KEY) as project:
        project.rename(SAMPLE_NAME)
        path = project.path
    opened = open_project(path)
    opened.runner.submit(sample_chain(opened.project))
    say("This is the sample project. It is being prepared: watch the side column.")


def _manage(folder: Path, opened: Opened | None) -> None:
    with st.container(horizontal=True):
        if may("admin") and st.button("New", icon=":material/add:", key="project-new"):
            _ask_new(folder)
        if opened is None:
            return
        ask = {"History": show_log}
        if may("admin"):
            changes = {
                "Rename": _ask_rename,
                "Duplicate": _ask_duplicate,
                "Snapshots": ask_snapshots,
                "Delete": _ask_delete,
            }
            ask = {**changes, **ask}
        choice = st.menu_button(
            "Manage", list(ask), icon=":material/more_horiz:", key="project-manage"
        )
        if choice:
            ask[choice](opened)


@state.dialog("New project")
@errors_shown()
def _ask_new(folder: Path) -> None:
    name = st.text_input("Name", max_chars=100, placeholder="e.g. Support chats, round 1")
    if st.button("Create", type="primary", disabled=not name.strip()):
        with create_project(folder, name) as project:
            path = project.path
        go_to_project(path, f"Created “{name}”. Load a pool to begin.")


@state.dialog("Rename project")
@errors_shown()
def _ask_rename(opened: Opened) -> None:
    name = st.text_input("Name", opened.project.name, max_chars=100)
    if st.button("Rename", type="primary", disabled=not name.strip()):
        opened.project.rename(name)
        st.rerun()


@state.dialog("Duplicate project")
@errors_shown()
def _ask_duplicate(opened: Opened) -> None:
    name = st.text_input("Name of the copy", f"{opened.project.name} (copy)", max_chars=100)
    st.caption("The copy has everything: pool, scores, embeddings, map and selections.")
    if opened.runner.busy:
        st.warning("Jobs are running: the copy has what they have finished so far.")
    if st.button("Duplicate", type="primary", disabled=not name.strip()):
        go_to_project(duplicate_project(opened.project, name), f"Made “{name}”.")


@state.dialog("Delete project")
@errors_shown()
def _ask_delete(opened: Opened) -> None:
    name, path = opened.project.name, opened.project.path
    st.markdown(
        f"This deletes **{escape(name)}** ({file_size(path.stat().st_size)}) with its scores, "
        "embeddings, selections and snapshots. The pool files it was imported from and files you "
        "exported stay."
    )
    sure = st.checkbox("Yes, delete it; this cannot be undone")
    if st.button("Delete", type="primary", disabled=not sure, icon=":material/delete:"):
        close_project(path)
        delete_project(path)
        go_to_project(None, f"Deleted “{name}”.")


@contextmanager
def page_shown(opened: Opened | None) -> Iterator[None]:
    """Around a page: an expected error, or that another session deleted the project, is said.

    Rows can be added while the page is drawn, and then its parts do not fit each other: it is
    drawn again.
    """
    version = None if opened is None else opened.project.data_version()
    try:
        yield
    except (DeitaError, duckdb.Error) as error:
        if opened is not None and opened.project.closed:
            path = opened.project.path
            gone = "" if path.exists() else deletion_said(path.parent, path.stem)
            st.error(
                escape(
                    gone
                    or opened.project.why_closed
                    or "This project was closed by another session"
                )
                + "."
            )
            st.button("Go on", icon=":material/refresh:", key="project-closed")
        elif isinstance(error, DeitaError):
            st.error(escape(str(error)))
        else:
            raise
    except Exception:
        if opened is None or opened.project.data_version() == version:
            raise
        st.rerun()
