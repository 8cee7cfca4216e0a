"""The models of a project: what tells one apart, which are in use, what is left for them to do.

Each has a role: it scores complexity, it scores quality, or it embeds. At most one model of a
role is active; selection, charts and map use its results. Pilots try one on a few rows first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from deita_core.project.store import Project, next_number, now, whole_number

Role = Literal["complexity", "quality", "embedding"]
Parameters = Mapping[str, str | int | float | bool]
USE = "use a model"
_ACTIVE = "SELECT model FROM models WHERE role = ? AND active"


class ModelIdentity(BaseModel):
    """What tells a model apart from all others. width: of an embedder's vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    revision: str
    parameters: Parameters = Field(default_factory=dict)
    width: int | None = None


def register_model(
    project: Project, role: Role, identity: ModelIdentity, *, activate: bool = True
) -> int:
    """The number of this model, made at need.

    activate: it becomes the active one of its role; without, only when there is none.
    """
    told_apart = [role, identity.id, identity.revision]
    told_apart.append(json.dumps(dict(identity.parameters), sort_keys=True))
    what: dict[str, Any] = {}
    with project.transaction("curator", USE, what) as cursor:
        before = whole_number(cursor, _ACTIVE, role)
        number = whole_number(
            cursor,
            "SELECT model FROM models WHERE role = ? AND id = ? AND revision = ? "
            "AND parameters = ?",
            *told_apart,
        )
        if not number:
            number = next_number(cursor, "models", "model")
            cursor.execute(
                "INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, false, ?)",
                [number, *told_apart, identity.width, now()],
            )
        cursor.execute(
            "UPDATE models SET active = (model = ?) WHERE role = ? AND "
            "(? OR NOT EXISTS (FROM models WHERE role = ? AND active))",
            [number, role, activate, role],
        )
        if before != whole_number(cursor, _ACTIVE, role):  # else nothing to tell
            what |= {"role": role, "model": identity.id, "revision": identity.revision}
    return number


def active_model(project: Project, role: Role) -> int | None:
    """The number of the model whose results count, or None."""
    return project.number(_ACTIVE, role) or None


def activate_model(project: Project, model: int) -> None:
    """Let the results of this model count, instead of those of others of its role."""
    found = project.rows("SELECT role, id, revision FROM models WHERE model = ?", model)
    what = dict(zip(("role", "model", "revision"), found[0], strict=True)) if found else {}
    with project.transaction("curator", USE, what) as cursor:
        cursor.execute(
            "UPDATE models SET active = (model = ?) WHERE role = "
            "(SELECT role FROM models WHERE model = ?)",
            [model, model],
        )


# what is left to do

# A batch commits all turns of a conversation together, so its first turn tells.
_UNSCORED = """c.turns > 0 AND c.row NOT IN (
    SELECT row FROM scores WHERE turn = 0 AND scorer IN (SELECT unnest($1::INTEGER[]))
    GROUP BY row HAVING count(DISTINCT scorer) = len($1))"""
_UNEMBEDDED = "c.row NOT IN (SELECT row FROM embeddings WHERE embedder IN (SELECT unnest($1)))"


def _undone(role: Role) -> str:
    """The conversations c that the models $1 of this role have not done, as rows of a query."""
    condition = _UNEMBEDDED if role == "embedding" else _UNSCORED
    return f"FROM conversations c WHERE {condition}"


def count_undone(project: Project, models: Mapping[Role, int]) -> int:
    """Conversations that lack a result (or its reason) from any of the models, by their roles."""
    query = f"SELECT count(*) {_undone(next(iter(models)))}"
    return project.number(query, list(models.values()))


def write_undone(project: Project, models: Mapping[Role, int], out: Path) -> int:
    """Write row and messages of them as Parquet, in row order; returns the number of rows.

    models: scorers, or an embedder, by their roles.
    """
    query = f"SELECT row, messages {_undone(next(iter(models)))} ORDER BY row"
    return project.write_parquet(query, out, list(models.values()))


# pilots

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
    return project.write_parquet(
        "WITH undone AS (SELECT row, messages, hash(row + $2) h, "  # noqa: S608 - only names of ours go in
        f"ntile($3) OVER (ORDER BY tokens, row) class {_undone(role)}) "
        "SELECT row, messages FROM undone QUALIFY row_number() OVER "
        "(PARTITION BY class ORDER BY h, row) = 1 ORDER BY row",
        out,
        [number],
        seed,
        rows,
    )


def reading_left(project: Project, role: Role, number: int) -> tuple[int, int]:
    """Rows that a model has not done yet, and the characters it will read of them."""
    return _reading(project, role, _undone(role), [number])


def reading_of(project: Project, role: Role, rows: Sequence[int]) -> int:
    """The characters that a model of this role reads of these rows."""
    these = "FROM conversations c WHERE c.row IN (SELECT unnest($1::INTEGER[]))"
    return _reading(project, role, these, rows)[1]


def _reading(project: Project, role: Role, which: str, given: Sequence[int]) -> tuple[int, int]:
    query = f"SELECT count(*), coalesce(sum(c.characters), 0) {which}"
    if role != "embedding":
        query = (
            f"SELECT count(DISTINCT t.row), coalesce(sum({_READ[role]}), 0) FROM turns t "  # noqa: S608 - only names of ours go in
            f"WHERE t.row IN (SELECT c.row {which})"
        )
    count, characters = project.rows(query, list(given))[0]
    return count, int(characters)


def add_pilot(project: Project, model: str, facts: Mapping[str, Any]) -> int:
    """Keep what a pilot found out; returns its number."""
    what = {"model": model}
    with project.transaction("curator", "try a model", what, changes_data=False) as cursor:
        number = next_number(cursor, "pilots", "pilot")
        encoded = json.dumps(dict(facts), sort_keys=True)
        cursor.execute("INSERT INTO pilots VALUES (?, ?, ?, ?)", [number, model, encoded, now()])
    return number


def pilots(project: Project, limit: int = 50) -> list[PilotRecord]:
    """The latest pilots, newest first."""
    found = project.rows(
        "SELECT facts, pilot, model, made FROM pilots ORDER BY pilot DESC LIMIT ?", limit
    )
    return [PilotRecord(json.loads(facts), *rest) for facts, *rest in found]
