"""The rule of a selection: everything that decides which rows are chosen.

A rule crosses borders (manifests, jobs, addresses, saved selections), so it is checked by
pydantic; every error is a SelectionError.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import wraps
from numbers import Real
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from pydantic import ConfigDict, Field, PlainValidator, StrictBool, StrictStr, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from deita_core.errors import SelectionError
from deita_core.selection.candidates import PinPlace
from deita_core.selection.evol import check_aggregation
from deita_core.selection.pool_table import BudgetUnit
from deita_core.selection.strategies import find_strategy

RULE_VERSION: Final = 2
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
# Codes of what left a row out are int8: eight filters and three codes for each condition.
MOST_CONDITIONS: Final = 40
MOST_EXAMPLES: Final = 50
# Parts that came later stay out of the JSON of a rule without them, so that it is as it was.
_LATER: Final = {"filter": "", "passing": "", "closeness": None}
_RANGES: Final = (("min_turns", "max_turns", "turns"), ("min_tokens", "max_tokens", "tokens"))

QuotaColumn = Literal["source", "language", "cluster", "flag"]
Checked = TypeVar("Checked")


def check_threshold(threshold: object) -> float:
    """The threshold as a float; SelectionError when it is no cosine similarity."""
    if isinstance(threshold, bool) or not isinstance(threshold, Real):
        raise SelectionError(f"threshold must be a number, got {threshold!r}")
    value = float(threshold)
    if not -1.0 <= value <= 1.0:
        raise SelectionError(
            f"threshold must be a cosine similarity from -1 to 1, got {threshold}; "
            "similarity = 1 - cosine distance"
        )
    return value


def check_budget(budget: object) -> int | None:
    """The budget as an int or None; SelectionError when it is negative or no whole number."""
    if budget is None:
        return None
    if isinstance(budget, bool) or not hasattr(budget, "__index__"):
        raise SelectionError(f"budget must be a whole number of rows, got {budget!r}")
    value = operator.index(budget)
    if value < 0:
        raise SelectionError(f"budget must be 0 rows or more, got {value}; None means no budget")
    return value


def _in_our_words(kind: type[Checked]) -> type[Checked]:
    """The class, of which errors are SelectionErrors in words about the first problem."""
    made: Callable[..., None] = kind.__init__

    @wraps(made)
    def init(self: Checked, *values: Any, **named: Any) -> None:
        try:
            made(self, *values, **named)
        except ValidationError as error:
            raise SelectionError(_first_problem(error)) from None
        except UnicodeEncodeError as error:
            raise SelectionError(f"{error.object!r} is no Unicode text: type it anew") from None

    kind.__init__ = init  # type: ignore[assignment]
    return kind


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, SelectionError):
        return str(cause)
    if not problem["loc"]:  # half a surrogate pair, say
        return f"a selection rule has a name that is no text: {problem['msg']}"
    parts_of_rule: dict[str, tuple[str, type[Any]]] = {
        "conditions": ("condition", Condition),
        "quotas": ("quota", Quota),
        "closeness": ("closeness", Closeness),
    }
    kind, got = problem["type"], problem["input"]
    first, *inner = problem["loc"]
    nested = len(inner) > 1 or (inner and first == "closeness")
    name = str(inner[-1] if nested else first)
    if kind in ("missing", "unexpected_keyword_argument"):
        what, part = parts_of_rule.get(str(first), ("selection rule", SelectionRule))
        verb = "lacks" if kind == "missing" else "has no"
        return f"a {what} {verb} {name!r}; it has {', '.join(f.name for f in fields(part))}"
    if kind == "dataclass_type":
        what = parts_of_rule[str(first)][0]
        return f"a {what} must be a JSON object, got {got!r}"
    if kind == "literal_error":
        return f"{name} must be {problem['ctx']['expected'].replace(chr(39), '')}, got {got!r}"
    wanted = {
        "tuple_type": "a list" if first in ("conditions", "quotas") else "a list of names",
        "string_type": "a list of names" if inner else "a name",
        "bool_type": "true or false",
        "float_type": "a number",
        "finite_number": "a number",
    }
    return f"{name} must be {wanted.get(kind, 'a whole number of 0 or more')}, got {got!r}"


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True, ge=0)]
Names = tuple[StrictStr, ...]
_STRICT: Final = ConfigDict(extra="forbid")


@_in_our_words
@checked_dataclass(frozen=True, config=_STRICT)
class Condition:
    """Rows outside of `low` to `high` (inclusive, None for no bound) in `column` are left out.

    column: a name out of `CONDITION_COLUMNS`; complexity and quality are the mean over the turns
    that have it. A row without a value there is left out.
    """

    column: StrictStr
    low: Number | None = None
    high: Number | None = None

    def __post_init__(self) -> None:
        if self.column not in CONDITION_COLUMNS:
            known = ", ".join(CONDITION_COLUMNS)
            raise SelectionError(f"a condition's column is one of {known}, got {self.column!r}")
        if self.low is None and self.high is None:
            raise SelectionError(f"the condition on {self.column} has no bound: give low or high")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise SelectionError(
                f"{self.column} from {self.low:g} to {self.high:g} lets no row through: swap them"
            )

    def describe(self) -> str:
        """In plain words, e.g. "complexity 2 to 4.5"."""
        return f"{self.column.replace('_', ' ')} {_bounds_text(self.low, self.high)}"


@_in_our_words
@checked_dataclass(frozen=True, config=_STRICT)
class Quota:
    """At most so many of the rows selected may have this name in this column.

    column: "source", "language", "cluster" or "flag". name: one of the column's names (a cluster's
    is its number), or "*" for each of them by itself.
    most: rows, 0 or more; or share: of the budget, in (0, 1]: with a budget in tokens, a share of
    its tokens. One of the two is given.
    """

    column: StrictStr
    name: StrictStr
    most: Whole | None = None
    share: Number | None = None

    def __post_init__(self) -> None:
        if self.column not in get_args(QuotaColumn):
            known = ", ".join(get_args(QuotaColumn))
            raise SelectionError(f"a quota's column is one of {known}, got {self.column!r}")
        if not self.name:
            raise SelectionError(f"a quota names a {self.column}, or {EACH!r}, got {self.name!r}")
        if (self.most is None) == (self.share is None):
            raise SelectionError(
                f"the quota of {self.column} {self.name} needs either most (rows) or share "
                "(of the budget), and not both"
            )
        if self.share is not None and not 0.0 < self.share <= 1.0:
            raise SelectionError(
                f"the share of {self.column} {self.name} must be above 0 and at most 1, "
                f"got {self.share:g}: 20 % is 0.2"
            )

    def describe(self) -> str:
        """In plain words, e.g. "source alpaca.json: at most 20 %"."""
        most = f"{self.most:,}" if self.most is not None else f"{100 * (self.share or 0):g} %"
        what = f"each {self.column}" if self.name == EACH else f"{self.column} {self.name}"
        return f"{what}: at most {most}"


@_in_our_words
@checked_dataclass(frozen=True, config=_STRICT)
class Closeness:
    """Rows score the more, the closer they are to one of these examples of the target task.

    examples: 1 to 50 texts, embedded as a user's message under the pool's embedder. A row's score
    is multiplied by its similarity to the most similar of them (`filtering.nearness`, RDS+ where
    the embedder is `llm-weighted:MODEL`), raised to the power of `weight`, above 0. A similarity
    below 0 counts as 0.
    """

    examples: Names
    weight: Number = 1.0

    def __post_init__(self) -> None:
        if not 1 <= len(self.examples) <= MOST_EXAMPLES or not all(self.examples):
            raise SelectionError(
                f"closeness takes 1 to {MOST_EXAMPLES} examples with a text each, got "
                f"{len(self.examples)}: 5 to 50 prompts of the target task are good"
            )
        if self.weight <= 0:
            raise SelectionError(
                f"the weight of closeness must be above 0, got {self.weight:g}: leave closeness "
                "out where it shall not count"
            )

    def describe(self) -> str:
        """In plain words: "closeness^0.5 to 12 examples"."""
        number = len(self.examples)
        what = f"“{self.examples[0][:60]}”" if number == 1 else f"{number} examples"
        return f"closeness^{self.weight:g} to {what}"


@_in_our_words
@checked_dataclass(frozen=True, config=_STRICT)
class SelectionRule:
    """The same rule on the same pool chooses the same rows.

    strategy: a name out of `STRATEGIES`. threshold: cosine similarity in [-1, 1]; strategies that
        do not look at similarities ignore it. budget: rows to keep at most, None for no limit.
    budget_unit: "rows", or "tokens": the pass then ends at the first row that would go over it.
    aggregation: a name out of `AGGREGATIONS`.
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
    filter: the short text of a filter (`filtering.filter`); rows that do not pass are out. passing:
        the rows that passed when it was applied to the project (`filters.packed_rows`; see
        `filtering.settled`). So a rule goes on choosing the same rows, whatever is tagged or
        decided later. closeness: to examples, a factor of the score beside complexity and quality.
    """

    strategy: StrictStr = "repr_filter"
    threshold: Annotated[float, PlainValidator(check_threshold)] = 0.9
    budget: Annotated[int | None, PlainValidator(check_budget)] = None
    aggregation: StrictStr = "sum"
    include_no_response: StrictBool = False
    languages: Names = ()
    sources: Names = ()
    excluded_flags: Names = ()
    min_turns: Whole | None = None
    max_turns: Whole | None = None
    min_tokens: Whole | None = None
    max_tokens: Whole | None = None
    seed: Whole = 0
    budget_unit: BudgetUnit = "rows"
    complexity_weight: Number = 1.0
    quality_weight: Number = 1.0
    conditions: tuple[Condition, ...] = ()
    quotas: tuple[Quota, ...] = ()
    pinned: Names = ()
    excluded: Names = ()
    pin_place: PinPlace = "first"
    filter: StrictStr = ""
    passing: StrictStr = ""
    closeness: Closeness | None = None

    def __post_init__(self) -> None:
        find_strategy(self.strategy)
        check_aggregation(self.aggregation)
        for low, high, _ in _RANGES:
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise SelectionError(f"{low} {least} is greater than {high} {most}: swap them")
        a, b = self.complexity_weight, self.quality_weight
        if min(a, b) < 0 or (max(a, b) == 0 and self.closeness is None):
            raise SelectionError(
                "the weights of complexity and quality must be 0 or more and not both 0, got "
                f"{a:g} and {b:g}; 1 and 1 are the paper's"
            )
        if self.passing and not self.filter:
            raise SelectionError("the rule has rows that pass, but no filter: give the filter, too")
        both = sorted(set(self.pinned) & set(self.excluded))
        if both:
            raise SelectionError(
                f"{len(both)} conversations are both pinned and excluded, first {both[0]}: take "
                "each out of one of the two lists"
            )
        if len(self.conditions) > MOST_CONDITIONS:
            number = len(self.conditions)
            raise SelectionError(f"{number} conditions: a rule has at most {MOST_CONDITIONS}")
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

    def to_json(self) -> str:
        """The rule as JSON text, with the version of this layout."""
        parts = {k: v for k, v in asdict(self).items() if k not in _LATER or v != _LATER[k]}
        return json.dumps({"version": RULE_VERSION, **parts}, ensure_ascii=False)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> SelectionRule:
        """The rule of a JSON object; keys that are missing take their default.

        Raises SelectionError for keys and versions that are not known.
        """
        version = values.get("version", RULE_VERSION)
        if version != RULE_VERSION:
            raise SelectionError(
                f"this rule has version {version!r}, but version {RULE_VERSION} is all that is "
                "known here: update Deita Studio, or write the rule anew"
            )
        return SelectionRule(**{key: value for key, value in values.items() if key != "version"})

    @staticmethod
    def from_json(text: str) -> SelectionRule:
        """The inverse of `to_json`."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise SelectionError(f"a selection rule must be JSON: {error}") from None
        if not isinstance(values, dict):
            raise SelectionError(f"a selection rule must be a JSON object, got {text[:60]!r}")
        return SelectionRule.from_dict(values)

    def how(self, name: str) -> str:
        """This name of the strategy with what the rule sets for it."""
        if find_strategy(self.strategy).uses_threshold:
            return f"{name} at {similarity_text(self.threshold)}"
        return f"{name} (seed {self.seed})" if self.strategy == "random" else name

    def describe(self) -> str:
        """The rule in plain words, as one phrase."""
        parts = [self.how(find_strategy(self.strategy).label)]
        unit = " tokens" if self.budget_unit == "tokens" else ""
        parts.append("no budget" if self.budget is None else f"budget {self.budget:,}{unit}")
        parts.append(f"turns: {self.aggregation}")
        a, b = self.complexity_weight, self.quality_weight
        if (a, b) != (1.0, 1.0):
            parts.append(f"score: complexity^{a:g} x quality^{b:g}")
        if self.closeness is not None:
            parts.append(f"score x {self.closeness.describe()}")
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
    distance = threshold_to_distance(threshold)
    return f"similarity {_decimal(threshold)} (distance {_decimal(distance)})"


def _decimal(value: float) -> str:
    """Two decimals, or as many as the value has (at most six)."""
    text = f"{value:.6f}".rstrip("0")
    return text if len(text.partition(".")[2]) >= 2 else f"{value:.2f}"


def _describe_filters(rule: SelectionRule) -> list[str]:
    lists = {
        "languages": rule.languages,
        "sources": rule.sources,
        "without flags": rule.excluded_flags,
    }
    parts = [f"{what}: {', '.join(names)}" for what, names in lists.items() if names]
    for low, high, what in _RANGES:
        least, most = getattr(rule, low), getattr(rule, high)
        if least is not None or most is not None:
            parts.append(f"{_bounds_text(least, most)} {what}")
    parts.extend(condition.describe() for condition in rule.conditions)
    if rule.filter:
        parts.append(f"filter: {rule.filter}")
    if rule.include_no_response:
        parts.append("rows without a response included")
    return parts


def _bounds_text(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {number_text(high or 0.0)}"
    if high is None:
        return f"at least {number_text(low)}"
    return f"{number_text(low)} to {number_text(high)}"


def number_text(value: float) -> str:
    """A number for people: "2", "4.5", "12,000"."""
    return f"{value:,.12g}"


@dataclass(frozen=True, slots=True)
class Preset:
    """What another tool means by its threshold, and the rule that does the same here."""

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
