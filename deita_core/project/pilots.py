"""Pilots: a sample of what a model has not done yet, what is left after it, and what it found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from deita_core.project.models import Role
from deita_core.project.scores import UNSCORED
from deita_core.project.store import Project, now, whole_number
from deita_core.project.vectors import UNEMBEDDED

# A prompt around each turn, in characters.
_PROMPT = 120
_READ = {
    "complexity": f"instruction_characters + {_PROMPT}",
    "quality": f"instruction_characters + coalesce(response_characters, 0) + {_PROMPT}",
}


@dataclass(frozen=True, slots=True)
class PilotRecord:
    """A pilot that was run. facts: the JSON of `jobs.kinds.pilot.PilotFacts`."""

    facts: Mapping[str, Any]
    pilot: int
    model: str
    made: datetime


def write_pilot_rows(
    project: Project, role: Role, number: int, rows: int, seed: int, out: Path
) -> int:
    """Write row and messages of a sample of what a model has not done yet; returns how many.

    The sample is one row at random (by hash and seed) out of each of `rows` classes of like
    length.
    """
    condition, given = _undone(role, number)
    return project.write_parquet(
        "WITH undone AS (SELECT row, messages, hash(row + ?) h, "
        f"ntile(?) OVER (ORDER BY tokens, row) class FROM conversations c WHERE {condition}) "
        "SELECT row, messages FROM undone QUALIFY row_number() OVER "
        "(PARTITION BY class ORDER BY h, row) = 1 ORDER BY row",
        out,
        seed,
        rows,
        *given,
    )


def reading_left(project: Project, role: Role, number: int) -> tuple[int, int]:
    """Rows that a model has not done yet, and the characters it will read of them."""
    return _reading(project, role, *_undone(role, number))


def reading_of(project: Project, role: Role, rows: Sequence[int]) -> int:
    """The characters that a model of this role reads of these rows."""
    return _reading(project, role, "c.row IN (SELECT unnest(?::INTEGER[]))", [list(rows)])[1]


def _undone(role: Role, number: int) -> tuple[str, list[Any]]:
    return (UNEMBEDDED, [number]) if role == "embedding" else (UNSCORED, [[number], 1])


def _reading(project: Project, role: Role, condition: str, given: list[Any]) -> tuple[int, int]:
    rows = f"FROM conversations c WHERE {condition}"
    query = f"SELECT count(*), coalesce(sum(c.characters), 0) {rows}"
    if role != "embedding":
        query = (
            f"SELECT count(DISTINCT t.row), coalesce(sum({_READ[role]}), 0) FROM turns t "
            f"WHERE t.row IN (SELECT c.row {rows})"
        )
    count, characters = project.rows(query, *given)[0]
    return count, int(characters)


def add_pilot(project: Project, model: str, facts: Mapping[str, Any]) -> int:
    """Keep what a pilot found out; returns its number."""
    with project.transaction(changes_data=False) as cursor:
        number = whole_number(cursor, "SELECT coalesce(max(pilot), 0) + 1 FROM pilots")
        encoded = json.dumps(dict(facts), sort_keys=True)
        cursor.execute("INSERT INTO pilots VALUES (?, ?, ?, ?)", [number, model, encoded, now()])
    return number


def pilots(project: Project, limit: int = 50) -> list[PilotRecord]:
    """The latest pilots, newest first."""
    found = project.rows(
        "SELECT facts, pilot, model, made FROM pilots ORDER BY pilot DESC LIMIT ?", limit
    )
    return [PilotRecord(json.loads(facts), *rest) for facts, *rest in found]
