"""Selection: the Repr Filter and other strategies, evol scores, analysis of a selection.

    rule + pool table -> select -> Outcome (the rows kept, in order, and why every other is out)

What docs/python.md shows; everything else is imported from its file. Importing this loads NumPy
and nothing heavier.
"""

from deita_core.selection.analysis.changes import changes
from deita_core.selection.analysis.measures import compare
from deita_core.selection.analysis.similarities import nearest_similarities
from deita_core.selection.analysis.thresholds import flip_point, frontier, kept_spans
from deita_core.selection.evol import evol_scores
from deita_core.selection.outcome import Outcome, select, select_steps
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.repr_filter import repr_filter, trace
from deita_core.selection.rule import Closeness, Condition, Quota, SelectionRule
from deita_core.selection.status import STATUSES
from deita_core.selection.strategies import STRATEGIES

__all__ = [
    "STATUSES",
    "STRATEGIES",
    "Closeness",
    "Condition",
    "Outcome",
    "PoolTable",
    "Quota",
    "SelectionRule",
    "changes",
    "compare",
    "evol_scores",
    "flip_point",
    "frontier",
    "kept_spans",
    "nearest_similarities",
    "repr_filter",
    "select",
    "select_steps",
    "trace",
]
