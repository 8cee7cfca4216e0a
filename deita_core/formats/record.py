"""What a container gives to a layout: records, and stretches of the file that hold none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

IsRecord = Callable[[object], bool]


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON value of a file, with its text as found there.

    line: 1-based, None where the container has no lines. notes: what was odd around it.
    """

    line: int | None
    raw: str
    value: object
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of a file that could not be read as a record."""

    line: int | None
    raw: str
    reason: str
