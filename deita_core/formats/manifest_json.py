"""The JSON text of a manifest, and the reading of one with a message for each thing wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from typing import Any

from deita_core.errors import ExportError
from deita_core.formats.manifest import (
    SCHEMA_VERSION,
    Manifest,
    ModelUse,
    Output,
    PoolFile,
    SelectionRule,
)
from deita_core.formats.model import Mapping

KIND = "deita-studio manifest"


def to_json(manifest: Manifest) -> str:
    """JSON text of the manifest, keys in a fixed order, indented."""
    record = {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "project": manifest.project,
        "created": manifest.created,
        "pool": [_pool_record(file) for file in manifest.pool],
        "models": [
            {
                "role": model.role,
                "id": model.id,
                "revision": model.revision,
                "parameters": dict(model.parameters),
            }
            for model in manifest.models
        ],
        "selection": {
            "name": manifest.selection.name,
            "strategy": manifest.selection.strategy,
            "parameters": dict(manifest.selection.parameters),
        },
        "versions": dict(manifest.versions),
        "output": {
            "format": manifest.output.format,
            "file_name": manifest.output.file_name,
            "with_scores": manifest.output.with_scores,
            "bytes": manifest.output.bytes,
            "sha256": manifest.output.sha256,
            "ids": list(manifest.output.ids),
        },
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _pool_record(file: PoolFile) -> dict[str, object]:
    return {
        "name": file.name,
        "path": file.path,
        "sha256": file.sha256,
        "bytes": file.bytes,
        "container": file.container,
        "compression": file.compression,
        "mapping": {
            "layout": file.mapping.layout,
            "columns": dict(file.mapping.columns),
            "roles": dict(file.mapping.roles),
        },
        "read": file.read,
        "imported": file.imported,
        "duplicates": file.duplicates,
        "rejected": file.rejected,
    }


@dataclass(frozen=True, slots=True)
class _Fields:
    """A JSON object being read; `where` is its place, for messages."""

    record: dict[str, Any]
    where: str

    def text(self, name: str) -> str:
        return str(self._get(name, str, "text"))

    def count(self, name: str) -> int:
        value = self._get(name, int, "a whole number")
        if isinstance(value, bool) or value < 0:
            raise _wrong(self._place(name), "a whole number of at least 0", value)
        return int(value)

    def flag(self, name: str) -> bool:
        return bool(self._get(name, bool, "true or false"))

    def object(self, name: str) -> _Fields:
        return _Fields(self._get(name, dict, "an object"), self._place(name))

    def objects(self, name: str) -> list[_Fields]:
        items = self._get(name, list, "a list")
        place = self._place(name)
        return [_fields(item, f"{place}[{index}]") for index, item in enumerate(items)]

    def texts(self, name: str) -> tuple[str, ...]:
        items = self._get(name, list, "a list")
        for index, item in enumerate(items):
            if not isinstance(item, str):
                raise _wrong(f"{self._place(name)}[{index}]", "text", item)
        return tuple(items)

    def text_map(self, name: str) -> MappingType[str, str]:
        inner = self.object(name)
        return {key: inner.text(key) for key in inner.record}

    def digest(self, name: str) -> str:
        value = self.text(name)
        if len(value) != 64 or set(value) - set("0123456789abcdef"):
            raise _wrong(self._place(name), "a SHA-256 of 64 hex digits", value)
        return value

    def _get(self, name: str, kind: type, wanted: str) -> Any:
        if name not in self.record:
            raise ExportError(f"the manifest lacks {self._place(name)} ({wanted}); export again")
        value = self.record[name]
        if not isinstance(value, kind):
            raise _wrong(self._place(name), wanted, value)
        return value

    def _place(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where else name


def from_json(text: str) -> Manifest:
    """The inverse of `to_json`. Raises ExportError that names the field at fault."""
    try:
        record = json.loads(text)
    except ValueError as error:
        raise ExportError(f"the manifest is not JSON: {error}; export again") from error
    fields = _fields(record, "")
    if fields.record.get("kind") != KIND:
        raise ExportError(
            f"not a manifest: its kind is {fields.record.get('kind')!r}, not {KIND!r}"
        )
    version = fields.count("schema_version")
    if version != SCHEMA_VERSION:
        raise ExportError(
            f"the manifest has schema version {version}, this Deita Studio reads "
            f"{SCHEMA_VERSION}: replay it with the version that wrote it"
        )
    return Manifest(
        project=fields.text("project"),
        created=fields.text("created"),
        pool=tuple(_pool_file(item) for item in fields.objects("pool")),
        models=tuple(_model(item) for item in fields.objects("models")),
        selection=_selection(fields.object("selection")),
        output=_output(fields.object("output")),
        versions=fields.text_map("versions"),
    )


def _pool_file(fields: _Fields) -> PoolFile:
    mapping = fields.object("mapping")
    file = PoolFile(
        name=fields.text("name"),
        path=fields.text("path"),
        sha256=fields.digest("sha256"),
        bytes=fields.count("bytes"),
        container=fields.text("container"),
        compression=fields.text("compression"),
        mapping=Mapping(
            mapping.text("layout"), mapping.text_map("columns"), mapping.text_map("roles")
        ),
        read=fields.count("read"),
        imported=fields.count("imported"),
        duplicates=fields.count("duplicates"),
        rejected=fields.count("rejected"),
    )
    if file.read != file.imported + file.duplicates + file.rejected:
        raise ExportError(
            f"{fields.where} does not add up: {file.read} read, but {file.imported} imported + "
            f"{file.duplicates} duplicates + {file.rejected} rejected; export again"
        )
    return file


def _model(fields: _Fields) -> ModelUse:
    parameters = fields.object("parameters")
    for name, value in parameters.record.items():
        if not isinstance(value, str | int | float | bool):
            raise _wrong(f"{parameters.where}.{name}", "text, a number or true/false", value)
    return ModelUse(
        fields.text("role"), fields.text("id"), fields.text("revision"), parameters.record
    )


def _selection(fields: _Fields) -> SelectionRule:
    parameters = fields.object("parameters").record
    return SelectionRule(fields.text("name"), fields.text("strategy"), parameters)


def _output(fields: _Fields) -> Output:
    return Output(
        format=fields.text("format"),
        file_name=fields.text("file_name"),
        with_scores=fields.flag("with_scores"),
        bytes=fields.count("bytes"),
        sha256=fields.digest("sha256"),
        ids=fields.texts("ids"),
    )


def _fields(value: Any, where: str) -> _Fields:
    if not isinstance(value, dict):
        raise _wrong(where or "the manifest", "an object", value)
    return _Fields(value, where)


def _wrong(place: str, wanted: str, value: object) -> ExportError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return ExportError(f"{place} must be {wanted}, got {shown}; export again")
