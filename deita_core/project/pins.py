"""Conversations that somebody pinned or excluded by hand.

They have a counter of their own and leave the data version alone: a pin changes what is selected,
not what the pool is, so nothing that was loaded has to be loaded again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from deita_core import people
from deita_core.errors import ProjectError
from deita_core.project.store import Project, count_up, now, whole_number

PinKind = Literal["pinned", "excluded"]

# What the log calls it.
PIN_ACTIONS: Final[dict[PinKind | None, str]] = {
    "pinned": "pin rows",
    "excluded": "exclude rows",
    None: "take rows back",
}
_COUNTER: Final = "pins_version"
_ASKED: Final = "row IN (SELECT unnest(?::INTEGER[]))"


@dataclass(frozen=True, slots=True)
class Pin:
    """A conversation that was pinned or excluded; `id` is its content hash, `made` in UTC."""

    row: int
    id: str
    kind: PinKind
    note: str
    author: str
    made: datetime


class Pins(tuple[Pin, ...]):
    """All pins and exclusions of a project, by row."""

    @property
    def pinned(self) -> tuple[str, ...]:
        """Ids of the pinned conversations: as a rule takes them."""
        return tuple(pin.id for pin in self if pin.kind == "pinned")

    @property
    def excluded(self) -> tuple[str, ...]:
        """Ids of the excluded conversations."""
        return tuple(pin.id for pin in self if pin.kind == "excluded")


def set_pins(
    project: Project, rows: Sequence[int], kind: PinKind | None, *, note: str = "", author: str = ""
) -> None:
    """Pin or exclude these rows, whatever they were before; None takes them out of both lists.

    author: of who logged in, it is their own name whatever is given here.
    Raises ProjectError for a row that is not in the project, and changes nothing then.
    """
    if kind not in (None, *get_args(PinKind)):
        known = " or ".join(get_args(PinKind))
        raise ProjectError(f"a choice is {known}, or None to take it back; got {kind!r}")
    wanted = sorted({int(row) for row in rows})
    if not wanted:
        return
    what = {"rows": wanted, "note": note} if note else {"rows": wanted}
    with project.transaction("reviewer", PIN_ACTIONS[kind], what, changes_data=False) as cursor:
        query = f"SELECT count(*) FROM conversations WHERE {_ASKED}"  # noqa: S608 - only names of ours go in
        if unknown := len(wanted) - whole_number(cursor, query, wanted):
            raise ProjectError(
                f"{unknown} of {len(wanted)} rows are not in this project: choose rows that it has"
            )
        if kind is None:
            cursor.execute(f"DELETE FROM pins WHERE {_ASKED}", [wanted])  # noqa: S608 - only names of ours go in
        else:
            cursor.execute(
                "INSERT OR REPLACE INTO pins SELECT unnest(?::INTEGER[]), ?, ?, ?, ?",
                [wanted, kind, note, people.author(author), now()],
            )
        count_up(cursor, _COUNTER)


def pins(project: Project) -> Pins:
    """Every pin and exclusion, by row."""
    found = project.rows(
        "SELECT p.row, c.id, p.kind, p.note, p.author, p.made "
        "FROM pins p JOIN conversations c USING (row) ORDER BY p.row"
    )
    return Pins(Pin(*row) for row in found)


def pins_version(project: Project) -> int:
    """A number that grows with every change of a pin: the key of what depends on them."""
    return project.counter(_COUNTER)
