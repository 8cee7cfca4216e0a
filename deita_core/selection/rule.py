"""The rule of a selection: everything that decides which rows are chosen.

What other tools mean by their threshold, and the rule that does the same here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final, get_args

from deita_core.errors import SelectionError
from deita_core.selection.evol import check_aggregation
from deita_core.selection.rule_parts import (
    MOST_CONDITIONS,
    BudgetUnit,
    Condition,
    PinPlace,
    Quota,
    check_budget,
    check_choices,
    check_parts,
    check_range,
    check_texts,
    check_threshold,
    check_weights,
    check_whole,
    parts_from_json,
)
from deita_core.selection.strategies import find_strategy

RULE_VERSION: Final = 2
_TEXT_TUPLES = ("languages", "sources", "excluded_flags", "pinned", "excluded")
_RANGES = (("min_turns", "max_turns", "turns"), ("min_tokens", "max_tokens", "tokens"))


@dataclass(frozen=True, slots=True)
class SelectionRule:
    """A rule and nothing but a rule: the same rule on the same pool chooses the same rows.

    strategy: a name out of `STRATEGIES`. threshold: cosine similarity in [-1, 1]; strategies that
        do not look at similarities ignore it. budget: rows to keep at most, None for no limit.
    budget_unit: "rows", or "tokens": the pass then ends at the first row that would go over it.
    aggregation: how scores of turns make the score of a row, a name out of `AGGREGATIONS`.
    complexity_weight a, quality_weight b: the score of a turn is complexity^a x quality^b; 0 and
        more, not both 0. A weight of 0 leaves that dimension out: nobody needs it. (1, 1) is
        the paper's.
    include_no_response: also rank rows without any response. They have no quality; they rank by
        complexity x 1, the lowest quality there is, and so after answered rows as complex.
    languages, sources: names to choose from, () for all. excluded_flags: rows with one are out.
    min_turns, max_turns, min_tokens, max_tokens: inclusive, None for no bound.
    conditions: bounds on numeric columns. quotas: how many of a source, language, cluster or flag.
    pinned, excluded: ids of conversations. Pinned ones are always in, whatever else the rule says,
        and count towards the budget; excluded ones never are.
    pin_place: "first": before all others; "rank": where their score puts them.
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
    budget_unit: BudgetUnit = "rows"
    complexity_weight: float = 1.0
    quality_weight: float = 1.0
    conditions: tuple[Condition, ...] = ()
    quotas: tuple[Quota, ...] = ()
    pinned: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    pin_place: PinPlace = "first"

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
        check_whole("seed", self.seed)
        for name in _TEXT_TUPLES:
            check_texts(name, getattr(self, name))
        for low, high, what in _RANGES:
            check_range(getattr(self, low), getattr(self, high), what)
        weights = check_weights(self.complexity_weight, self.quality_weight)
        object.__setattr__(self, "complexity_weight", weights[0])
        object.__setattr__(self, "quality_weight", weights[1])
        check_choices(self.pinned, self.excluded)
        self._check_parts()

    def _check_parts(self) -> None:
        for name, kinds in (("budget_unit", BudgetUnit), ("pin_place", PinPlace)):
            if getattr(self, name) not in get_args(kinds):
                known = " or ".join(get_args(kinds))
                raise SelectionError(f"{name} must be {known}, got {getattr(self, name)!r}")
        check_parts("conditions", self.conditions, Condition)
        check_parts("quotas", self.quotas, Quota)
        if len(self.conditions) > MOST_CONDITIONS:
            raise SelectionError(
                f"{len(self.conditions)} conditions: a rule has at most {MOST_CONDITIONS}"
            )
        for quota in self.quotas:
            if quota.share is not None and self.budget is None:
                raise SelectionError(
                    f"{quota.describe()} of what? A share needs a budget: set one, or give the "
                    "quota as a number of rows"
                )

    @property
    def needs_graph(self) -> bool:
        """True when it cannot be applied without the similarity graph or the clusters."""
        strategy = find_strategy(self.strategy)
        columns = [c.column for c in self.conditions] + [q.column for q in self.quotas]
        return strategy.needs_graph or strategy.needs_clusters or "cluster" in columns

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
        if version not in range(1, RULE_VERSION + 1):
            raise SelectionError(
                f"this rule has version {version!r}, but versions up to {RULE_VERSION} are all "
                "that is known here: update Deita Studio, or write the rule anew"
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
        for name, kind in (("conditions", Condition), ("quotas", Quota)):
            if name in given:
                given[name] = parts_from_json(kind, given[name])
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
        unit = " tokens" if self.budget_unit == "tokens" else ""
        parts.append("no budget" if self.budget is None else f"budget {self.budget:,}{unit}")
        parts.append(f"turns: {self.aggregation}")
        if (self.complexity_weight, self.quality_weight) != (1.0, 1.0):
            parts.append(
                f"score: complexity^{self.complexity_weight:g} x quality^{self.quality_weight:g}"
            )
        parts.extend(_describe_filters(self))
        parts.extend(quota.describe() for quota in self.quotas)
        if self.pinned:
            place = "first" if self.pin_place == "first" else "at their rank"
            parts.append(f"{len(self.pinned):,} pinned ({place})")
        if self.excluded:
            parts.append(f"{len(self.excluded):,} excluded")
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
    parts.extend(condition.describe() for condition in rule.conditions)
    if rule.include_no_response:
        parts.append("rows without a response included")
    return parts


@dataclass(frozen=True, slots=True)
class Preset:
    """A known convention.

    name: for files. label: for people. strategy, threshold: what to put into the rule; the
    threshold is a cosine similarity. explanation: the conversion, in one sentence or two.
    """

    name: str
    label: str
    strategy: str
    threshold: float
    explanation: str


PRESETS: Final = (
    Preset(
        "paper",
        "Paper",
        "repr_filter",
        0.9,
        "Deita drops a row with a similarity above 0.9 to one kept before it: cosine distance "
        "below 0.1. Its 0.9 belongs to LLaMA embeddings, which lie close together; under another "
        "embedder the same number may drop hardly any row.",
    ),
    Preset(
        "distilabel",
        "distilabel",
        "distilabel",
        0.96,
        "DeitaFiltering keeps a row whose cosine distance to the nearest row of the whole pool is "
        "at least its diversity_threshold: 0.04, as in its DEITA pipeline, is similarity 0.96. Its "
        "default of 0.9 is similarity 0.10 and keeps almost nothing; of two twins both are "
        "dropped.",
    ),
    Preset(
        "nemo",
        "NeMo Curator",
        "nemo_curator",
        0.99,
        "NeMo Curator drops a row of a cluster with a similarity of 1 - eps or more to another: "
        "its default eps of 0.01 is similarity 0.99, and a row at exactly 0.99 is dropped too.",
    ),
)


def find_preset(strategy: str, threshold: float) -> Preset | None:
    """The preset that has this strategy and threshold, if one has."""
    for preset in PRESETS:
        if (preset.strategy, preset.threshold) == (strategy, threshold):
            return preset
    return None
