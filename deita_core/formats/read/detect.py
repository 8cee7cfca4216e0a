"""What a file is and how it would be read, told from its first records and in plain sentences."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from deita_core.errors import FormatError
from deita_core.formats.read.chat import unknown_roles
from deita_core.formats.read.containers import Container, csv_header, records, sniff
from deita_core.formats.read.layout import (
    MISSING,
    WHOLE_RECORD,
    Column,
    Layout,
    Mapping,
    PoolRow,
    Reject,
    lookup,
    mapping_for,
)
from deita_core.formats.read.rows import LAYOUTS, is_record, layout_of, rows_of
from deita_core.formats.read.text import Damage, IsRecord, Record, shortened

SAMPLE = 200
HEAVIEST = 16_000_000  # characters of a sample
PREVIEW = 8
_KINDS = {"json": "JSON", "jsonl": "JSON Lines", "csv": "CSV", "parquet": "Parquet"}
# Layouts whose fields do not tell how a row comes about.
_DESCRIBED = ("preference", "questions", "texts", "nested_tree", "flat_tree")


@dataclass(frozen=True, slots=True)
class Detection:
    """What a file looks like before it is imported.

    container, mapping: how `read` will read it. fields: of its records, most common first.
    preview: the first rows as they would be imported. explanation: a few plain sentences.
    """

    path: Path
    container: Container
    mapping: Mapping
    fields: tuple[str, ...]
    preview: tuple[PoolRow | Reject, ...]
    explanation: str


@dataclass(frozen=True, slots=True)
class _Sample:
    """The first records of a file; goes_on: it may have more."""

    path: Path
    values: list[object]
    fields: tuple[str, ...]
    goes_on: bool

    @property
    def seen(self) -> str:
        return shortened(", ".join(self.fields)) or "no named fields"


def detect(path: Path, mapping: Mapping | None = None) -> Detection:
    """What the file is, from its first 200 records; `mapping` overrides what would be found.

    The mapping found names what all records share (required columns, the keys of a message);
    other columns are looked for in each record, so that one that first occurs late is read.
    Raises PathError when there is no file, PoolError when it cannot be read, FormatError when
    nothing fits (naming the fields it saw) or a required column of the mapping is not there.
    """
    known = record_test(mapping)
    container = sniff(path, known)
    found = list(_first(records(path, container, known)))
    values = [item.value for item in found if isinstance(item, Record)]
    counts = Counter(str(name) for value in values if isinstance(value, dict) for name in value)
    fields = tuple(name for name, _ in counts.most_common())
    if not fields and container.kind == "csv":
        fields = csv_header(path, container.delimiter)
    sample = _Sample(path, values, fields, len(found) == SAMPLE or _weight(found) > HEAVIEST)
    layout = _layout(sample, mapping)
    complete = _complete(sample, layout, mapping)
    rows = tuple(rows_of(iter(found), complete))
    explanation = _explain(sample, container, layout, complete, rows)
    # The columns that the mapping requires tell a record better than any layout's do.
    container = sniff(path, record_test(complete))
    return Detection(path, container, complete, fields, rows[:PREVIEW], explanation)


def _first(found: Iterator[Record | Damage]) -> Iterator[Record | Damage]:
    """The first 200, or fewer when these are heavy."""
    weight = 0
    for item in islice(found, SAMPLE):
        yield item
        weight += len(item.raw)
        if weight > HEAVIEST:
            return


def _weight(found: list[Record | Damage]) -> int:
    return sum(len(item.raw) for item in found)


def record_test(mapping: Mapping | None) -> IsRecord:
    """Whether a value can be a row: by the columns that the mapping requires, if it has any."""
    if mapping is None or mapping.layout not in LAYOUTS:
        return is_record
    layout = LAYOUTS[mapping.layout]
    inner = ("role", "text", "replies") if "tree" not in mapping.layout else ("replies",)
    outer = [c.name for c in layout.columns if c.required and c.name not in inner]
    paths = [path for name in outer if (path := mapping.columns.get(name))]
    nested = mapping.layout == "nested_tree" and mapping.columns.get("root")
    if not paths or nested or WHOLE_RECORD in paths:
        return lambda value: layout.fits(value) is not None
    return lambda value: all(lookup(value, path) is not MISSING for path in paths)


def _layout(sample: _Sample, mapping: Mapping | None) -> Layout:
    if mapping is not None:
        if mapping.layout not in LAYOUTS:
            names = ", ".join(LAYOUTS)
            raise FormatError(f"there is no layout {mapping.layout!r}; the layouts are {names}")
        return LAYOUTS[mapping.layout]
    counts = Counter(layout.name for value in sample.values if (layout := layout_of(value)))
    if not counts:
        if not sample.values and not sample.fields:
            raise FormatError(
                f"{sample.path.name} has no record that can be read among its first {SAMPLE}; "
                "check that the file is complete"
            )
        raise FormatError(
            f"{sample.path.name} is in no layout that is known (its fields: {sample.seen}); "
            "choose a layout and say which field is which (column mapping)"
        )
    return LAYOUTS[counts.most_common(1)[0][0]]


def _complete(sample: _Sample, layout: Layout, mapping: Mapping | None) -> Mapping:
    given = dict(mapping.columns) if mapping else {}
    unknown = [name for name in given if name not in layout.column_names]
    if unknown:
        raise FormatError(
            f"the layout {layout.name} has no column {', '.join(unknown)}; "
            f"its columns are {', '.join(layout.column_names)}"
        )
    columns = _with_given(layout, given, sample.values)
    for column in layout.open_columns(Mapping(layout.name, given)):
        columns.pop(column.name, None)
    for column in (column for column in layout.columns if column.required):
        theirs = columns.get(column.name)
        if not theirs:
            raise FormatError(
                f"no field of {sample.path.name} was found for {column.name} "
                f"({column.explanation}); its fields are {sample.seen}: say which one it is"
            )
        if column.name in given and not occurs(column, layout, theirs, sample.values):
            raise FormatError(
                f"no record of {sample.path.name} has the field {theirs!r} given for "
                f"{column.name}; its fields are {sample.seen}"
            )
    return Mapping(layout.name, columns, dict(mapping.roles) if mapping else {})


def _with_given(layout: Layout, given: dict[str, str], values: list[object]) -> dict[str, str]:
    """The given columns, completed by what the layout finds under the usual names."""
    # Under a renamed field the layout finds nothing, so it is shown the records with our
    # usual names in place of the given ones.
    usual = {c.name: c.aliases[0] for c in layout.columns if c.name in given}
    votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for value in values:
        record = value
        if isinstance(value, dict):
            more = {usual[n]: lookup(value, path) for n, path in given.items() if path}
            record = value | {k: v for k, v in more.items() if v is not MISSING}
        for ours, theirs in (layout.fits(record) or {}).items():
            votes[ours][theirs] += 1
    found = {ours: counted.most_common(1)[0][0] for ours, counted in votes.items()}
    taken = set(given.values())
    return {ours: theirs for ours, theirs in found.items() if theirs not in taken} | given


def _explain(
    sample: _Sample,
    container: Container,
    layout: Layout,
    mapping: Mapping,
    rows: Sequence[PoolRow | Reject],
) -> str:
    """What the file is, which fields are read, and what in its first rows needs attention."""
    packed = f" ({container.compression})" if container.compression else ""
    sentences = [
        f"A {_KINDS[container.kind]} file{packed} in the layout {layout.label}",
        *([layout.description.removesuffix(".")] if layout.name in _DESCRIBED else []),
        *_fields_read(sample, layout, mapping),
        *_absent(layout, mapping, sample.values),
        # The last trees of a sample may be cut off.
        *(_trouble(rows, sample.goes_on) if layout.name != "flat_tree" else []),
        *_roles(mapping, sample.values),
    ]
    return ". ".join(sentences) + "."


def occurs(column: Column, layout: Layout, path: str, values: Sequence[object]) -> bool:
    """Whether any record has the field; taken for granted where it lies within messages."""
    in_message = layout.name != "flat_tree" and column.name in ("role", "text")
    within = in_message or (layout.name == "nested_tree" and column.name != "root")
    return within or not values or any(lookup(value, path) is not MISSING for value in values)


def _fields_read(sample: _Sample, layout: Layout, mapping: Mapping) -> list[str]:
    looked_for = layout.open_columns(mapping)
    used = {column.name: Counter[str]() for column in layout.columns}
    used |= {ours: Counter([theirs]) for ours, theirs in mapping.columns.items() if theirs}
    for value in sample.values:
        for ours, theirs in mapping_for(value, mapping, looked_for).columns.items():
            if ours not in mapping.columns:
                used[ours][theirs] += 1
    read = [_named(ours, names) for ours, names in used.items() if names]
    sentences = [f"Fields read: {', '.join(read)}"]
    unread = [ours for ours, theirs in mapping.columns.items() if not theirs]
    if unread:
        sentences.append(f"Not read, as the mapping says: {', '.join(unread)}")
    later = [column.name for column in looked_for if not used[column.name]]
    if later and sample.goes_on:
        sentences.append(f"Read as well, if a later record has it: {', '.join(later)}")
    return sentences


def _named(ours: str, counted: Counter[str]) -> str:
    theirs = [name for name, _ in counted.most_common()]
    if theirs == [ours]:
        return ours
    if theirs == [WHOLE_RECORD]:
        return f"{ours} (the record itself)"
    *first, last = map(repr, theirs)
    return f"{ours} from {', '.join(first)} or {last}" if first else f"{ours} from {last}"


def _absent(layout: Layout, mapping: Mapping, values: Sequence[object]) -> list[str]:
    open_columns = layout.open_columns(mapping)
    return [
        f"None of its first {len(values)} records has the field {path!r} given for {column.name}"
        for column in layout.columns
        if not column.required and column not in open_columns
        if (path := mapping.columns.get(column.name))
        if not occurs(column, layout, path, values)
    ]


def _trouble(rows: Sequence[PoolRow | Reject], goes_on: bool) -> list[str]:
    """How many of the first rows would be rejected, and why; how many have no response."""
    among = f"first {len(rows):,} rows" if goes_on else f"{len(rows):,} rows"
    rejects = (row.reason for row in rows if isinstance(row, Reject))
    # The reasons without the texts of their rows.
    reasons = Counter(reason.split(" (it has")[0].split(": ")[0] for reason in rejects)
    sentences = []
    if reasons:
        why = "; ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(3))
        more = "; other reasons" if len(reasons) > 3 else ""
        sentences.append(f"Of its {among} {reasons.total():,} would be rejected: {why}{more}")
    chats = (row.conversation for row in rows if isinstance(row, PoolRow))
    silent = sum(all(turn.response is None for turn in chat.turns) for chat in chats)
    if silent:
        verb = "has" if silent == 1 else "have"
        sentences.append(f"Of its {among} {silent:,} {verb} no response")
    return sentences


def _roles(mapping: Mapping, values: Sequence[object]) -> list[str]:
    unknown = {name for value in values for name in unknown_roles(value, mapping)}
    names = ", ".join(map(repr, sorted(unknown)[:8]))
    says = f"Role names that are not known: {names}; say in the mapping which role each one is"
    return [says] if unknown else []
