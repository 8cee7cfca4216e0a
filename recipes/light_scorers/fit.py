"""Fits the two heads that only the shipped complexity scorer has: difficulty and steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from deita_core.scoring.light.features import F32, Encoded
from deita_core.scoring.light.heads import (
    TERMS,
    Standardiser,
    difficulty_dense,
    surface,
    tfidf,
)
from deita_core.training.light_fit import Mask, Weights, fit_idf, scaling


def fit_difficulty(instruction: Encoded, levels: F32, rows: Mask, alpha: float = 3.0) -> Weights:
    """The arrays of a DifficultyHead: ridge over terms and dense numbers together."""
    from scipy import sparse
    from sklearn.linear_model import Ridge

    idf = fit_idf(instruction, rows, 2)
    standardise = Standardiser.fit(surface([instruction])[rows])
    dense = sparse.csr_matrix(difficulty_dense(instruction, standardise))
    terms = sparse.hstack([tfidf(instruction, idf), dense]).tocsr()[np.flatnonzero(rows)]
    model = Ridge(alpha, solver="lsqr").fit(terms, levels[rows])
    return {
        "idf": idf,
        "token_weights": model.coef_[:TERMS].astype(np.float32),
        "dense_weights": model.coef_[TERMS:].astype(np.float32),
        "intercept": np.array([model.intercept_], np.float32),
        **scaling(standardise),
    }


def fit_steps(
    chains: Sequence[tuple[str, ...]],
    reference: Encoded,
    encode: Callable[[Sequence[str]], Encoded],
    alpha: float = 300.0,
) -> Weights:
    """The arrays of a StepsHead: each link of a chain is one step, in surface numbers alone."""
    from sklearn.linear_model import Ridge

    standardise = Standardiser.fit(surface([reference]))
    lower, upper = zip(*(link for chain in chains for link in pairwise(chain)), strict=True)
    links = standardise(surface([encode(upper)])) - standardise(surface([encode(lower)]))
    model = Ridge(alpha, fit_intercept=False).fit(links, np.ones(len(links)))
    return {"weights": model.coef_.astype(np.float32), **scaling(standardise)}
