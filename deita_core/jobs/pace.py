"""How much to hand to a model at once: little at first, then what takes a few seconds.

A fixed number of rows is too much for a slow model (nothing is committed for minutes, and a
cancel waits as long) and too little for a quick one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

SECONDS = 5.0
FIRST, MOST = 4, 2048
_CLASSES = 16
_STEP = 4  # no size is more than this many times the one before

T = TypeVar("T")


class Pace:
    """`size` items take about `seconds`, after a few tries."""

    def __init__(self, seconds: float = SECONDS, first: int = FIRST, most: int = MOST) -> None:
        self._seconds = seconds
        self._most = most
        self.size = first

    def took(self, items: int, seconds: float) -> None:
        """That many items were done in that time."""
        fits = items * self._seconds / max(seconds, 1e-6)
        self.size = int(min(max(fits, self.size / _STEP, 1), self.size * _STEP, self._most))


class Window(Generic[T]):
    """Items sorted by length, taken out in runs of about the same length.

    Runs come from `_CLASSES` classes of length at random (the same in every process), so that
    rate and health after the first few hold for the whole. The very first run is spread evenly.
    """

    def __init__(self, items: Sequence[T], lengths: Sequence[int], *, spread: bool) -> None:
        order = sorted(range(len(items)), key=lambda place: lengths[place])
        self._spread = spread
        self._random = np.random.default_rng(len(items))
        self._classes = [
            [items[place] for place in part]
            for part in np.array_split(order, min(_CLASSES, len(order)) or 1)
            if len(part)
        ]
        self._class_size = len(items) // _CLASSES

    def __bool__(self) -> bool:
        return bool(self._classes)

    def take(self, count: int) -> list[T]:
        """That many items, or somewhat fewer at the end of a class; never none."""
        if self._spread:
            self._spread = False
            return self._take_spread(count)
        at = int(self._random.integers(len(self._classes)))
        taken: list[T] = []
        while self._classes and len(taken) < count:
            at = min(at, len(self._classes) - 1)
            found = self._classes[at]
            missing = count - len(taken)
            taken += found[:missing]
            del found[:missing]
            if not found:
                del self._classes[at]
            if count <= self._class_size:
                break  # a slow model gains more from like lengths than from a full batch
        return taken

    def _take_spread(self, count: int) -> list[T]:
        """From every class in turn."""
        taken: list[T] = []
        step = max(1, len(self._classes) // count)
        for found in self._classes[::step]:
            if len(taken) < count:
                taken.append(found.pop(len(found) // 2))
        self._classes = [found for found in self._classes if found]
        return taken
