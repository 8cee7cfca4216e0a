"""Exports: the form (which selection, which format, what goes in), and the files made so far."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import streamlit as st

from deita_core.formats.write import EXPORT_FORMATS
from deita_core.jobs.kinds import ExportSpec
from deita_core.jobs.kinds.export import card_path, manifest_path
from deita_core.project.job_log import JobRecord
from deita_core.project.selections import SavedSelection
from studio.shell.person import closed_to_role
from studio.shell.resources import Opened, say
from studio.shell.text import escape, file_size, plural

_LICENSES = ["other", "cc0-1.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-4.0", "apache-2.0", "mit"]


def exports_folder(opened: Opened) -> Path:
    """Where the app writes the exports of a project: beside its file."""
    return opened.project.path.with_name(opened.project.path.stem + ".exports")


def export_form(opened: Opened, saved: list[SavedSelection]) -> None:
    """Ask for everything an export needs, and start it."""
    if closed_to_role("curator", "Exporting"):
        return
    names = [s.name for s in saved]
    name = st.selectbox("Selection", names, key="export_selection")
    selection = saved[names.index(name)]
    st.markdown(f"{escape(selection.sentence)}.")
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
    usable = re.fullmatch(r"[\w][\w .-]{0,120}", file_name) and "." in file_name
    if not usable:
        st.error(
            f"{escape(repr(file_name))} cannot be the name of the file: use letters, digits, "
            "spaces, '.', '_' and '-', with an extension"
        )
    if st.button(
        f"Export {plural(selection.rows, 'conversation', 'conversations')}",
        type="primary",
        icon=":material/download:",
        disabled=not usable or opened.runner.busy,
    ):
        out = exports_folder(opened) / file_name
        out.parent.mkdir(parents=True, exist_ok=True)
        scores, terms = None if key == "original" else with_scores, license or "other"
        spec = ExportSpec(selection=name, format=key, out=out, with_scores=scores, license=terms)
        opened.runner.submit([spec])
        say(f"Writing {file_name}")
        st.rerun()


def _file_name(selection: str, extension: str) -> str:
    stem = re.sub(r"[^\w.-]+", "-", selection.lower()).strip("-.") or "selection"
    return f"{stem}.{extension.lstrip('.')}"


def results_view(opened: Opened) -> None:
    """The exports of this project, newest first."""
    st.subheader("Exported")
    shown: set[Path] = set()
    for record in opened.runner.records(200):
        if record.kind == "export" and record.state == "done":
            out = Path(str(record.parameters["out"]))
            if out not in shown and out.exists():
                shown.add(out)
                _result(record, out)
    if not shown:
        st.caption("Nothing yet. Exported files stay here for download.")


def _result(record: JobRecord, out: Path) -> None:
    with st.container(border=True):
        facts = f"{file_size(out.stat().st_size)}, {record.finished:%Y-%m-%d %H:%M} UTC"
        selection = escape(str(record.parameters["selection"]))
        st.markdown(f"**{escape(out.name)}** · selection “{selection}” · {facts}")
        for part in record.progress.result:
            st.caption(escape(part))
        with st.container(horizontal=True):
            _download("Data", out, primary=True)
            _download("Manifest", manifest_path(out))
            _download("Dataset card", card_path(out))
            _download("dataset_info.json", _wanted_info(out))
            st.download_button(
                "All as zip",
                lambda: _zip(out),
                file_name=f"{out.stem}.zip",
                icon=":material/folder_zip:",
                key=f"zip-{record.job}",
                on_click="ignore",
            )
        st.caption("Make the same file again, and check it, from the manifest:")
        st.code(f"python -m deita_core replay {manifest_path(out).name}", language="bash")


def _download(label: str, path: Path, *, primary: bool = False) -> None:
    if path.exists():
        st.download_button(
            label,
            lambda: path.read_bytes(),
            file_name=path.name,
            type="primary" if primary else "secondary",
            icon=":material/download:",
            key=f"download-{path}",
            on_click="ignore",
        )


def _wanted_info(out: Path) -> Path:
    return out.with_name("dataset_info.json")


def _zip(out: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (out, manifest_path(out), _wanted_info(out)):
            if path.exists():
                archive.write(path, path.name)
        archive.write(card_path(out), "README.md")
    return packed.getvalue()
