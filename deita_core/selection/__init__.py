"""Selection: the Repr Filter and other strategies, evol scores, measures of a selection.

    rule + pool -> select -> Outcome (the rows kept, in order, and why every other row is out)

Importing it loads NumPy and nothing heavier.
"""

from deita_core.progress import FilterProgress, finish
from deita_core.selection.analysis.changes import Change, Changes, changes
from deita_core.selection.analysis.diversity import (
    Diversity,
    coverage,
    diversity,
    diversity_steps,
    nearest_distance,
    pool_distance,
    vendi_score,
)
from deita_core.selection.analysis.frontier import (
    Frontier,
    FrontierProgress,
    frontier,
    frontier_steps,
)
from deita_core.selection.analysis.measures import (
    AggregationEffect,
    Comparison,
    Distribution,
    Measures,
    aggregation_effects,
    compare,
    distribution,
    distributions,
    random_baseline,
)
from deita_core.selection.analysis.similarities import (
    NearestSimilarities,
    SimilarityHistogram,
    Suggestion,
    nearest_similarities,
    typical_similarity,
)
from deita_core.selection.analysis.thresholds import (
    Crossing,
    Flip,
    KeptSpans,
    flip_point,
    kept_spans,
)
from deita_core.selection.evol import AGGREGATIONS, evol_scores, row_scores
from deita_core.selection.filters import FILTERS, filter_names
from deita_core.selection.outcome import Outcome, select, select_steps
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.repr_filter import repr_filter, repr_filter_steps, trace, trace_steps
from deita_core.selection.rule import (
    PRESETS,
    Preset,
    SelectionRule,
    find_preset,
    similarity_text,
    threshold_to_distance,
)
from deita_core.selection.rule_parts import CONDITION_COLUMNS, Condition, Quota
from deita_core.selection.status import STATUSES, Counts, SelectionTrace, Status
from deita_core.selection.strategies import STRATEGIES, Strategy, find_strategy
from deita_core.similarity.nearest import Nearest, nearest_of

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
    "Crossing",
    "Distribution",
    "Diversity",
    "FilterProgress",
    "Flip",
    "Frontier",
    "FrontierProgress",
    "KeptSpans",
    "Measures",
    "Nearest",
    "NearestSimilarities",
    "Outcome",
    "PoolTable",
    "Preset",
    "Quota",
    "SelectionRule",
    "SelectionTrace",
    "SimilarityHistogram",
    "Status",
    "Strategy",
    "Suggestion",
    "aggregation_effects",
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
    "pool_distance",
    "random_baseline",
    "repr_filter",
    "repr_filter_steps",
    "row_scores",
    "select",
    "select_steps",
    "similarity_text",
    "threshold_to_distance",
    "trace",
    "trace_steps",
    "typical_similarity",
    "vendi_score",
]
