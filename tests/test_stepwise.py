"""Long work as a generator."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from deita_core.progress import finish, told_as


def counting(to: int, closed: list[str]) -> Generator[int, None, str]:
    try:
        yield from range(to)
    finally:
        closed.append("closed")
    return f"counted to {to}"


def test_the_result_is_what_the_generator_returns() -> None:
    told: list[int] = []
    assert finish(counting(3, []), told.append) == "counted to 3"
    assert told == [0, 1, 2]


def test_work_is_closed_when_the_listener_has_enough() -> None:
    closed: list[str] = []
    work = counting(3, closed)

    def enough(step: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish(work, enough)
    assert closed == ["closed"]


def test_steps_are_told_in_other_words_and_the_result_stays() -> None:
    told: list[str] = []
    assert finish(told_as(counting(2, []), "step {}".format), told.append) == "counted to 2"
    assert told == ["step 0", "step 1"]


def test_closing_the_other_words_closes_the_work() -> None:
    closed: list[str] = []
    steps = told_as(counting(3, closed), str)
    next(steps)
    steps.close()
    assert closed == ["closed"]
