"""models.running: many coroutines with bounded memory, and one error ends them all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from deita_core.errors import JobCancelledError, ModelError
from deita_core.models.running import run_chats, run_here


def test_all_run_and_only_so_many_are_begun_at_once():
    open_now, most_open, found = [0], [0], []

    async def one(number: int) -> int:
        open_now[0] += 1
        most_open[0] = max(most_open[0], open_now[0])
        await asyncio.sleep(0)
        open_now[0] -= 1
        return number

    asyncio.run(run_chats((one(n) for n in range(100)), found.append, most=7))
    assert sorted(found) == list(range(100))
    assert most_open[0] == 7


def test_the_first_error_ends_the_others_and_keeps_what_has_come():
    found: list[int] = []
    begun: list[int] = []

    async def one(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise ModelError("gone")
        if number > 3:
            await asyncio.Event().wait()
        return number

    with pytest.raises(ModelError, match="gone"):
        asyncio.run(run_chats((one(n) for n in range(100)), found.append, most=10))
    assert sorted(found) == [0, 1, 2]
    assert len(begun) <= 10 + len(found)


def test_who_watches_can_end_the_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("deita_core.models.running.WATCH_SECONDS", 0.0)

    def watch() -> None:
        raise JobCancelledError("cancelled")

    async def forever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(JobCancelledError):
        asyncio.run(run_chats(iter([forever()]), lambda _: None, watch=watch))


def test_an_error_of_who_takes_the_results_ends_the_run():
    def full(_: object) -> None:
        raise OSError("no space left")

    async def one() -> int:
        return 1

    def endless() -> Iterator[Any]:
        while True:
            yield one()

    with pytest.raises(OSError, match="no space left"):
        asyncio.run(run_chats(endless(), full, most=3))


def test_a_coroutine_runs_in_a_notebook_too():
    async def answer() -> int:
        return 42

    async def cell() -> int:
        return run_here(answer())

    assert run_here(answer()) == asyncio.run(cell()) == 42
