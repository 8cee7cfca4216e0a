"""Tells container and layout of a file from its first rows, and shows how they would read."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

from deita_core.errors import FormatError
from deita_core.formats.containers import Container, csv_header, records, sniff
from deita_core.formats.explain import explain, occurs
from deita_core.formats.layout import MISSING, WHOLE_RECORD, Layout, lookup
from deita_core.formats.layouts import LAYOUTS, columns_for, is_record, most_fitting
from deita_core.formats.model import Detection, Mapping
from deita_core.formats.reading import rows_of
from deita_core.formats.record import IsRecord, Record

SAMPLE = 200
PREVIEW = 8


def detect(path: Path, mapping: Mapping | None = None) -> Detection:
    """What the file is, from its first 200 records; `mapping` overrides what would be found.

    What `mapping` does not name is found by its usual names, a column named as "" is not read.
    The mapping found names what all records share (required columns, the keys of a message);
    other columns are looked for in each record, so that one that first occurs late is read.
    Raises PathError when there is no file, PoolError when it cannot be read, FormatError when
    nothing fits (naming the fields it saw) or a required column of the mapping is not there.
    """
    known = _predicate(mapping)
    container = sniff(path, known)
    sample = list(islice(records(path, container, known), SAMPLE))
    values = [item.value for item in sample if isinstance(item, Record)]
    fields = _fields(path, container, values)
    layout = _layout(path, mapping, values, fields)
    complete = _complete(path, layout, mapping, values, fields)
    rows = tuple(rows_of(iter(sample), complete))
    explanation = explain(container, layout, complete, values, rows, len(sample) == SAMPLE)
    return Detection(
        path, container.kind, container.compression, complete, fields, rows[:PREVIEW], explanation
    )


def container_of(path: Path, mapping: Mapping) -> tuple[Container, IsRecord]:
    """The container of a file that is read by a known mapping."""
    known = _predicate(mapping)
    return sniff(path, known), known


def _predicate(mapping: Mapping | None) -> IsRecord:
    """Whether a value can be a row: by the columns that the mapping requires, if it has any."""
    if mapping is None or mapping.layout not in LAYOUTS:
        return is_record
    layout = LAYOUTS[mapping.layout]
    inner = ("role", "text", "replies") if "tree" not in mapping.layout else ("replies",)
    paths = [
        path
        for column in layout.columns
        if column.required and column.name not in inner
        if (path := mapping.columns.get(column.name))
    ]
    nested = mapping.layout == "nested_tree" and mapping.columns.get("root")
    if not paths or nested or WHOLE_RECORD in paths:
        return lambda value: layout.fits(value) is not None
    return lambda value: all(lookup(value, path) is not MISSING for path in paths)


def _fields(path: Path, container: Container, values: list[object]) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for value in values:
        if isinstance(value, dict):
            counts.update(map(str, value))
    if not counts and container.kind == "csv":
        return csv_header(path, container.delimiter)
    return tuple(name for name, _ in counts.most_common())


def _layout(
    path: Path, mapping: Mapping | None, values: list[object], fields: tuple[str, ...]
) -> Layout:
    if mapping is not None:
        if mapping.layout not in LAYOUTS:
            names = ", ".join(LAYOUTS)
            raise FormatError(f"there is no layout {mapping.layout!r}; the layouts are {names}")
        return LAYOUTS[mapping.layout]
    layout = most_fitting(values)
    if layout is None:
        if not values and not fields:
            raise FormatError(
                f"{path.name} has no record that can be read among its first {SAMPLE}; "
                "check that the file is complete"
            )
        seen = ", ".join(fields) or "no named fields"
        raise FormatError(
            f"{path.name} is in no layout that is known (its fields: {seen}); "
            "choose a layout and say which field is which (column mapping)"
        )
    return layout


def _complete(
    path: Path,
    layout: Layout,
    mapping: Mapping | None,
    values: list[object],
    fields: tuple[str, ...],
) -> Mapping:
    given = dict(mapping.columns) if mapping else {}
    unknown = [name for name in given if name not in layout.column_names]
    if unknown:
        raise FormatError(
            f"the layout {layout.name} has no column {', '.join(unknown)}; "
            f"its columns are {', '.join(layout.column_names)}"
        )
    columns = _with_given(layout, given, values)
    for column in layout.open_columns(Mapping(layout.name, given)):
        columns.pop(column.name, None)
    for column in layout.columns:
        theirs = columns.get(column.name, "")
        if column.required and not theirs:
            seen = ", ".join(fields) or "no named fields"
            raise FormatError(
                f"no field of {path.name} was found for {column.name} ({column.explanation}); "
                f"its fields are {seen}: say which one it is"
            )
        if column.required and column.name in given and not occurs(column, layout, theirs, values):
            raise FormatError(
                f"no record of {path.name} has the field {theirs!r} given for {column.name}; "
                f"its fields are {', '.join(fields)}"
            )
    return Mapping(layout.name, columns, dict(mapping.roles) if mapping else {})


def _with_given(layout: Layout, given: dict[str, str], values: list[object]) -> dict[str, str]:
    """The given columns, completed by what the layout finds under the usual names."""
    # Under a renamed field the layout finds nothing, so it is shown the records with our
    # usual names in place of the given ones.
    usual = {c.name: c.aliases[0] for c in layout.columns if c.name in given}
    renamed: list[object] = []
    for value in values:
        if isinstance(value, dict):
            more = {usual[n]: lookup(value, path) for n, path in given.items() if path}
            value = {**value, **{k: v for k, v in more.items() if v is not MISSING}}
        renamed.append(value)
    found = columns_for(layout, renamed)
    taken = set(given.values())
    kept = {ours: theirs for ours, theirs in found.items() if theirs not in taken}
    return {**kept, **given}
