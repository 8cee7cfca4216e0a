"""Long work as a generator: it yields how far it has come, and returns its result."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, NamedTuple, TypeVar

Step = TypeVar("Step")
Other = TypeVar("Other")
Result = TypeVar("Result")


def finish(
    steps: Generator[Step, None, Result], tell: Callable[[Step], object] | None = None
) -> Result:
    """Runs the generator to its end and gives what it returns.

    tell: called with each step. When it raises, the generator is closed at once.
    """
    told = told_as(steps, tell or (lambda step: None))
    while True:
        try:
            next(told)
        except StopIteration as stop:
            result: Result = stop.value
            return result


def told_as(
    steps: Generator[Step, None, Result], change: Callable[[Step], Other]
) -> Generator[Other, Any, Result]:
    """The same work with each step changed into another, for `yield from`."""
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                result: Result = stop.value
                return result
            yield change(step)


class Stage(NamedTuple):
    """what: is done now, in plain words. done: stages before it, of `total`."""

    what: str
    done: int
    total: int


class FilterProgress(NamedTuple):
    """visited: rows visited so far, of `total` candidates. kept: rows kept so far.

    explained: near-duplicates whose blocker is known; it starts when the pass is over.
    """

    visited: int
    kept: int
    total: int
    explained: int = 0
