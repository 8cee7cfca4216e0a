"""One pool of texts on several devices: data parallelism with a copy of the model on each."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from deita_core.language_models.token_batches import TokenBudget, run_longest_first


class Worker(Protocol):
    """A model on a device."""

    def run(self, rows: list[int]) -> None:
        """Start a batch; may be called again with some of the rows after running out of memory."""
        ...

    def finish(self) -> None:
        """Wait for what was started, and store its results."""
        ...


def run_on_replicas(
    lengths: Sequence[int], budgets: Sequence[TokenBudget], workers: Sequence[Worker]
) -> dict[int, str]:
    """Every row by one of the workers, each with its own budget; see `run_longest_first`.

    The rows are dealt out like cards, longest first, so each worker gets as many tokens as the
    others. Threads are enough: Python only starts the work, the devices do it. Returns the reason
    for each row that does not fit even alone.
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    hands = [order[first :: len(workers)] for first in range(len(workers))]

    def work(hand: list[int], budget: TokenBudget, worker: Worker) -> dict[int, str]:
        found = run_longest_first(
            [lengths[row] for row in hand],
            budget,
            lambda places: worker.run([hand[place] for place in places]),
        )
        worker.finish()
        return {hand[place]: reason for place, reason in found.items()}

    if len(workers) == 1:
        return work(hands[0], budgets[0], workers[0])
    reasons: dict[int, str] = {}
    with ThreadPoolExecutor(len(workers)) as threads:
        for found in threads.map(work, hands, budgets, workers):
            reasons |= found
    return reasons
