"""LLaMA-Factory's dataset_info.json: how its loader finds the columns of an export."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path

from deita_core.errors import ExportError
from deita_core.formats.write_model import JsonObject, JsonValue

FILE_NAME = "dataset_info.json"

# A column that is listed but absent makes its loader fail; one that is not listed is ignored.
_COLUMNS: dict[str, dict[str, str]] = {
    "sharegpt": {"messages": "conversations", "tools": "tools"},
    "openai": {"messages": "messages"},
    "parquet": {"messages": "messages", "tools": "tools"},
    "alpaca": {
        "prompt": "instruction",
        "query": "input",
        "response": "output",
        "system": "system",
        "history": "history",
    },
}
_ALWAYS = frozenset({"conversations", "messages", "instruction", "input", "output"})
# The export formats that LLaMA-Factory reads.
READABLE = frozenset(_COLUMNS)
_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "function_call",
    "system_tag": "system",
}


def dataset_info(name: str, file_name: str, format: str, fields: Collection[str]) -> JsonObject:
    """The entry `{name: {...}}` for an export of that format.

    fields: the fields that hold a value in some row (`WriteReport.fields`); only those columns
    are listed. Raises ExportError for a format that LLaMA-Factory does not read.
    """
    columns = _COLUMNS.get(format)
    if columns is None:
        raise ExportError(
            f"LLaMA-Factory does not read {format!r}: export as one of {', '.join(_COLUMNS)}"
        )
    listed: JsonObject = {
        ours: theirs for ours, theirs in columns.items() if theirs in _ALWAYS or theirs in fields
    }
    entry: JsonObject = {"file_name": file_name}
    entry["formatting"] = "alpaca" if format == "alpaca" else "sharegpt"
    entry["columns"] = listed
    if format in ("openai", "parquet"):
        tags: dict[str, JsonValue] = dict(_TAGS)
        entry["tags"] = tags
    return {name: entry}


def merge_dataset_info(path: Path, entry: JsonObject) -> None:
    """Adds `entry` to the dataset_info.json at `path`, keeping every other dataset.

    An entry of the same name is replaced. The file is made when it is missing, and replaced
    only when complete. Raises ExportError when the file there is not a JSON object.
    """
    known: JsonObject = {}
    if path.exists():
        known = _load(path)
    text = json.dumps(known | entry, ensure_ascii=False, indent=2) + "\n"
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def _load(path: Path) -> JsonObject:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ExportError(
            f"{path} cannot be read as JSON ({error}): mend it or export to another folder"
        ) from error
    if not isinstance(found, dict):
        raise ExportError(
            f"{path} holds a {type(found).__name__}, not an object of datasets: "
            "mend it or export to another folder"
        )
    return found
