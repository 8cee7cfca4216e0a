"""Labelled turns out of a file: CSV, JSON Lines or a JSON array, one turn a row.

    instruction   what was asked ("input" is added on a line of its own, as in Alpaca's files)
    response      the answer (or "output"); may be missing where complexity is learnt
    score         or a column named after the dimension, "complexity" or "quality"
    group         the seed instruction it belongs to (else the instruction itself)
    cluster       a name under which the report counts it (may be missing)

What `deita decisions --labelled` writes is such a file. A row that cannot be used is rejected with
a reason, and counted.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deita_core.errors import FormatError
from deita_core.scoring.protocol import Dimension, TurnText, why_unscorable
from deita_core.training.labels import LabelledTurn

SCALE = (1.0, 6.0)
NO_SCORE = "no score"
_FIELD_LIMIT = 1 << 24  # characters of a field of a CSV file


@dataclass(frozen=True, slots=True)
class Labels:
    """The turns that can be learnt from, and how many rows were rejected for which reason."""

    turns: tuple[LabelledTurn, ...]
    rejected: Mapping[str, int]

    @property
    def groups(self) -> int:
        """How many seed instructions they are of."""
        return len({turn.group for turn in self.turns})

    def sentence(self) -> str:
        """The counts in words."""
        said = f"{len(self.turns):,} labelled turns of {self.groups:,} groups"
        if not self.rejected:
            return said
        why = ", ".join(f"{count:,} {reason}" for reason, count in self.rejected.items())
        return f"{said}; {sum(self.rejected.values()):,} rows rejected: {why}"


def usable_labels(
    turns: Sequence[LabelledTurn],
    dimension: Dimension,
    rejected: Mapping[str, int] | None = None,
) -> Labels:
    """The turns that have something to score in this dimension; the others are rejected.

    rejected: what was before.
    """
    counts, kept = Counter(rejected or {}), []
    for turn in turns:
        reason = why_unscorable(dimension, TurnText(turn.instruction, turn.response))
        if reason is None:
            kept.append(turn)
        else:
            counts[reason] += 1
    return Labels(tuple(kept), dict(sorted(counts.items())))


def read_labels(path: Path, dimension: Dimension, scale: tuple[float, float] = SCALE) -> Labels:
    """The labelled turns of a file, in its order.

    scale: the lowest and the highest score that the file may hold; they become 1 and 6.
    Raises FormatError for a file that is none, or lacks a column.
    """
    low, high = scale
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise FormatError(f"a scale goes from a lower to a higher number, got {low:g} to {high:g}")
    turns, rejected = [], Counter[str]()
    columns: set[str] = set()
    for record in _records(path):
        columns |= record.keys()
        made = _turn(record, dimension, low, high)
        if isinstance(made, str):
            rejected[made] += 1
        else:
            turns.append(made)
    _check_columns(path, columns, dimension)
    return usable_labels(turns, dimension, rejected)


def _turn(
    record: Mapping[str, Any], dimension: Dimension, low: float, high: float
) -> LabelledTurn | str:
    """A labelled turn, or why there is none."""
    given = record.get(dimension, record.get("score"))
    try:
        score = math.nan if given in (None, "") else float(given)
    except (TypeError, ValueError):
        return "score that is no number"
    if math.isnan(score):
        return NO_SCORE
    if not low <= score <= high:
        return f"score outside {low:g} to {high:g}"
    instruction, response = _text(record, "instruction"), _text(record, "response", "output")
    if instruction is not None and (more := _text(record, "input")):
        instruction = f"{instruction}\n{more}"
    group, cluster = record.get("group"), record.get("cluster")
    return LabelledTurn(
        group=str(group) if group not in (None, "") else instruction or "",
        instruction=instruction or "",
        response=response,
        score=1 + 5 * (score - low) / (high - low),
        cluster=None if cluster in (None, "") else str(cluster),
    )


def _text(record: Mapping[str, Any], *names: str) -> str | None:
    found = next((record[name] for name in names if record.get(name) is not None), None)
    return found if found is None or isinstance(found, str) else str(found)


def _check_columns(path: Path, columns: set[str], dimension: Dimension) -> None:
    if not columns:
        raise FormatError(f"{path.name} has no rows: give a file with labelled turns")
    needed = [{"instruction"}, {dimension, "score"}]
    needed += [{"response", "output"}] if dimension == "quality" else []
    for names in needed:
        if not names & columns:
            raise FormatError(
                f"{path.name} has no column {' or '.join(map(repr, sorted(names)))} (it has "
                f"{', '.join(map(repr, sorted(columns)[:12]))}): rename the one that is meant"
            )


def _records(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() in (".csv", ".tsv"):
                csv.field_size_limit(_FIELD_LIMIT)
                between = "," if path.suffix.lower() == ".csv" else "\t"
                yield from csv.DictReader(file, delimiter=between)
            elif path.suffix.lower() == ".json":
                yield from _array(path, json.load(file))
            else:
                yield from _lines(path, file)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path.name} is not UTF-8 (byte {error.start:,})") from error
    except csv.Error as error:
        raise FormatError(f"{path.name} is no CSV file: {error}") from error
    except ValueError as error:
        raise FormatError(f"{path.name} is not valid JSON: {error}") from error


def _array(path: Path, found: Any) -> list[Mapping[str, Any]]:
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise FormatError(f"{path.name} is no JSON array of objects")
    return found


def _lines(path: Path, file: Iterator[str] | Any) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            found = json.loads(line)
            if not isinstance(found, dict):
                raise FormatError(f"{path.name}, line {number}: not a JSON object")
            yield found
