"""What was exported: files to download, their manifest, card and trainer settings."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import streamlit as st

from deita_core.jobs.export import card_path, manifest_path
from deita_core.project.job_log import JobRecord
from pages.parts import words
from pages.parts.resources import Opened
from pages.parts.safe_text import escape


def results_view(opened: Opened) -> None:
    """The exports of this project, newest first."""
    st.subheader("Exported")
    done = [r for r in opened.runner.records(200) if r.kind == "export" and r.state == "done"]
    shown: set[str] = set()
    for record in done:
        out = Path(str(record.parameters["out"]))
        if str(out) not in shown and out.exists():
            shown.add(str(out))
            _result(record, out)
    if not shown:
        st.caption("Nothing yet. Exported files stay here for download.")


def _result(record: JobRecord, out: Path) -> None:
    with st.container(border=True):
        facts = f"{words.size(out.stat().st_size)}, {record.finished:%Y-%m-%d %H:%M} UTC"
        selection = escape(str(record.parameters["selection"]))
        st.markdown(f"**{escape(out.name)}** · selection “{selection}” · {facts}")
        for part in record.message.split("; "):
            st.caption(part)
        with st.container(horizontal=True):
            _download("Data", out, primary=True)
            _download("Manifest", manifest_path(out))
            _download("Dataset card", card_path(out))
            if _wanted_info(out).exists():
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
