"""How a file would be read, in plain sentences: what the user sees before the import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from deita_core.formats.chat import unknown_roles
from deita_core.formats.containers import Container
from deita_core.formats.layout import MISSING, WHOLE_RECORD, Column, Layout, lookup, mapping_for
from deita_core.formats.model import Mapping, PoolRow, Reject

_KINDS = {
    "json": "A JSON file",
    "jsonl": "A JSON Lines file",
    "csv": "A CSV file",
    "parquet": "A Parquet file",
}


# Layouts whose fields do not tell how a row comes about.
_TOLD = ("preference", "questions", "texts", "nested_tree", "flat_tree")


def explain(
    container: Container,
    layout: Layout,
    mapping: Mapping,
    values: Sequence[object],
    rows: Sequence[PoolRow | Reject],
    goes_on: bool,
) -> str:
    """What the file is, which fields are read, and what in its first rows needs attention.

    values: its first records. rows: what they would become. goes_on: the file may have more.
    """
    packed = f" ({container.compression})" if container.compression else ""
    sentences = [
        f"{_KINDS[container.kind]}{packed} in the layout {layout.label}",
        *([layout.description.removesuffix(".")] if layout.name in _TOLD else []),
        *_fields_read(layout, mapping, values, goes_on),
        *_absent(layout, mapping, values),
        # The last trees of a sample may be cut off.
        *(_trouble(rows, goes_on) if layout.name != "flat_tree" else []),
        *_roles(mapping, values),
    ]
    return ". ".join(sentences) + "."


def occurs(column: Column, layout: Layout, path: str, values: Sequence[object]) -> bool:
    """Whether any record has the field; taken for granted where it lies within messages."""
    in_message = layout.name != "flat_tree" and column.name in ("role", "text")
    within = in_message or (layout.name == "nested_tree" and column.name != "root")
    return within or not values or any(lookup(value, path) is not MISSING for value in values)


def _fields_read(
    layout: Layout, mapping: Mapping, values: Sequence[object], goes_on: bool
) -> list[str]:
    looked_for = layout.open_columns(mapping)
    used = {column.name: Counter[str]() for column in layout.columns}
    used |= {ours: Counter([theirs]) for ours, theirs in mapping.columns.items() if theirs}
    for value in values:
        for ours, theirs in mapping_for(value, mapping, looked_for).columns.items():
            if ours not in mapping.columns:
                used[ours][theirs] += 1
    read = [_named(ours, names) for ours, names in used.items() if names]
    sentences = [f"Fields read: {', '.join(read)}"]
    unread = [ours for ours, theirs in mapping.columns.items() if not theirs]
    if unread:
        sentences.append(f"Not read, as the mapping says: {', '.join(unread)}")
    later = [column.name for column in looked_for if not used[column.name]]
    if later and goes_on:
        sentences.append(f"Read as well, if a later record has it: {', '.join(later)}")
    return sentences


def _named(ours: str, counted: Counter[str]) -> str:
    theirs = [name for name, _ in counted.most_common()]
    if theirs == [ours]:
        return ours
    if theirs == [WHOLE_RECORD]:
        return f"{ours} (the record itself)"
    return f"{ours} from {_or([repr(name) for name in theirs])}"


def _or(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


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
    reasons = Counter(_in_short(row.reason) for row in rows if isinstance(row, Reject))
    sentences = []
    if reasons:
        why = "; ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(3))
        more = "; other reasons" if len(reasons) > 3 else ""
        sentences.append(f"Of its {among} {reasons.total():,} would be rejected: {why}{more}")
    silent = sum(
        isinstance(row, PoolRow) and all(turn.response is None for turn in row.conversation.turns)
        for row in rows
    )
    if silent:
        verb = "has" if silent == 1 else "have"
        sentences.append(f"Of its {among} {silent:,} {verb} no response")
    return sentences


def _in_short(reason: str) -> str:
    """A reason without the text of its row."""
    return reason.split(" (it has")[0].split(": ")[0]


def _roles(mapping: Mapping, values: Sequence[object]) -> list[str]:
    unknown = {name for value in values for name in unknown_roles(value, mapping)}
    if not unknown:
        return []
    names = ", ".join(map(repr, sorted(unknown)[:8]))
    return [f"Role names that are not known: {names}; say in the mapping which role each one is"]
