"""Conversations that somebody pinned or excluded by hand.

They have a counter of their own and leave the data version alone: a pin changes what is selected,
not what the pool is, so nothing that was loaded has to be loaded again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from deita_core.errors import ProjectError
from deita_core.project.store import Project, now, whole_number

ChoiceByHand = Literal["pinned", "excluded"]

_COUNTER: Final = "choices_version"
_ASKED: Final = "row IN (SELECT unnest(?::INTEGER[]))"


@dataclass(frozen=True, slots=True)
class RowChoice:
    """A conversation that was pinned or excluded; `id` is its content hash, `chosen` in UTC."""

    row: int
    id: str
    choice: ChoiceByHand
    note: str
    author: str
    chosen: datetime


@dataclass(frozen=True, slots=True)
class Choices:
    """All choices by hand, by row."""

    all: tuple[RowChoice, ...]

    def __len__(self) -> int:
        return len(self.all)

    @property
    def pinned(self) -> tuple[str, ...]:
        """Ids of the pinned conversations, in the order of their rows: as a rule takes them."""
        return tuple(one.id for one in self.all if one.choice == "pinned")

    @property
    def excluded(self) -> tuple[str, ...]:
        """Ids of the excluded conversations, in the order of their rows."""
        return tuple(one.id for one in self.all if one.choice == "excluded")

    def of_row(self, row: int) -> RowChoice | None:
        """What was chosen for this row, or None."""
        return next((one for one in self.all if one.row == row), None)


def set_choice(
    project: Project,
    rows: Sequence[int],
    choice: ChoiceByHand | None,
    *,
    note: str = "",
    author: str = "",
) -> None:
    """Pin or exclude these rows, whatever they were before; None takes them out of both lists.

    Raises ProjectError for a row that is not in the project, and changes nothing then.
    """
    if choice is not None and choice not in get_args(ChoiceByHand):
        known = " or ".join(get_args(ChoiceByHand))
        raise ProjectError(f"a choice is {known}, or None to take it back; got {choice!r}")
    wanted = sorted({int(row) for row in rows})
    if not wanted:
        return
    with project.transaction(changes_data=False) as cursor:
        known_rows = whole_number(
            cursor, f"SELECT count(*) FROM conversations WHERE {_ASKED}", wanted
        )
        if known_rows != len(wanted):
            raise ProjectError(
                f"{len(wanted) - known_rows} of {len(wanted)} rows are not in this project: "
                "choose rows that it has"
            )
        if choice is None:
            cursor.execute(f"DELETE FROM choices WHERE {_ASKED}", [wanted])
        else:
            cursor.execute(
                "INSERT OR REPLACE INTO choices SELECT unnest(?::INTEGER[]), ?, ?, ?, ?",
                [wanted, choice, note, author, now()],
            )
        cursor.execute(
            "INSERT OR REPLACE INTO meta SELECT ?, CAST(coalesce((SELECT CAST(value AS BIGINT) "
            "FROM meta WHERE key = ?), 0) + 1 AS VARCHAR)",
            [_COUNTER, _COUNTER],
        )


def choices(project: Project) -> Choices:
    """Every choice made by hand, by row."""
    found = (
        project.cursor()
        .execute(
            "SELECT h.row, c.id, h.choice, h.note, h.author, h.chosen "
            "FROM choices h JOIN conversations c USING (row) ORDER BY h.row"
        )
        .fetchall()
    )
    return Choices(tuple(RowChoice(*row) for row in found))


def choices_version(project: Project) -> int:
    """A number that grows with every change of a choice: the key of what depends on them."""
    return whole_number(
        project.cursor(), "SELECT CAST(value AS BIGINT) FROM meta WHERE key = ?", _COUNTER
    )
