"""The strategies there are; the first is the default."""

from __future__ import annotations

from typing import Final

from deita_core.errors import SelectionError
from deita_core.selection.candidates import Strategy
from deita_core.selection.strategies.clusters import CAR, MIG, MIG_TAGS
from deita_core.selection.strategies.coverage import FACILITY_LOCATION, K_CENTER, QDIT
from deita_core.selection.strategies.deduplication import (
    DISTILABEL,
    NEMO_CURATOR,
    SEMDEDUP,
)
from deita_core.selection.strategies.ds2 import DS2
from deita_core.selection.strategies.greedy import (
    LONGEST_INSTRUCTION,
    LONGEST_RESPONSE,
    RANDOM,
    REPR_FILTER,
    TOP_SCORE,
)
from deita_core.selection.strategies.instag import INSTAG

STRATEGIES: Final[tuple[Strategy, ...]] = (
    REPR_FILTER,
    TOP_SCORE,
    RANDOM,
    LONGEST_RESPONSE,
    LONGEST_INSTRUCTION,
    K_CENTER,
    FACILITY_LOCATION,
    QDIT,
    CAR,
    MIG,
    MIG_TAGS,
    INSTAG,
    DS2,
    SEMDEDUP,
    NEMO_CURATOR,
    DISTILABEL,
)


def find_strategy(name: str) -> Strategy:
    """The strategy of this name; SelectionError that lists them when there is none."""
    by_name = {strategy.name: strategy for strategy in STRATEGIES}
    if name not in by_name:
        raise SelectionError(f"strategy must be one of {', '.join(by_name)}, got {name!r}")
    return by_name[name]
