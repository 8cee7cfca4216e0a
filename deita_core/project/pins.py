"""Conversations that somebody pinned or excluded by hand, as the ledger of decisions has it.

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
from deita_core.project.ledger import PINS_VERSION, Receipt, append, check_rows, lines_of
from deita_core.project.store import Project
from deita_core.review.decision import Kind

PinKind = Literal["pinned", "excluded"]

# What the log calls it.
PIN_ACTIONS: Final[dict[PinKind | None, str]] = {
    "pinned": "pin rows",
    "excluded": "exclude rows",
    None: "take rows back",
}
_KINDS: Final[dict[PinKind | None, Kind]] = {
    "pinned": "pin",
    "excluded": "exclude",
    None: "restore",
}


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
) -> Receipt:
    """Pin or exclude these rows, whatever they were before; None takes them out of both lists.

    The receipt's entry is what `ledger.undo` takes back.

    author: of who logged in, it is their own name whatever is given here.
    Raises ProjectError for a row that is not in the project, and changes nothing then.
    """
    if kind not in (None, *get_args(PinKind)):
        known = " or ".join(get_args(PinKind))
        raise ProjectError(f"a choice is {known}, or None to take it back; got {kind!r}")
    wanted = sorted({int(row) for row in rows})
    if not wanted:
        return Receipt(0, 0)
    what = {"rows": wanted, "note": note} if note else {"rows": wanted}
    with project.transaction("reviewer", PIN_ACTIONS[kind], what, changes_data=False) as cursor:
        check_rows(cursor, wanted)
        if kind is None:
            held = cursor.execute(
                "SELECT row FROM pins WHERE row IN (SELECT unnest(?::INTEGER[])) ORDER BY row",
                [wanted],
            ).fetchall()
            wanted = [row for (row,) in held]
        lines = lines_of(wanted, _KINDS[kind], why=note)
        entry = append(cursor, lines, author=people.author(author))
    return Receipt(entry, len(wanted))


def pins(project: Project) -> Pins:
    """Every pin and exclusion, by row."""
    found = project.rows(
        "SELECT p.row, c.id, p.kind, p.note, p.author, p.made "
        "FROM pins p JOIN conversations c USING (row) ORDER BY p.row"
    )
    return Pins(Pin(*row) for row in found)


def pins_version(project: Project) -> int:
    """A number that grows with every change of a pin: the key of what depends on them."""
    return project.counter(PINS_VERSION)
