"""The project at the top of the side column: pick, create, rename, duplicate, delete."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from deita_core.errors import DeitaError
from deita_core.project.folder import (
    create_project,
    delete_project,
    duplicate_project,
    list_projects,
    path_of,
    projects_folder,
)
from studio.rows.safe_text import escape
from studio.shell import state, words
from studio.shell.resources import CURRENT, Opened, close_project, open_project, say


def project_picker() -> Opened | None:
    """Draw the picker; the project that is open now, or None when there is none."""
    folder = projects_folder()
    keys = [file.key for file in list_projects(folder)]
    opened: Opened | None = None
    if keys:
        if st.session_state.get(state.PROJECT, keys[0]) not in keys:
            del st.session_state[state.PROJECT]  # deleted meanwhile
        # Opened before the picker is drawn, because only the project knows its name.
        wanted = st.session_state.get(state.PROJECT) or st.query_params.get(state.PROJECT)
        chosen = wanted if wanted in keys else keys[0]
        message, opened = _try_open(path_of(folder, chosen))
        labels = [_title(key) for key in keys]
        if st.session_state.get(_LABELS, labels) != labels:
            # Said again, or the browser would go on showing a name from before the change.
            st.session_state[state.PROJECT] = chosen
        st.session_state[_LABELS] = labels
        key = st.selectbox(
            "Project",
            keys,
            key=state.PROJECT,
            bind="query-params",
            format_func=_title,
            label_visibility="collapsed",
        )
        if key and key != chosen:
            message, opened = _try_open(path_of(folder, key))
        if message:
            st.error(message, icon=":material/lock:")
            if st.button("Try again", icon=":material/refresh:"):
                st.rerun()
    st.session_state[CURRENT] = opened
    _manage(folder, opened)
    return opened


def _title(key: str) -> str:
    known = st.session_state.get(_TITLES, {})
    return str(known.get(key, key))


_TITLES = "project_titles"
_LABELS = "project_labels"


def _try_open(path: Path) -> tuple[str, Opened | None]:
    """An empty message and the project, or why it cannot be opened."""
    try:
        opened = open_project(path)
        if opened.project.closed:  # deleted or copied by another session meanwhile
            close_project(path)
            opened = open_project(path)
        titles = st.session_state.setdefault(_TITLES, {})
        titles[path.name.removesuffix(".duckdb")] = opened.project.name
    except DeitaError as error:
        return str(error), None
    return "", opened


def _manage(folder: Path, opened: Opened | None) -> None:
    with st.container(horizontal=True):
        if st.button("New", icon=":material/add:", key="project-new"):
            _ask_new(folder)
        if opened is not None:
            choice = st.menu_button(
                "Manage",
                ["Rename", "Duplicate", "Delete"],
                icon=":material/more_horiz:",
                key="project-manage",
            )
            if choice == "Rename":
                _ask_rename(opened)
            elif choice == "Duplicate":
                _ask_duplicate(opened)
            elif choice == "Delete":
                _ask_delete(opened)


@st.dialog("New project")
def _ask_new(folder: Path) -> None:
    name = st.text_input("Name", max_chars=100, placeholder="e.g. Support chats, round 1")
    if st.button("Create", type="primary", disabled=not name.strip()):
        with _shown(), create_project(folder, name) as project:
            _go_to(project.path)
            say(f"Created “{name}”. Load a pool to begin.")
            st.rerun()


@st.dialog("Rename project")
def _ask_rename(opened: Opened) -> None:
    name = st.text_input("Name", opened.project.name, max_chars=100)
    if st.button("Rename", type="primary", disabled=not name.strip()):
        with _shown():
            opened.project.rename(name)
            st.rerun()


@st.dialog("Duplicate project")
def _ask_duplicate(opened: Opened) -> None:
    name = st.text_input("Name of the copy", f"{opened.project.name} (copy)", max_chars=100)
    st.caption("The copy has everything: pool, scores, embeddings, map and selections.")
    if opened.runner.busy:
        st.warning("Jobs are running: the copy has what they have finished so far.")
    if st.button("Duplicate", type="primary", disabled=not name.strip()):
        with _shown():
            _go_to(duplicate_project(opened.project, name))
            say(f"Made “{name}”.")
            st.rerun()


@st.dialog("Delete project")
def _ask_delete(opened: Opened) -> None:
    project = opened.project
    facts = words.size(project.path.stat().st_size)
    st.markdown(
        f"This deletes **{escape(project.name)}** ({facts}) with its scores, embeddings and "
        f"selections. The pool files it was imported from and files you exported stay."
    )
    sure = st.checkbox("Yes, delete it; this cannot be undone")
    if st.button("Delete", type="primary", disabled=not sure, icon=":material/delete:"):
        with _shown():
            name, path = project.name, project.path
            close_project(path)
            delete_project(path)
            st.session_state.pop(CURRENT, None)
            say(f"Deleted “{name}”.")
            st.rerun()


def _go_to(path: Path) -> None:
    # The picker is drawn before any dialog, so its choice can only change at the next run.
    st.session_state[state.NEXT_PROJECT] = path.name.removesuffix(".duckdb")


def apply_pending_choice() -> None:
    """Call before the picker is drawn: moves to the project that a dialog asked for."""
    key = st.session_state.pop(state.NEXT_PROJECT, None)
    if key is not None:
        st.session_state[state.PROJECT] = key


class _shown:  # noqa: N801  (reads as a word where it is used)
    """Shows an expected error inside the dialog instead of breaking the page."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, DeitaError):
            st.error(str(error))
            return True
        return False
