"""Load files into the pool: upload, a path below the data folder, or a Hugging Face dataset.

Before the import each file's first rows are shown as they would be read, with a mapping of
columns and roles that changes how.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from deita_core.conversation import ROLES
from deita_core.errors import DeitaError
from deita_core.files import resolve_below
from deita_core.formats.read import LAYOUTS, Detection, Mapping, PoolRow, detect
from deita_core.jobs.chains import preparation, register_files, register_hub
from deita_core.project.folder import data_folder, models_folder, place_for_upload
from studio.shell.person import closed_to_role
from studio.shell.projects import open_sample
from studio.shell.resources import Opened, errors_shown, say
from studio.shell.text import escape, plural

# What the reader can open, as the file chooser of a browser takes it.
FILE_TYPES = ["json", "jsonl", "ndjson", "csv", "tsv", "parquet", "gz", "zst"]
_AUTO = "Detect"
_UPLOAD, _PATH, _HUB = "Upload", "Data folder", "Hugging Face"


def loader(opened: Opened, *, first: bool) -> None:
    """Choose files, see how they would be read, import them. first: the pool is empty."""
    if closed_to_role("curator", "Loading files"):
        return
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
            open_sample()
            st.rerun()


def _uploaded() -> list[Path]:
    if closed_to_role("admin", "Putting files into the data folder"):
        return []
    given = st.file_uploader(
        "Files",
        type=FILE_TYPES,
        accept_multiple_files=True,
        help="JSON, JSON Lines, CSV or Parquet, also .gz or .zst; up to 4 GB each.",
    )
    with errors_shown():
        return [keep_upload(file) for file in given or []]
    return []


def keep_upload(file: UploadedFile) -> Path:
    """The upload as a file of the data folder.

    It stays there: another process imports it, the project names it, and a replay needs it. Each
    upload has a folder of its own, so that no file of the same name is overwritten.
    """
    path = place_for_upload(file.file_id, file.name, file.size)
    if not path.exists() or path.stat().st_size != file.size:
        with path.open("wb") as out:
            shutil.copyfileobj(file, out, 1 << 20)
    return path


def one_file(label: str, *, key: str) -> Path | None:
    """Let one file be chosen, by upload or below the data folder; None until there is one."""
    way = st.segmented_control(
        "Where from", [_UPLOAD, _PATH], default=_UPLOAD, required=True, key=f"{key}_from"
    )
    with errors_shown():
        if way == _UPLOAD:
            if closed_to_role("admin", "Putting files into the data folder"):
                return None
            given = st.file_uploader(label, type=FILE_TYPES, key=f"{key}_upload")
            return None if given is None else keep_upload(given)
        known = _files_below()
        text = st.selectbox(
            label,
            known,
            index=None,
            accept_new_options=True,
            placeholder="Choose a file, or type a path" if known else "Type a path below it",
            key=f"{key}_path",
        )
        return None if text is None else resolve_below(data_folder(), text)
    return None


def _files_below() -> list[str]:
    """Files of the data folder that a pool may be, as paths below it."""
    root, models = data_folder(), models_folder()
    root.mkdir(parents=True, exist_ok=True)
    where = escape(str(root))
    st.caption(f"Data folder: {where} (set DEITA_DATA_DIR to change it). Nothing outside is read.")
    return sorted(
        str(p.relative_to(root))
        for p in root.rglob("*")
        if p.is_file() and p.suffix.lstrip(".") in FILE_TYPES and models not in p.parents
    )[:2000]


def _below_data_folder() -> list[Path]:
    root, known = data_folder(), _files_below()
    chosen = st.multiselect(
        "Files below the data folder",
        known,
        accept_new_options=True,
        placeholder="Choose files, or type a path" if known else "Type a path below the folder",
        key="load_paths",
    )
    paths = []
    for text in chosen:
        with errors_shown():
            path = resolve_below(root, text)
            if path.is_file():
                paths.append(path)
            else:
                st.error(f"There is no file {escape(text)} in the data folder.")
    return paths if len(paths) == len(chosen) else []


def _hub(opened: Opened) -> None:
    if closed_to_role("admin", "Downloading into the data folder"):
        return
    with st.form("hub", border=False):
        name = st.text_input("Name of the dataset", placeholder="owner/name", key="hub_name")
        split = st.text_input("Split", "train", key="hub_split")
        if st.form_submit_button("Download and prepare", icon=":material/cloud_download:"):
            with errors_shown():
                number = register_hub(opened.project, name.strip(), split.strip() or "train")
                opened.runner.submit(preparation([number]))
                st.rerun()


def _import_button(opened: Opened, files: list[Path]) -> None:
    detected = _preview_files(files)
    if st.button(
        f"Import {plural(len(files), 'file', 'files')} and prepare",
        type="primary",
        disabled=len(detected) < len(files),
        icon=":material/play_arrow:",
        help="Imports, scores, embeds and maps in the background; you can look around meanwhile.",
    ):
        with errors_shown():
            numbers = register_files(opened.project, files, detected=detected)
            if len(numbers) < len(files):
                say(f"{len(files) - len(numbers)} of the files are in the pool already.")
            if numbers:
                opened.runner.submit(preparation(numbers))
            st.rerun()


def _preview_files(files: list[Path]) -> list[Detection]:
    """Show each file's first rows as they would be read; what is returned can be imported."""
    mapping = _mapping_form(files)
    detected = []
    for path in files:
        with st.container(border=True):
            try:
                found = _detect(path, path.stat().st_mtime, mapping and mapping.to_json())
            except DeitaError as error:
                st.markdown(f"**{escape(path.name)}**")
                st.error(escape(str(error)), icon=":material/error:")
                continue
            detected.append(found)
            st.markdown(f"**{escape(path.name)}** · {escape(found.explanation)}")
            _preview_rows(found)
    return detected


def _preview_rows(found: Detection) -> None:
    lines = []
    for row in found.preview:
        if isinstance(row, PoolRow):
            turns = row.conversation.turns
            lines.append(
                {
                    "row": row.position,
                    "turns": len(turns),
                    "system": (row.conversation.system or "")[:80],
                    "first instruction": turns[0].instruction[:200] if turns else "",
                    "first response": (turns[0].response or "")[:200] if turns else "",
                    "note": "; ".join(row.notes),
                }
            )
        else:
            lines.append({"row": row.position, "note": f"rejected: {row.reason}"})
    st.dataframe(lines, hide_index=True, alt=f"The first rows of {found.path.name} as read")


def _mapping_form(files: list[Path]) -> Mapping | None:
    with st.expander("Column mapping: say yourself how the records are to be read"):
        labels = {name: layout.label for name, layout in LAYOUTS.items()}
        name = st.selectbox(
            "Layout",
            [_AUTO, *LAYOUTS],
            format_func=lambda key: labels.get(key, "Detect it (recommended)"),
            key="mapping_layout",
        )
        if name == _AUTO:
            return None
        layout = LAYOUTS[name]
        st.caption(layout.description)
        fields = _fields(files)
        columns = {}
        for column in layout.columns:
            theirs = st.selectbox(
                f"{column.name}{' (required)' if column.required else ''}",
                fields,
                index=None,
                placeholder="found by its usual names",
                accept_new_options=True,
                help=column.explanation,
                key=f"mapping-{name}-{column.name}",
            )
            if theirs:
                columns[column.name] = theirs
        st.caption("Roles with other names, e.g. Benutzer → user:")
        roles = st.data_editor(
            [{"role in the file": "", "means": "user"}],
            num_rows="dynamic",
            column_config={"means": st.column_config.SelectboxColumn(options=list(ROLES))},
            key="mapping_roles",
        )
    named = {r["role in the file"]: r["means"] for r in roles if r.get("role in the file")}
    return Mapping(name, columns, named)


def _fields(files: list[Path]) -> list[str]:
    fields: list[str] = []
    for path in files:
        with suppress(DeitaError):  # its error is shown beside its preview
            fields += _detect(path, path.stat().st_mtime, None).fields
    return list(dict.fromkeys(fields))


@st.cache_data(show_spinner="Looking at the file", max_entries=32)
def _detect(path: Path, modified: float, mapping: str | None) -> Detection:
    return detect(path, Mapping.from_json(mapping) if mapping else None)
