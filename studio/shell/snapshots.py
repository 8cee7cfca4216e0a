"""The dialog of a project's snapshots: make, list, bring back, open as a project, delete."""

from __future__ import annotations

import streamlit as st

from deita_core.project.folder import free_key, path_of
from deita_core.project.on_disk import Snapshot, list_snapshots
from deita_core.project.snapshots import (
    KEPT,
    copy_snapshot,
    delete_snapshot,
    make_snapshot,
    restore_snapshot,
)
from studio.shell import state
from studio.shell.resources import Opened, close_project, errors_shown, go_to_project
from studio.shell.text import escape, file_size


@state.dialog("Snapshots")
@errors_shown()
def ask_snapshots(opened: Opened) -> None:
    """What there is and what to do with it."""
    st.caption("A snapshot is a copy of the whole project as it is now, beside its file.")
    name = st.text_input("Name of a new snapshot", max_chars=80, placeholder="the time")
    if st.button("Make a snapshot", icon=":material/photo_camera:"):
        made = make_snapshot(opened.project, name)
        st.success(f"Made “{escape(made.name)}” ({file_size(made.bytes)}).")
    found = {one.name: one for one in list_snapshots(opened.project.path)}
    if not found:
        st.info("There are no snapshots yet.")
        return
    chosen = st.selectbox(
        "Snapshot", list(found), format_func=lambda one: _label(found[one]), key="snapshot"
    )
    _offer(opened, found[chosen])


def _label(one: Snapshot) -> str:
    return f"{one.name} · {one.made:%d %B %Y, %H:%M} · {file_size(one.bytes)}"


def _offer(opened: Opened, chosen: Snapshot) -> None:
    path, name = opened.project.path, chosen.name
    st.caption(
        "Bringing it back stops the project's jobs, and keeps the project as it is now as a "
        f"snapshot that begins with “before-” (the last {KEPT} of these stay)."
    )
    if st.button("Bring it back", type="primary", icon=":material/history:"):
        close_project(path)
        kept = restore_snapshot(path, name)
        before = f" What it was before is the snapshot “{kept.name}”." if kept else ""
        go_to_project(path, f"The project is as of “{name}”.{before}")
    if st.button("Open as a new project", icon=":material/content_copy:"):
        target = path_of(path.parent, free_key(path.parent, f"{path.stem}-{name}"))
        copy_snapshot(path, name, target)
        go_to_project(target, f"Made a project of “{name}”.")
    sure = st.checkbox("Yes, delete it; this cannot be undone", key=f"sure-{name}")
    if st.button("Delete it", disabled=not sure, icon=":material/delete:"):
        delete_snapshot(path, name)
        go_to_project(path, f"Deleted the snapshot “{name}”.")
