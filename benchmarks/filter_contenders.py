"""Who runs in `benchmarks.repr_filter`: ours, the obvious loops, and the peers as they are.

Imports nothing but NumPy at the top, because a peer's child process runs in the peer's own
environment.
"""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
REFERENCE = "reference (hkust-nlp/deita)"
DISTILABEL = "distilabel DeitaFiltering"
OURS_AS_DISTILABEL = "ours, distilabel's convention"


def plain_loop(
    embeddings: NDArray[np.float32], scores: NDArray[np.float64], threshold: float, budget: int
) -> Rows:
    """The obvious NumPy: normalise once, then for each row one product with the kept rows."""
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable").tolist():
        if len(kept) == budget:
            break
        if not (units[kept] @ units[row] > threshold).any():
            kept.append(row)
    return np.array(kept)


def careful_loop(
    embeddings: NDArray[np.float32], scores: NDArray[np.float64], threshold: float, budget: int
) -> Rows:
    """The same, with the kept rows side by side in memory instead of gathered each time."""
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    kept = np.empty((budget, units.shape[1]), np.float32)
    rows: list[int] = []
    for row in np.argsort(-scores, kind="stable").tolist():
        if len(rows) == budget:
            break
        if not (kept[: len(rows)] @ units[row] > threshold).any():
            kept[len(rows)] = units[row]
            rows.append(row)
    return np.array(rows)


def ours(
    embeddings: NDArray[np.float32], scores: NDArray[np.float64], threshold: float, budget: int
) -> Rows:
    """`deita_core.selection.repr_filter`."""
    from deita_core.selection import repr_filter

    return repr_filter(embeddings, scores, threshold, budget)


def ours_traced(
    embeddings: NDArray[np.float32], scores: NDArray[np.float64], threshold: float, budget: int
) -> Rows:
    """The same with the reason of every row."""
    from deita_core.selection import trace

    return trace(embeddings, scores, threshold, budget).kept


def reference_filter(checkout: Path) -> Callable[..., Rows]:
    """The reference's own Combined_Filter, out of a checkout, as it is.

    Its packages import models and servers when they load, so they are stood in for by empty ones
    that lead to the same folders; the three files the filter needs are the checkout's own.
    """
    for name in ("deita", "deita.pipeline", "deita.selection", "deita.selection.filter"):
        package = types.ModuleType(name)
        package.__path__ = [str(checkout / "src" / Path(*name.split(".")))]
        sys.modules[name] = package
    module = importlib.import_module("deita.selection.filter.combined_filter")

    def run(
        embeddings: NDArray[np.float32], scores: NDArray[np.float64], threshold: float, budget: int
    ) -> Rows:
        import pandas as pd

        frame = pd.DataFrame({"embedding": list(embeddings), "score": list(scores[:, None])})
        chosen = module.Combined_Filter(
            threshold=threshold,
            data_size=budget,
            sort_key=["score"],
            chunk_size=100_000,
            batch_size=1,
            device="cpu",
        ).filter(frame)
        return chosen.index.to_numpy()

    return run


def ours_as_distilabel(
    embeddings: NDArray[np.float32], scores: NDArray[np.float64], threshold: float, budget: int
) -> Rows:
    """Our strategy that replays distilabel's convention."""
    from deita_core.selection import PoolTable, SelectionRule, select

    table = PoolTable.of_scores(scores, np.ones(len(scores)), embeddings)
    rule = SelectionRule(strategy="distilabel", threshold=threshold, budget=budget)
    return select(rule, table).kept


def distilabel_filter(
    embeddings: NDArray[np.float32], scores: NDArray[np.float64], threshold: float, budget: int
) -> Rows:
    """The step of the package, as it is; its threshold is a distance."""
    warnings.filterwarnings("ignore")
    from distilabel.steps import DeitaFiltering

    step = DeitaFiltering(data_budget=budget, diversity_threshold=1.0 - threshold)
    step.load()
    rows = [
        {"evol_instruction_score": score, "evol_response_score": 1.0, "embedding": row, "row": i}
        for i, (score, row) in enumerate(zip(scores.tolist(), embeddings.tolist(), strict=True))
    ]
    return np.array([row["row"] for row in next(step.process(rows))])


CONTENDERS: dict[str, Callable[..., Rows]] = {
    "ours": ours,
    "ours, with reasons": ours_traced,
    "plain NumPy loop": plain_loop,
    "NumPy loop, kept rows preallocated": careful_loop,
    OURS_AS_DISTILABEL: ours_as_distilabel,
    DISTILABEL: distilabel_filter,
}


def gigabytes(name: str, rows: int, dimension: int) -> float:
    """What a contender needs beside the data, roughly, at its peak.

    distilabel takes embeddings as lists of Python numbers (32 bytes each) and holds matrices of
    rows x rows in float64: 17 bytes a cell, as measured at 20,000 rows. The others make one to
    three copies of the data (the reference 2.4, as measured at 52,000 rows).
    """
    if name in (DISTILABEL, OURS_AS_DISTILABEL):  # ours is there to be held against it
        return 32 * rows * dimension / 1e9 + 17 * rows * rows / 1e9
    return 2.5 * 4 * rows * dimension / 1e9
