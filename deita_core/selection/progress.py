"""Long work as a generator of progress."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar

Result = TypeVar("Result")


class FilterProgress(NamedTuple):
    """visited: rows looked at so far, of `total` candidates. kept: rows kept so far.

    explained: near-duplicates whose blocker is known; it starts when the pass is over.
    """

    visited: int
    kept: int
    total: int
    explained: int = 0


def finish(steps: Generator[Any, None, Result]) -> Result:
    """Runs the generator to its end and gives what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
