"""The strategies there are, one file each; the first is the default."""

from __future__ import annotations

from typing import Final

from deita_core.errors import SelectionError
from deita_core.selection.strategies.baselines import (
    LongestInstructionStrategy,
    LongestResponseStrategy,
    RandomStrategy,
    TopScoreStrategy,
    random_order,
)
from deita_core.selection.strategies.coverage import FacilityLocationStrategy, KCenterStrategy
from deita_core.selection.strategies.deduplication import (
    DistilabelStrategy,
    NemoCuratorStrategy,
    SemDeDupStrategy,
)
from deita_core.selection.strategies.protocol import Strategy
from deita_core.selection.strategies.score_first import ReprFilterStrategy

STRATEGIES: Final[tuple[Strategy, ...]] = (
    ReprFilterStrategy(),
    TopScoreStrategy(),
    RandomStrategy(),
    LongestResponseStrategy(),
    LongestInstructionStrategy(),
    KCenterStrategy(),
    FacilityLocationStrategy(),
    SemDeDupStrategy(),
    NemoCuratorStrategy(),
    DistilabelStrategy(),
)


def find_strategy(name: str) -> Strategy:
    """The strategy of this name; SelectionError that lists them when there is none."""
    for strategy in STRATEGIES:
        if strategy.name == name:
            return strategy
    known = ", ".join(s.name for s in STRATEGIES)
    raise SelectionError(f"strategy must be one of {known}, got {name!r}")


__all__ = [
    "STRATEGIES",
    "Strategy",
    "find_strategy",
    "random_order",
]
