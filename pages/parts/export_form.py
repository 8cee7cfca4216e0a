"""The form of the Export page: which selection, which format, what goes in."""

from __future__ import annotations

import re
from pathlib import Path

import streamlit as st

from deita_core.formats.write import EXPORT_FORMATS
from deita_core.project.selections import SavedSelection
from deita_core.steps import export_step
from pages.parts import words
from pages.parts.resources import Opened, say

_LICENSES = ["other", "cc0-1.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-4.0", "apache-2.0", "mit"]


def exports_folder(opened: Opened) -> Path:
    """Where the app writes the exports of a project: beside its file."""
    return opened.project.path.with_name(opened.project.path.stem + ".exports")


def export_form(opened: Opened, saved: list[SavedSelection]) -> None:
    """Ask for everything an export needs, and start it."""
    names = [s.name for s in saved]
    name = st.selectbox("Selection", names, key="export_selection")
    selection = saved[names.index(name)]
    st.markdown(f"{selection.sentence}.")
    key = st.segmented_control(
        "Format",
        list(EXPORT_FORMATS),
        default="sharegpt",
        required=True,
        format_func=lambda k: EXPORT_FORMATS[k].label,
        key="export_format",
    )
    chosen = EXPORT_FORMATS[key]
    trainers = f" Read by {', '.join(chosen.trainers)}." if chosen.trainers else ""
    st.caption(f"{chosen.explanation}{trainers}")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        file_name = st.text_input(
            "File name", _file_name(name, chosen.extension), key=f"export_name-{name}-{key}"
        )
        license = st.selectbox("License for the dataset card", _LICENSES, accept_new_options=True)
        with_scores = st.toggle(
            "With id, scores and source",
            chosen.scores_by_default,
            disabled=key == "original",
            key=f"export_scores-{key}",
        )
    problem = _problem(file_name)
    if problem:
        st.error(problem)
    if st.button(
        f"Export {words.rows(selection.rows, 'conversation', 'conversations')}",
        type="primary",
        icon=":material/download:",
        disabled=bool(problem) or opened.runner.busy,
    ):
        out = exports_folder(opened) / file_name
        out.parent.mkdir(parents=True, exist_ok=True)
        wanted = None if key == "original" else with_scores
        opened.runner.submit(
            [export_step(name, key, out, with_scores=wanted, license=license or "other")]
        )
        say(f"Writing {file_name}")
        st.rerun()


def _file_name(selection: str, extension: str) -> str:
    stem = re.sub(r"[^\w.-]+", "-", selection.lower()).strip("-.") or "selection"
    return f"{stem}.{extension.lstrip('.')}"


def _problem(file_name: str) -> str | None:
    if not re.fullmatch(r"[\w][\w .-]{0,120}", file_name) or "." not in file_name:
        return (
            f"{file_name!r} cannot be the name of the file: use letters, digits, spaces, "
            "'.', '_' and '-', with an extension"
        )
    return None
