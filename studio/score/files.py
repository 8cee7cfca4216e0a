"""Scores into the project from a file, and out of it into a file."""

from __future__ import annotations

import streamlit as st

from deita_core.errors import DeitaError
from deita_core.files import private_folder
from deita_core.formats.score_file import SCORE_FORMATS, score_field_names, score_fields
from deita_core.jobs.chains import import_scores_spec
from deita_core.jobs.kinds import ExportScoresSpec
from deita_core.project.browse import ProjectInfo
from deita_core.project.job_log import jobs
from deita_core.scoring.protocol import DIMENSIONS
from studio.export.form import exports_folder
from studio.pool.loader import FILE_TYPES, keep_upload
from studio.shell.person import closed_to_role
from studio.shell.resources import Opened, errors_shown
from studio.shell.text import escape, file_size

_NONE = "none"
# Of each format, its label and the ending of its files.
_FORMATS = {
    "deita": ("Deita's own format (JSON, one list of scores a conversation)", "json"),
    "csv": ("CSV, one line a turn", "csv"),
    "parquet": ("Parquet, one line a turn", "parquet"),
}


def score_files(opened: Opened, found: ProjectInfo) -> None:
    """Both ways, side by side."""
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Import scores")
        if not closed_to_role("admin", "Putting a file with scores into the data folder"):
            _import(opened)
    with right:
        st.subheader("Export scores")
        if not closed_to_role("curator", "Exporting"):
            _export(opened, found)


def _import(opened: Opened) -> None:
    st.caption(
        "A file with scores of this pool's conversations: each record names its conversation by "
        "id, or holds it in any layout a pool can have. One number counts for the conversation, "
        "a list has one for each turn."
    )
    given = st.file_uploader("File with scores", type=FILE_TYPES, key="scores_file")
    if given is None:
        _last(opened, "import_scores")
        return
    try:
        path = keep_upload(given)
        names = score_field_names(path)
    except DeitaError as error:
        st.error(escape(str(error)))
        return
    try:
        usual = score_fields(path)
    except DeitaError:
        usual = {}
        st.caption("No field has a usual name: choose which hold the scores.")
    fields = {d: _field(d, names, usual.get(d), given.file_id) for d in DIMENSIONS}
    activate = st.checkbox(
        "Use these scores for selection from now on", value=True, key="import_activate"
    )
    ready = any(fields.values()) and not opened.runner.busy
    if st.button("Import scores", type="primary", icon=":material/upload:", disabled=not ready):
        opened.runner.submit([import_scores_spec(**fields, file=path, activate=activate)])
        st.rerun()


def _field(dimension: str, names: list[str], usual: str | None, file: str) -> str | None:
    options = [_NONE, *names]
    chosen = st.selectbox(
        f"{dimension.capitalize()} stands in",
        options,
        index=options.index(usual) if usual in options else 0,
        key=f"field_{dimension}_{file}",
        accept_new_options=True,
        help="A field of the records; dots lead into nested objects.",
    )
    return None if chosen in (None, _NONE) else chosen


def _last(opened: Opened, kind: str) -> None:
    """What the last job of this kind said."""
    done = (r for r in jobs(opened.project, 50) if r.kind == kind and r.state == "done")
    if last := next(done, None):
        st.caption(f":material/check: Last time: {escape(last.message)}.")


def _export(opened: Opened, found: ProjectInfo) -> None:
    st.caption("The scores that selection uses, of every conversation.")
    if not found.scored:
        st.caption("There are no scores yet.")
        return
    chosen = st.selectbox(
        "Format", list(SCORE_FORMATS), format_func=lambda f: _FORMATS[f][0], key="scores_format"
    )
    format = chosen or SCORE_FORMATS[0]
    out = exports_folder(opened) / f"{opened.project.path.stem}-scores.{_FORMATS[format][1]}"
    again = f"Write it again, over {escape(out.name)}"
    label = again if out.exists() else "Write the file"
    if st.button(label, icon=":material/save:", disabled=opened.runner.busy, key="scores_write"):
        with errors_shown():
            private_folder(out.parent)
            spec = ExportScoresSpec(out=out, format=format, overwrite=out.exists())
            opened.runner.submit([spec])
            st.rerun()
    if not out.exists():
        return
    _last(opened, "export_scores")
    st.download_button(
        f"Download {escape(out.name)} ({file_size(out.stat().st_size)})",
        lambda: out.open("rb"),
        file_name=out.name,
        icon=":material/download:",
        key=f"scores_download_{format}",
        on_click="ignore",
    )
