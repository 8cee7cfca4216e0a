"""Selection: the Repr Filter and other strategies, evol scores, measures of a selection.

    rule + pool -> select -> Outcome (the rows kept, in order, and why every other row is out)

Importing it loads NumPy and nothing heavier.
"""

from deita_core.selection.changes import Change, Changes, changes
from deita_core.selection.coverage import coverage, nearest_similarities, typical_similarity
from deita_core.selection.distributions import Distribution, distribution, distributions
from deita_core.selection.diversity import (
    Diversity,
    diversity,
    diversity_steps,
    nearest_distance,
    nearest_similarity,
    pool_distance,
    vendi_score,
)
from deita_core.selection.effects import (
    AggregationEffect,
    aggregation_effects,
    aggregation_effects_steps,
)
from deita_core.selection.evol import AGGREGATIONS, evol_scores, row_scores
from deita_core.selection.filters import FILTERS, filter_names
from deita_core.selection.flip import Flip, flip_point
from deita_core.selection.frontier import (
    Frontier,
    FrontierProgress,
    frontier,
    frontier_steps,
)
from deita_core.selection.measures import (
    Comparison,
    Measures,
    compare,
    random_baseline,
)
from deita_core.selection.nearest import Nearest, nearest_of
from deita_core.selection.outcome import Counts, Outcome, select, select_steps
from deita_core.selection.presets import PRESETS, Preset, find_preset
from deita_core.selection.profile import (
    Histogram,
    SimilarityProfile,
    Suggestion,
    similarity_profile,
)
from deita_core.selection.progress import FilterProgress
from deita_core.selection.repr_filter import repr_filter, repr_filter_steps, trace, trace_steps
from deita_core.selection.rule import SelectionRule, similarity_text, threshold_to_distance
from deita_core.selection.rule_parts import CONDITION_COLUMNS, Condition, Quota
from deita_core.selection.sides import Turn
from deita_core.selection.spans import KeptSpans, kept_spans
from deita_core.selection.status import STATUSES, SelectionTrace, Status
from deita_core.selection.strategies import STRATEGIES, Strategy, find_strategy
from deita_core.selection.table import PoolColumns, SelectionInput
from deita_core.stepwise import finish

__all__ = [
    "AGGREGATIONS",
    "CONDITION_COLUMNS",
    "FILTERS",
    "PRESETS",
    "STATUSES",
    "STRATEGIES",
    "AggregationEffect",
    "Change",
    "Changes",
    "Comparison",
    "Condition",
    "Counts",
    "Distribution",
    "Diversity",
    "FilterProgress",
    "Flip",
    "Frontier",
    "FrontierProgress",
    "Histogram",
    "KeptSpans",
    "Measures",
    "Nearest",
    "Outcome",
    "PoolColumns",
    "Preset",
    "Quota",
    "SelectionInput",
    "SelectionRule",
    "SelectionTrace",
    "SimilarityProfile",
    "Status",
    "Strategy",
    "Suggestion",
    "Turn",
    "aggregation_effects",
    "aggregation_effects_steps",
    "changes",
    "compare",
    "coverage",
    "distribution",
    "distributions",
    "diversity",
    "diversity_steps",
    "evol_scores",
    "filter_names",
    "find_preset",
    "find_strategy",
    "finish",
    "flip_point",
    "frontier",
    "frontier_steps",
    "kept_spans",
    "nearest_distance",
    "nearest_of",
    "nearest_similarities",
    "nearest_similarity",
    "pool_distance",
    "random_baseline",
    "repr_filter",
    "repr_filter_steps",
    "row_scores",
    "select",
    "select_steps",
    "similarity_profile",
    "similarity_text",
    "threshold_to_distance",
    "trace",
    "trace_steps",
    "typical_similarity",
    "vendi_score",
]
