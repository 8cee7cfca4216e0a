"""Exports: the form (which selection, which format, what goes in), and the files made so far."""

from __future__ import annotations

import io
import json
import re
import shlex
import zipfile
from contextlib import suppress
from pathlib import Path

import streamlit as st

from deita_core.errors import DeitaError
from deita_core.files import private_folder
from deita_core.formats.manifest import TEXTS, Texts
from deita_core.formats.write import EXPORT_FORMATS
from deita_core.formats.write.trainers import check_dataset_info
from deita_core.jobs.kinds import ExportSpec
from deita_core.jobs.kinds.export import card_path, manifest_path
from deita_core.project.job_log import JobRecord
from deita_core.project.ledger import decisions_version
from deita_core.project.selections import SavedSelection
from studio.shell.person import closed_to_role
from studio.shell.resources import Opened, errors_shown, say
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
    texts, with_decisions = _decisions(opened, fixed=key == "original")
    out = exports_folder(opened) / file_name
    usable = _is_usable(file_name)
    there = usable and any(map(Path.exists, (out, manifest_path(out), card_path(out))))
    replace = there and st.checkbox(f"Replace the file {escape(file_name)}")
    if there and not replace:
        st.caption("There is a file of this name already: choose another name, or replace it.")
        usable = False
    if st.button(
        f"Export {plural(selection.rows, 'conversation', 'conversations')}",
        type="primary",
        icon=":material/download:",
        disabled=not usable or opened.runner.busy,
    ):
        with errors_shown():
            private_folder(out.parent)
            spec = ExportSpec(
                selection=name,
                format=key,
                out=out,
                with_scores=None if key == "original" else with_scores,
                license=license or "other",
                texts=texts,
                with_decisions=with_decisions,
                overwrite=replace,
            )
            opened.runner.submit([spec])
            say(f"Writing {file_name}")
            st.rerun()


def _decisions(opened: Opened, *, fixed: bool) -> tuple[Texts, bool]:
    """Which texts, and whether decisions stand beside the rows; asked once there are some."""
    if not decisions_version(opened.project):
        return "original", False
    with st.container(horizontal=True, vertical_alignment="bottom"):
        texts = st.segmented_control(
            "Texts",
            TEXTS,
            default="original",
            required=True,
            disabled=fixed,
            key="export_texts",
            help="Corrected: edited rows in their newest version. Manifest and card say which.",
        )
        with_decisions = st.toggle(
            "With tags, verdicts and reviewers",
            disabled=fixed,
            key="export_decisions",
            help="As fields or columns beside each row. A replay needs the project then.",
        )
    return ("original", False) if fixed else (texts, with_decisions)


def _is_usable(file_name: str) -> bool:
    """Whether a file can have that name; says so on the page where not."""
    if re.fullmatch(r"[\w][\w .-]{0,120}", file_name) and "." in file_name:
        return True
    st.error(
        f"{escape(repr(file_name))} cannot be the name of the file: use letters, digits, spaces, "
        "'.', '_' and '-', with an extension"
    )
    return False


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
            if out not in shown and _is_there(out):
                shown.add(out)
                _result(record, out, exports_folder(opened))
    if not shown:
        st.caption("Nothing yet. Exported files stay here for download.")


def _is_there(out: Path) -> bool:
    with suppress(OSError):
        return out.is_file()
    return False


def _result(record: JobRecord, out: Path, folder: Path) -> None:
    with st.container(border=True):
        facts = f"{file_size(out.stat().st_size)}, {record.finished:%Y-%m-%d %H:%M} UTC"
        selection = escape(str(record.parameters["selection"]))
        st.markdown(f"**{escape(out.name)}** · selection “{selection}” · {facts}")
        for part in record.progress.result:
            st.caption(escape(part))
        # What a job log says of other places is no reason to hand out a file from there.
        if out.resolve().parent != folder.resolve():
            st.caption(f"Written by the command line to {escape(str(out.parent))}.")
            return
        with st.container(horizontal=True):
            _download("Data", out, record.job, primary=True)
            _download("Manifest", manifest_path(out), record.job)
            _download("Dataset card", card_path(out), record.job)
            _download("dataset_info.json", _info(out), record.job)
            st.download_button(
                "All as zip",
                lambda: zip_of(out),
                file_name=f"{out.name}.zip",
                icon=":material/folder_zip:",
                key=f"zip-{record.job}",
                on_click="ignore",
            )
        st.caption("Make the same file again, and check it, from the manifest:")
        manifest = shlex.quote(manifest_path(out).name)
        st.code(f"python -m deita_core replay {manifest}", language="bash")


def _download(label: str, path: Path, job: int, *, primary: bool = False) -> None:
    if path.exists():
        st.download_button(
            label,
            lambda: path.read_bytes(),
            file_name=path.name,
            type="primary" if primary else "secondary",
            icon=":material/download:",
            key=f"download-{label}-{job}",
            on_click="ignore",
        )


def _info(out: Path) -> Path:
    return out.with_name("dataset_info.json")


def zip_of(out: Path) -> bytes:
    """The file and what lies beside it; of the folder's dataset_info.json its own entry."""
    names = {
        out: out.name,
        manifest_path(out): manifest_path(out).name,
        card_path(out): "README.md",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, name in names.items():
            if path.exists():
                archive.write(path, name)
        with suppress(DeitaError):
            if entry := check_dataset_info(_info(out)).get(out.name):
                archive.writestr(_info(out).name, json.dumps({out.name: entry}, indent=2) + "\n")
    return packed.getvalue()
