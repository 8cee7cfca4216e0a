"""Checks of what a pass is given.

Parts of a selection rule that stand by themselves, and the checks of its fields.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_core.errors import SelectionError


def check_threshold(threshold: float) -> float:
    """The threshold as a float; SelectionError when it is no cosine similarity."""
    value = float(threshold)
    if math.isnan(value) or not -1.0 <= value <= 1.0:
        raise SelectionError(
            f"threshold must be a cosine similarity from -1 to 1, got {threshold}; "
            "similarity = 1 - cosine distance"
        )
    return value


def check_budget(budget: int | None) -> int | None:
    """The budget as an int or None; SelectionError when it is negative or no whole number."""
    if budget is None:
        return None
    if isinstance(budget, bool) or not hasattr(budget, "__index__"):
        raise SelectionError(f"budget must be a whole number of rows, got {budget!r}")
    value = operator.index(budget)
    if value < 0:
        raise SelectionError(f"budget must be 0 rows or more, got {value}; None means no budget")
    return value


def check_scores(
    scores: ArrayLike, rows: int, eligible: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """The scores as (n,) float64; SelectionError when an eligible row has none."""
    array = np.asarray(scores)
    if array.dtype.kind not in "fiub":
        raise SelectionError(f"scores must be numbers, got {array.dtype}")
    if array.shape != (rows,):
        raise SelectionError(f"scores must be ({rows},) like the embeddings, got {array.shape}")
    if eligible is not None and (eligible.shape != (rows,) or eligible.dtype != np.bool_):
        raise SelectionError(
            f"eligible must be ({rows},) bool, got {eligible.shape} {eligible.dtype}"
        )
    values = array.astype(np.float64)
    missing = np.isnan(values) if eligible is None else np.isnan(values) & eligible
    if missing.any():
        raise SelectionError(
            f"row {int(missing.argmax())} has no score (NaN; {int(missing.sum()):,} such rows of "
            f"{rows:,}): score it, or leave it out through `eligible`"
        )
    return values


BudgetUnit = Literal["rows", "tokens"]
PinPlace = Literal["first", "rank"]
QuotaColumn = Literal["source", "language", "cluster", "flag"]

CONDITION_COLUMNS: Final = (
    "complexity",
    "quality",
    "evol_score",
    "turns",
    "tokens",
    "characters",
    "instruction_characters",
    "response_characters",
    "cluster",
)
EACH: Final = "*"
# Codes of what left a row out are int8: seven filters and three codes for each condition.
MOST_CONDITIONS: Final = 40


@dataclass(frozen=True, slots=True)
class Condition:
    """Rows outside of `low` to `high` (inclusive, None for no bound) in `column` are left out.

    column: a name out of `CONDITION_COLUMNS`; complexity and quality are the mean over the turns
    that have it. A row without a value there is left out.
    """

    column: str
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.column not in CONDITION_COLUMNS:
            known = ", ".join(CONDITION_COLUMNS)
            raise SelectionError(f"a condition's column is one of {known}, got {self.column!r}")
        for name in ("low", "high"):
            bound = getattr(self, name)
            if bound is not None:
                object.__setattr__(self, name, check_number(f"{name} of {self.column}", bound))
        if self.low is None and self.high is None:
            raise SelectionError(f"the condition on {self.column} has no bound: give low or high")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise SelectionError(
                f"{self.column} from {self.low:g} to {self.high:g} lets no row through: swap them"
            )

    def describe(self) -> str:
        """In plain words, e.g. "complexity 2 to 4.5"."""
        name = self.column.replace("_", " ")
        if self.low is None:
            return f"{name} at most {number_text(self.high or 0.0)}"
        if self.high is None:
            return f"{name} at least {number_text(self.low)}"
        return f"{name} {number_text(self.low)} to {number_text(self.high)}"


@dataclass(frozen=True, slots=True)
class Quota:
    """At most so many of the rows selected may have this name in this column.

    column: "source", "language", "cluster" or "flag". name: one of the column's names (a cluster's
    is its number), or "*" for each of them by itself.
    most: rows, 0 or more; or share: of the budget, in (0, 1]: with a budget in tokens, a share of
    its tokens. One of the two is given.
    """

    column: str
    name: str
    most: int | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        if self.column not in get_args(QuotaColumn):
            known = ", ".join(get_args(QuotaColumn))
            raise SelectionError(f"a quota's column is one of {known}, got {self.column!r}")
        if not isinstance(self.name, str) or not self.name:
            raise SelectionError(f"a quota names a {self.column}, or {EACH!r}, got {self.name!r}")
        if (self.most is None) == (self.share is None):
            raise SelectionError(
                f"the quota of {self.column} {self.name} needs either most (rows) or share "
                "(of the budget), and not both"
            )
        if self.most is not None:
            check_whole(f"most {self.column} {self.name}", self.most)
        if self.share is not None:
            share = check_number(f"share of {self.column} {self.name}", self.share)
            if not 0.0 < share <= 1.0:
                raise SelectionError(
                    f"the share of {self.column} {self.name} must be above 0 and at most 1, "
                    f"got {share:g}: 20 % is 0.2"
                )
            object.__setattr__(self, "share", share)

    def describe(self) -> str:
        """In plain words, e.g. "source alpaca.json: at most 20 %"."""
        most = f"{self.most:,}" if self.most is not None else f"{100 * (self.share or 0):g} %"
        what = f"each {self.column}" if self.name == EACH else f"{self.column} {self.name}"
        return f"{what}: at most {most}"


def number_text(value: float) -> str:
    """A number for people: "2", "4.5", "12,000"."""
    return f"{value:,.12g}"


def parts_from_json(kind: type[Any], values: object) -> object:
    """A list of JSON objects as a tuple of `kind`; what is no list is given back as it is."""
    if not isinstance(values, list | tuple):
        return values
    names = {f.name for f in fields(kind)}
    parts = []
    for value in values:
        if isinstance(value, kind):
            parts.append(value)
            continue
        word = kind.__name__.lower()
        if not isinstance(value, Mapping):
            raise SelectionError(f"a {word} must be a JSON object, got {value!r}")
        if not {"column"} <= set(value) <= names:
            raise SelectionError(
                f"a {word} has {', '.join(sorted(names))}, got {', '.join(map(str, value))}"
            )
        parts.append(kind(**value))
    return tuple(parts)


def check_parts(name: str, values: object, kind: type[Any]) -> None:
    """SelectionError unless it is a tuple of `kind`."""
    if not isinstance(values, tuple) or not all(isinstance(v, kind) for v in values):
        raise SelectionError(f"{name} must be a list of {kind.__name__}, got {values!r}")


def check_number(name: str, value: object) -> float:
    """The value as a float; SelectionError when it is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SelectionError(f"{name} must be a number, got {value!r}")
    return float(value)


def check_whole(name: str, value: object) -> None:
    """SelectionError unless it is a whole number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SelectionError(f"{name} must be a whole number of 0 or more, got {value!r}")


def check_texts(name: str, value: object) -> None:
    """SelectionError unless it is a tuple of texts."""
    if not isinstance(value, tuple) or not all(isinstance(v, str) for v in value):
        raise SelectionError(f"{name} must be a list of names, got {value!r}")


def check_range(low: int | None, high: int | None, what: str) -> None:
    """SelectionError unless low and high are whole numbers (or None) in their order."""
    for name, bound in ((f"min_{what}", low), (f"max_{what}", high)):
        if bound is not None:
            check_whole(name, bound)
    if low is not None and high is not None and low > high:
        raise SelectionError(f"min_{what} {low} is greater than max_{what} {high}: swap them")


def check_weights(complexity: object, quality: object) -> tuple[float, float]:
    """Both weights as floats of 0 or more, not both 0; SelectionError otherwise."""
    weights = (
        check_number("complexity_weight", complexity),
        check_number("quality_weight", quality),
    )
    if min(weights) < 0 or max(weights) == 0:
        raise SelectionError(
            f"the weights of complexity and quality must be 0 or more and not both 0, got "
            f"{weights[0]:g} and {weights[1]:g}; 1 and 1 are the paper's"
        )
    return weights


def check_choices(pinned: tuple[str, ...], excluded: tuple[str, ...]) -> None:
    """SelectionError when a conversation is both pinned and excluded."""
    both = sorted(set(pinned) & set(excluded))
    if both:
        raise SelectionError(
            f"{len(both)} conversations are both pinned and excluded, first {both[0]}: take each "
            "out of one of the two lists"
        )
