"""Load files into the pool: upload, a path below the data folder, or a Hugging Face dataset."""

from __future__ import annotations

import shutil
from pathlib import Path

import streamlit as st

from deita_core.errors import DeitaError
from deita_core.formats.paths import resolve_below
from deita_core.project.folder import data_folder
from deita_core.steps import preparation, register_files, register_hub
from pages.parts import words
from pages.parts.pool_preview import preview_files
from pages.parts.resources import Opened, say
from pages.parts.welcome import make_sample

_SUFFIXES = ["json", "jsonl", "ndjson", "csv", "tsv", "parquet", "gz", "zst"]
_UPLOAD, _PATH, _HUB = "Upload", "Data folder", "Hugging Face"


def loader(opened: Opened, *, first: bool) -> None:
    """Choose files, see how they would be read, import them. first: the pool is empty."""
    way = st.segmented_control(
        "Where from", [_UPLOAD, _PATH, _HUB], default=_UPLOAD, required=True, key="load_from"
    )
    if way == _HUB:
        _hub(opened)
    else:
        files = _uploaded() if way == _UPLOAD else _below_data_folder()
        if files:
            _import_button(opened, files)
    if first:
        st.divider()
        st.caption(
            "No data at hand? The sample pool has more than 1,300 conversations on many topics."
        )
        if st.button("Open the sample project", icon=":material/auto_awesome:"):
            make_sample()
            st.rerun()


def _import_button(opened: Opened, files: list[Path]) -> None:
    mapping, readable = preview_files(files)
    if st.button(
        f"Import {words.rows(len(files), 'file', 'files')} and prepare",
        type="primary",
        disabled=not readable,
        icon=":material/play_arrow:",
        help="Imports, scores, embeds and maps in the background; you can look around meanwhile.",
    ):
        try:
            numbers = register_files(opened.project, files, mapping)
        except DeitaError as error:
            st.error(str(error))
            return
        if len(numbers) < len(files):
            say(f"{len(files) - len(numbers)} of the files are in the pool already.")
        if numbers:
            opened.runner.submit(preparation(numbers))
        st.rerun()


def _uploaded() -> list[Path]:
    given = st.file_uploader(
        "Files",
        type=_SUFFIXES,
        accept_multiple_files=True,
        help="JSON, JSON Lines, CSV or Parquet, also .gz or .zst; up to 4 GB each.",
    )
    paths = []
    for file in given or []:
        # The upload stays in the data folder, because the project names it and a replay needs
        # it; one folder an upload, so that no file of the same name is overwritten.
        path = data_folder() / "uploads" / file.file_id[:8] / Path(file.name).name
        if not path.exists() or path.stat().st_size != file.size:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as out:
                shutil.copyfileobj(file, out, 1 << 20)
        paths.append(path)
    return paths


def _below_data_folder() -> list[Path]:
    root = data_folder()
    root.mkdir(parents=True, exist_ok=True)
    known = sorted(
        str(p.relative_to(root))
        for p in root.rglob("*")
        if p.is_file() and p.suffix.lstrip(".") in _SUFFIXES
    )[:2000]
    st.caption(f"Data folder: `{root}` (set DEITA_DATA_DIR to change it). Nothing outside is read.")
    chosen = st.multiselect(
        "Files below the data folder",
        known,
        accept_new_options=True,
        placeholder="Choose files, or type a path" if known else "Type a path below the folder",
        key="load_paths",
    )
    paths = []
    for text in chosen:
        try:
            path = resolve_below(root, text)
            if not path.is_file():
                st.error(f"There is no file {text} in the data folder.")
                continue
            paths.append(path)
        except DeitaError as error:
            st.error(str(error))
    return paths if len(paths) == len(chosen) else []


def _hub(opened: Opened) -> None:
    with st.form("hub", border=False):
        name = st.text_input("Name of the dataset", placeholder="owner/name", key="hub_name")
        split = st.text_input("Split", "train", key="hub_split")
        if st.form_submit_button("Download and prepare", icon=":material/cloud_download:"):
            try:
                number = register_hub(opened.project, name.strip(), split.strip() or "train")
            except DeitaError as error:
                st.error(str(error))
                return
            opened.runner.submit(preparation([number]))
            st.rerun()
