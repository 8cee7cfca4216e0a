"""Many coroutines that ask a chat model, side by side, with bounded memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
# Coroutines begun at once: more than requests, because some are not asking at the moment.
MOST = 512
WATCH_SECONDS = 0.5


async def run_chats(
    work: Iterable[Coroutine[Any, Any, T]],
    done: Callable[[T], None],
    *,
    most: int = MOST,
    watch: Callable[[], None] | None = None,
) -> None:
    """Runs all coroutines, at most so many at once, and tells `done` each result as it comes.

    work: made when their turn comes, so that a generator keeps the memory bounded. watch: called
    twice a second, to tell progress; it and `done` may raise, too. The first error ends all others
    and is raised; requests that were sent still come in while the chat closes, and are kept.
    """
    source = iter(work)
    running: set[asyncio.Task[T]] = set()
    ended: asyncio.Queue[asyncio.Task[T]] = asyncio.Queue()
    watched = time.monotonic()
    try:
        while True:
            while len(running) < most and (one := next(source, None)) is not None:
                task = asyncio.create_task(one)
                running.add(task)
                task.add_done_callback(ended.put_nowait)
            if not running:
                return
            _take(await _next_of(ended), running, done)
            if watch is not None and time.monotonic() - watched >= WATCH_SECONDS:
                watch()
                watched = time.monotonic()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _next_of(ended: asyncio.Queue[asyncio.Task[T]]) -> list[asyncio.Task[T]]:
    """The tasks that have ended, after half a second at the latest."""
    found: list[asyncio.Task[T]] = []
    try:
        found.append(await asyncio.wait_for(ended.get(), WATCH_SECONDS))
    except TimeoutError:
        return found
    while not ended.empty():
        found.append(ended.get_nowait())
    return found


def _take(
    found: list[asyncio.Task[T]], running: set[asyncio.Task[T]], done: Callable[[T], None]
) -> None:
    """Tells the results, those that came with an error as well, before the error is raised."""
    running.difference_update(found)
    errors = [error for task in found if (error := task.exception()) is not None]
    for task in found:
        if task.exception() is None:
            done(task.result())
    if errors:
        raise errors[0]


def run_here(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, for code that is not one; also inside a running loop, as in a
    notebook, where it takes a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
