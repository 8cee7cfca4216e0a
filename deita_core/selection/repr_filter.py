"""The Repr Filter over plain arrays: score first, diversity-aware (arXiv 2312.15685, section 3.4).

Rows are visited from the highest score down; a row is kept unless its similarity to a row kept
before it is greater than the threshold; the pass stops at the budget.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_core.errors import SelectionError
from deita_core.progress import finish
from deita_core.selection.candidates import Candidates, Limits, open_ledger
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import check_budget, check_threshold
from deita_core.selection.status import SelectionTrace
from deita_core.selection.strategies.greedy import pass_steps
from deita_core.similarity.definition import as_embeddings, check_rows
from deita_core.similarity.graph import SimilarityGraph

Rows = NDArray[np.int64]


def repr_filter(
    embeddings: ArrayLike,
    scores: ArrayLike,
    threshold: float = 0.9,
    budget: int | None = None,
    *,
    graph: SimilarityGraph | None = None,
) -> Rows:
    """Rows kept by the Repr Filter, in the order kept: (k,) int64.

    embeddings: (n, d) float32, any length but zero; not copied as a whole.
    scores: (n,), no NaN; visited from the highest down, ties by index.
    threshold: cosine similarity in [-1, 1]; a row is dropped when it is closer than this to a
        kept one. 1.0 keeps everything, copies too; a copy has similarity 1.0, so any lower
        threshold drops it. Similarity 0.9 is cosine distance 0.1.
    budget: rows to keep at most; None: no limit.
    graph: the similarity graph of these embeddings; the same rows, in milliseconds, for every
        threshold from its floor on.
    Memory: O(block x kept). Raises SelectionError, which is a ValueError too.
    """
    return _passed(embeddings, scores, threshold, budget, None, graph, explain=False).kept


def trace(
    embeddings: ArrayLike,
    scores: ArrayLike,
    threshold: float = 0.9,
    budget: int | None = None,
    eligible: NDArray[np.bool_] | None = None,
    *,
    graph: SimilarityGraph | None = None,
) -> SelectionTrace:
    """The same pass with what became of each row: see `SelectionTrace`.

    eligible: (n,) bool, rows that may be visited; the others are FILTERED, and neither their
    scores nor their embeddings are looked at. None: all rows.
    """
    return _passed(embeddings, scores, threshold, budget, eligible, graph, explain=True)


def _passed(
    embeddings: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    budget: int | None,
    eligible: NDArray[np.bool_] | None,
    graph: SimilarityGraph | None,
    *,
    explain: bool,
) -> SelectionTrace:
    array = as_embeddings(embeddings)
    values = _checked_scores(scores, len(array), eligible)
    check_rows(array, None if eligible is None else np.flatnonzero(eligible))
    threshold, budget = check_threshold(threshold), check_budget(budget)
    table = PoolTable.of_scores(values, values, array, graph)
    nobody = np.zeros(len(array), np.bool_)
    ledger = open_ledger(budget, "rows", table, np.empty(0, np.int64))
    candidates = Candidates(
        table, values, ~nobody if eligible is None else eligible, nobody, ledger
    )
    order, limits = candidates.best_first(), Limits(threshold, budget)
    return finish(pass_steps(order, candidates, limits, threshold=threshold, explain=explain))


def _checked_scores(
    scores: ArrayLike, rows: int, eligible: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    """The scores as (n,) float64; SelectionError when an eligible row has none."""
    array = np.asarray(scores)
    if array.dtype.kind not in "fiub":
        raise SelectionError(f"scores must be numbers, got {array.dtype}")
    if array.shape != (rows,):
        raise SelectionError(f"scores must be ({rows},) like the embeddings, got {array.shape}")
    values = array.astype(np.float64)
    missing = np.isnan(values)
    if eligible is not None:
        if eligible.shape != (rows,) or eligible.dtype != np.bool_:
            raise SelectionError(
                f"eligible must be ({rows},) bool, got {eligible.shape} {eligible.dtype}"
            )
        missing &= eligible
    if missing.any():
        raise SelectionError(
            f"row {int(missing.argmax())} has no score (NaN; {int(missing.sum()):,} such rows of "
            f"{rows:,}): score it, or leave it out through `eligible`"
        )
    return values
