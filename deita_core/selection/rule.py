"""The rule of a selection: everything that decides which rows are chosen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final

from deita_core.errors import SelectionError
from deita_core.selection.evol import check_aggregation
from deita_core.selection.repr_filter import check_budget, check_threshold
from deita_core.selection.strategies import find_strategy

RULE_VERSION: Final = 1
_TEXT_TUPLES = ("languages", "sources", "excluded_flags")
_RANGES = (("min_turns", "max_turns", "turns"), ("min_tokens", "max_tokens", "tokens"))


@dataclass(frozen=True, slots=True)
class SelectionRule:
    """A rule and nothing but a rule: the same rule on the same pool chooses the same rows.

    strategy: a name out of `STRATEGIES`. threshold: cosine similarity in [-1, 1]; strategies that
        do not look at similarities ignore it. budget: rows to keep at most, None for no limit.
    aggregation: how scores of turns make the score of a row, a name out of `AGGREGATIONS`.
    include_no_response: also rank rows without any response. They have no quality; they rank by
        complexity x 1, the lowest quality there is, and so after answered rows as complex.
    languages, sources: names to choose from, () for all. excluded_flags: rows with one are out.
    min_turns, max_turns, min_tokens, max_tokens: inclusive, None for no bound.
    seed: 0 or more, for strategies that draw lots.
    """

    strategy: str = "repr_filter"
    threshold: float = 0.9
    budget: int | None = None
    aggregation: str = "sum"
    include_no_response: bool = False
    languages: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    excluded_flags: tuple[str, ...] = ()
    min_turns: int | None = None
    max_turns: int | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        find_strategy(self.strategy)
        check_aggregation(self.aggregation)
        if isinstance(self.threshold, bool) or not isinstance(self.threshold, int | float):
            raise SelectionError(f"threshold must be a number, got {self.threshold!r}")
        object.__setattr__(self, "threshold", check_threshold(self.threshold))
        object.__setattr__(self, "budget", check_budget(self.budget))
        if not isinstance(self.include_no_response, bool):
            raise SelectionError(
                f"include_no_response must be true or false, got {self.include_no_response!r}"
            )
        _check_whole("seed", self.seed)
        for name in _TEXT_TUPLES:
            _check_texts(name, getattr(self, name))
        for low, high, what in _RANGES:
            _check_range(getattr(self, low), getattr(self, high), what)

    def to_dict(self) -> dict[str, object]:
        """The rule as JSON values, with the version of this layout."""
        values = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}
        return {"version": RULE_VERSION, **values}

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @staticmethod
    def from_dict(values: Mapping[str, object]) -> SelectionRule:
        """The inverse of `to_dict`; keys that are missing take their default.

        Raises SelectionError for keys and versions that are not known.
        """
        version = values.get("version", RULE_VERSION)
        if version != RULE_VERSION:
            raise SelectionError(
                f"this rule has version {version!r}, but version {RULE_VERSION} is the only one "
                "known here: update Deita Studio, or write the rule anew"
            )
        names = [f.name for f in fields(SelectionRule)]
        unknown = sorted(set(values) - set(names) - {"version"})
        if unknown:
            raise SelectionError(
                f"a selection rule has no {', '.join(map(repr, unknown))}; "
                f"it has {', '.join(names)}"
            )
        given = {key: value for key, value in values.items() if key != "version"}
        for name in _TEXT_TUPLES:
            if isinstance(given.get(name), list):
                given[name] = tuple(given[name])  # type: ignore[arg-type]
        return SelectionRule(**given)  # type: ignore[arg-type]

    @staticmethod
    def from_json(text: str) -> SelectionRule:
        """The inverse of `to_json`."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise SelectionError(f"a selection rule must be JSON: {error}") from None
        if not isinstance(values, dict):
            raise SelectionError(f"a selection rule must be a JSON object, got {text[:60]!r}")
        return SelectionRule.from_dict(values)

    def describe(self) -> str:
        """The rule in plain words, as one phrase."""
        strategy = find_strategy(self.strategy)
        parts = [strategy.label]
        if strategy.uses_threshold:
            parts[0] += f" at {similarity_text(self.threshold)}"
        if self.strategy == "random":
            parts[0] += f" (seed {self.seed})"
        parts.append("no budget" if self.budget is None else f"budget {self.budget:,}")
        parts.append(f"turns: {self.aggregation}")
        parts.extend(_describe_filters(self))
        return "; ".join(parts)


def threshold_to_distance(threshold: float) -> float:
    """Cosine distance of a cosine similarity: 1 - threshold, free of binary dust (0.1 for 0.9)."""
    return round(1.0 - threshold, 12)


def similarity_text(threshold: float) -> str:
    """Both conventions in words: "similarity 0.90 (distance 0.10)"."""
    return (
        f"similarity {_decimal(threshold)} (distance {_decimal(threshold_to_distance(threshold))})"
    )


def _decimal(value: float) -> str:
    """Two decimals, or as many as the value has (at most six)."""
    text = f"{value:.6f}".rstrip("0")
    return text if len(text.partition(".")[2]) >= 2 else f"{value:.2f}"


def _describe_filters(rule: SelectionRule) -> list[str]:
    parts = []
    if rule.languages:
        parts.append(f"languages: {', '.join(rule.languages)}")
    if rule.sources:
        parts.append(f"sources: {', '.join(rule.sources)}")
    if rule.excluded_flags:
        parts.append(f"without flags: {', '.join(rule.excluded_flags)}")
    for low, high, what in _RANGES:
        least, most = getattr(rule, low), getattr(rule, high)
        if least is not None and most is not None:
            parts.append(f"{least:,} to {most:,} {what}")
        elif least is not None:
            parts.append(f"at least {least:,} {what}")
        elif most is not None:
            parts.append(f"at most {most:,} {what}")
    if rule.include_no_response:
        parts.append("rows without a response included")
    return parts


def _check_whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SelectionError(f"{name} must be a whole number of 0 or more, got {value!r}")


def _check_texts(name: str, value: object) -> None:
    if not isinstance(value, tuple) or not all(isinstance(v, str) for v in value):
        raise SelectionError(f"{name} must be a list of names, got {value!r}")


def _check_range(low: int | None, high: int | None, what: str) -> None:
    for name, bound in ((f"min_{what}", low), (f"max_{what}", high)):
        if bound is not None:
            _check_whole(name, bound)
    if low is not None and high is not None and low > high:
        raise SelectionError(f"min_{what} {low} is greater than max_{what} {high}: swap them")
