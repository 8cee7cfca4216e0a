"""The small models of the light scorers, evaluated with NumPy alone.

A head is one of two things:

- a *token model*: a linear model over TF-IDF of tokens, hashed token pairs and the opening
  tokens (term weight (1 + ln tf) * idf, rows L2-normalised, as in scikit-learn's
  `sublinear_tf=True, norm="l2"`), plus standardised surface numbers;
- an *ensemble* of multi-layer perceptrons (two hidden layers, GELU) over standardised surface
  numbers, projected static embeddings, and the outputs of token models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.scoring.light_features import F32, VOCABULARY, Encoded, token_pairs

PAIR_BUCKETS = 1 << 16
OPENING_BUCKETS = 1 << 13
OPENING_TOKENS = 4
OPENING_WEIGHT = 0.5
TERMS = VOCABULARY + PAIR_BUCKETS
CLIP = 4.0
Arrays = Mapping[str, NDArray[Any]]


def term_counts(encoded: Encoded) -> Any:
    """CSR (n, TERMS) float32: how often each token and each hashed token pair occurs."""
    from scipy import sparse

    rows, hashed = token_pairs(encoded, PAIR_BUCKETS)
    n = len(encoded.starts) - 1
    pairs = sparse.csr_matrix(
        (np.ones(len(rows), np.float32), (rows, hashed)), shape=(n, PAIR_BUCKETS)
    )
    return sparse.hstack([encoded.bag, pairs]).tocsr()


def tfidf(encoded: Encoded, idf: F32) -> Any:
    """CSR (n, TERMS) float32; each half (tokens, pairs) of a row has norm 1 or is empty."""
    from scipy import sparse

    counts = term_counts(encoded)
    weights = (1 + np.log(counts.data)) * idf[counts.indices]
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    half = 2 * rows + (counts.indices >= VOCABULARY)
    norms = np.sqrt(np.bincount(half, weights**2, minlength=2 * counts.shape[0]))
    weights = (weights / np.maximum(norms, 1e-9)[half]).astype(np.float32)
    return sparse.csr_matrix((weights, counts.indices, counts.indptr), shape=counts.shape)


def openings(encoded: Encoded) -> Any:
    """CSR (n, OPENING_BUCKETS) float32: the first tokens of a text, hashed with their place."""
    from scipy import sparse

    starts, lengths = encoded.starts[:-1], np.diff(encoded.starts)
    rows, columns = [], []
    for place in range(OPENING_TOKENS):
        long_enough = np.flatnonzero(lengths > place)
        token = encoded.ids[starts[long_enough] + place].astype(np.int64)
        rows.append(long_enough)
        columns.append((token * 31 + place * 104_729) % OPENING_BUCKETS)
    index = (np.concatenate(rows), np.concatenate(columns))
    values = np.full(len(index[0]), OPENING_WEIGHT, np.float32)
    return sparse.csr_matrix((values, index), shape=(len(lengths), OPENING_BUCKETS))


def compress(values: F32) -> F32:
    """Signed log(1 + |x|): counts become orders of magnitude."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)), np.float32)


@dataclass(frozen=True, slots=True)
class Standardiser:
    """(x - mean) / deviation per column, clipped to +-CLIP so that no input can run away."""

    mean: F32
    deviation: F32

    @staticmethod
    def fit(values: F32) -> Standardiser:
        """Mean and deviation of the columns of (n, d) values; constant columns become 0."""
        deviation = values.std(axis=0)
        deviation[deviation < 1e-6] = 1e6
        return Standardiser(values.mean(axis=0).astype(np.float32), deviation.astype(np.float32))

    def __call__(self, values: F32) -> F32:
        scaled = (values - self.mean) / self.deviation
        return np.asarray(np.clip(scaled, -CLIP, CLIP), np.float32)


@dataclass(frozen=True, slots=True)
class Mlp:
    """weights[i]: (d_i, d_i+1) float32, biases[i]: (d_i+1,) float32; GELU between layers."""

    weights: tuple[F32, ...]
    biases: tuple[F32, ...]

    def __call__(self, values: F32) -> F32:
        """(n, d_0) -> (n,) float32."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = gelu(values @ weight + bias)
        return np.asarray((values @ self.weights[-1] + self.biases[-1])[:, 0], np.float32)


def gelu(values: F32) -> F32:
    """GELU, tanh form (Hendrycks and Gimpel 2016, arXiv 1606.08415)."""
    inner = np.float32(0.7978845608) * (values + np.float32(0.044715) * values * values * values)
    return np.asarray(values * np.float32(0.5) * (1 + np.tanh(inner)), np.float32)
