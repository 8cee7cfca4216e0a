"""The heads of the light scorers: weights in, raw numbers per turn out.

- rating: the mean rating (0 to 5) that three LLMs would give, seen from the instruction alone or
  from instruction and response.
- difficulty: FLASK's, 0 (simple lifestyle knowledge) to 4 (expert knowledge).
- steps: how many steps of added demands an instruction is away from a plain one.

A head takes the encoded texts of n turns: (instruction,) or (instruction, response).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.scoring.light.features import F32, VOCABULARY, Encoded, pair_features, token_pairs
from deita_core.scoring.protocol import Dimension

PAIR_BUCKETS = 1 << 16
OPENING_BUCKETS = 1 << 13
OPENING_TOKENS = 4
OPENING_WEIGHT = 0.5
TERMS = VOCABULARY + PAIR_BUCKETS
CLIP = 4.0  # standard deviations
Parts = Sequence[Encoded]
Arrays = Mapping[str, NDArray[Any]]
Head = Callable[[Parts], F32]


def term_counts(encoded: Encoded) -> Any:
    """CSR (n, TERMS) float32: how often each token and each hashed token pair occurs."""
    from scipy import sparse

    rows, hashed = token_pairs(encoded, PAIR_BUCKETS)
    ones = np.ones(len(rows), np.float32)
    pairs = sparse.csr_matrix((ones, (rows, hashed)), (len(encoded.starts) - 1, PAIR_BUCKETS))
    return sparse.hstack([encoded.bag, pairs]).tocsr()


def tfidf(encoded: Encoded, idf: F32) -> Any:
    """CSR (n, TERMS) float32; each half (tokens, pairs) of a row has norm 1 or is empty.
    Term weight (1 + ln tf) * idf, as scikit-learn's `sublinear_tf=True, norm="l2"`."""
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


def product(values: F32, weights: F32) -> F32:
    """(n, d) @ (d, k) -> (n, k) float32, each row added up in one order whatever n is."""
    from deita_core.scoring.light import heads_kernel

    return heads_kernel.product(np.ascontiguousarray(values), np.ascontiguousarray(weights))


@dataclass(frozen=True, slots=True)
class Standardiser:
    """(x - mean) / deviation per column, clipped to +-CLIP so that no input can run away."""

    mean: F32
    deviation: F32

    @staticmethod
    def fit(values: F32) -> Standardiser:
        """Mean and deviation of the columns of (n, d) values; constant columns become 0."""
        deviation = values.std(axis=0)
        deviation[deviation < 1e-6] = np.inf
        return Standardiser(values.mean(axis=0).astype(np.float32), deviation.astype(np.float32))

    def __call__(self, values: F32) -> F32:
        scaled = (values - self.mean) / self.deviation
        return np.asarray(np.clip(scaled, -CLIP, CLIP), np.float32)


def perceptron(layers: Sequence[tuple[F32, F32]], values: F32) -> F32:
    """(n, d_0) -> (n,) float32, with GELU between layers of weights (d_i, d_i+1) and biases."""
    *inner, (last, bias) = layers
    for weights, biases in inner:
        values = gelu(product(values, weights) + biases)
    return (product(values, last) + bias)[:, 0]


def gelu(values: F32) -> F32:
    """GELU, tanh form (Hendrycks and Gimpel 2016, arXiv 1606.08415)."""
    inner = np.float32(0.7978845608) * (values + np.float32(0.044715) * values * values * values)
    return np.asarray(values * np.float32(0.5) * (1 + np.tanh(inner)), np.float32)


class Trees:
    """A sum of regression trees, one after another in flat arrays.

    Node i (`feature` and `left` int32, `number` float32) sends a row to `left[i]` when its column
    `feature[i]` is at most `number[i]`, else to the node after that. A leaf has `feature` -1, and
    `number` is its value.
    """

    def __init__(self, feature: NDArray[Any], number: F32, lengths: NDArray[Any]) -> None:
        """From one (feature, number) per node, each tree breadth first; lengths: nodes of each.

        The order alone says who is whose child: in one tree, the k-th node that asks (from 0) has
        its children at 2k + 1 and 2k + 2.
        """
        sizes = np.asarray(lengths, np.int64)
        roots = np.cumsum(sizes) - sizes
        asks = np.asarray(feature) >= 0
        before: NDArray[np.int64] = np.cumsum(asks) - asks  # nodes that ask, over all trees
        in_tree: NDArray[np.int64] = before - np.repeat(before[roots], sizes)
        self.feature = np.asarray(feature, np.int32)
        self.number = np.asarray(number, np.float32)
        self.left = (np.repeat(roots, sizes) + 2 * in_tree + 1).astype(np.int32)
        self.roots = roots.astype(np.int32)

    def __call__(self, values: F32) -> F32:
        """(n, d) -> (n,) float32: the sum of the leaves that each row falls into."""
        from deita_core.scoring.light.heads_kernel import leaf_sums

        rows = np.ascontiguousarray(values, np.float32)
        return leaf_sums(rows, self.feature, self.number, self.left, self.roots)


def blocks(parts: Parts, idf: Sequence[F32]) -> list[Any]:
    """The sparse terms of each text: TF-IDF, and the opening tokens of the instruction."""
    from scipy import sparse

    terms = [tfidf(part, one) for part, one in zip(parts, idf, strict=True)]
    return [sparse.hstack([terms[0], openings(parts[0])]).tocsr(), *terms[1:]]


def views(blocks: Sequence[Any]) -> list[Any]:
    """What token models look at: the one text, or instruction, response, and both together."""
    from scipy import sparse

    return [*blocks, sparse.hstack(blocks).tocsr()] if len(blocks) == 2 else list(blocks)


def surface(parts: Parts) -> F32:
    """Compressed surface numbers: of one text, or of instruction, response and both together."""
    columns = [compress(part.surface) for part in parts]
    if len(parts) == 2:
        columns.append(compress(pair_features(parts[0], parts[1])))
    return np.hstack(columns)


class RatingHead:
    """Token models (linear, over TF-IDF of tokens, hashed token pairs and the opening tokens) feed
    an ensemble of perceptrons and, for quality, boosted trees, beside surface numbers and the mean
    static embedding.

    The arrays are those of `fit_rating`: an idf (TERMS,) and a projection (WIDTH, p) of the
    mean embedding per text; token weights (terms, k) per view, with an intercept a column; the
    perceptrons' layers (a single one is a linear model); and, for quality, trees that predict
    (rating - centre) / scale.
    """

    def __init__(self, arrays: Arrays, texts: int) -> None:
        get = _reader(arrays, "rating")
        self.idf = [get(f"idf.{i}") for i in range(texts)]
        self.token_weights = [get(f"view.{i}.token_weights") for i in range(2 * texts - 1)]
        self.token_intercepts = get("token_intercepts")
        self.projections = [get(f"projection.{i}") for i in range(texts)]
        self.standardise = _standardiser(get)
        self.perceptrons = [
            [(get(f"mlp.{m}.weight.{i}"), get(f"mlp.{m}.bias.{i}")) for i in _counted(arrays, m)]
            for m in range(sum(name.endswith(".bias.0") for name in arrays))
        ]
        self.trees: Trees | None = None
        if "rating.trees.feature" in arrays:
            feature, lengths = arrays["rating.trees.feature"], arrays["rating.trees.lengths"]
            self.trees = Trees(feature, get("trees.number"), lengths)
            self._centre, self._scale = map(float, arrays["rating.trees.scaling"])

    def __call__(self, parts: Parts) -> F32:
        """(n,) float32: about 0 to 5; perceptrons and trees count half each."""
        values = self.inputs(parts)
        guesses = [perceptron(layers, values) for layers in self.perceptrons]
        rating = np.asarray(np.mean(guesses, axis=0), np.float32)
        if self.trees is not None:
            grown = self._centre + self._scale * self.trees(values)
            rating = np.asarray((rating + grown) / 2, np.float32)
        return rating

    def inputs(self, parts: Parts) -> F32:
        """What perceptrons and trees see: (n, d) float32, standardised."""
        seen = zip(views(blocks(parts, self.idf)), self.token_weights, strict=True)
        tokens = np.hstack([view @ weights for view, weights in seen]) + self.token_intercepts
        return self.standardise(rating_inputs(parts, self.projections, tokens))


def _counted(arrays: Arrays, perceptron: int) -> range:
    """The numbers of its layers."""
    start = f"rating.mlp.{perceptron}.bias."
    return range(sum(name.startswith(start) for name in arrays))


def rating_inputs(parts: Parts, projections: Sequence[F32], tokens: F32) -> F32:
    """What the perceptrons of a RatingHead see, before standardising."""
    projected = [product(part.mean, p) for part, p in zip(parts, projections, strict=True)]
    return np.hstack([surface(parts), *projected, tokens]).astype(np.float32)


def difficulty_head(arrays: Arrays) -> Head:
    """FLASK's difficulty, about 0 to 4: linear in TF-IDF, surface numbers and the direction of the
    mean embedding."""
    get = _reader(arrays, "difficulty")
    idf, token_weights, dense_weights = get("idf"), get("token_weights"), get("dense_weights")
    intercept, standardise = float(get("intercept")[0]), _standardiser(get)

    def head(parts: Parts) -> F32:
        numbers = difficulty_dense(parts[0], standardise)
        dense = product(numbers, dense_weights[:, None])[:, 0]
        return np.asarray(tfidf(parts[0], idf) @ token_weights + dense + intercept, np.float32)

    return head


def difficulty_dense(instruction: Encoded, standardise: Standardiser) -> F32:
    """(n, surface + WIDTH): small surface numbers beside the unit mean embedding."""
    norms = np.linalg.norm(instruction.mean, axis=1, keepdims=True)
    numbers = standardise(surface([instruction])) * np.float32(0.05)
    return np.hstack([numbers, instruction.mean / np.maximum(norms, 1e-9)])


def steps_head(arrays: Arrays) -> Head:
    """Steps above the average Alpaca instruction: linear in surface numbers, fitted on differences
    between neighbours in a chain."""
    get = _reader(arrays, "steps")
    weights, standardise = get("weights")[:, None], _standardiser(get)
    return lambda parts: product(standardise(surface(parts[:1])), weights)[:, 0]


def heads_of(dimension: Dimension, arrays: Arrays) -> Head:
    """All heads of a scorer as one: encoded texts of n turns -> (n, heads) float32.

    A scorer of one's own has the rating head alone.
    """
    heads: list[Head] = [RatingHead(arrays, 1 if dimension == "complexity" else 2)]
    if dimension == "complexity" and "difficulty.intercept" in arrays:
        heads = [difficulty_head(arrays), *heads, steps_head(arrays)]
    return lambda parts: np.stack([head(parts) for head in heads], axis=1)


def _standardiser(get: Callable[[str], F32]) -> Standardiser:
    return Standardiser(get("mean"), get("deviation"))


def _reader(arrays: Arrays, head: str) -> Callable[[str], F32]:
    """Reads `head.name` as float32: stored as float16, or as int8 with a scale per column."""

    def get(name: str) -> F32:
        values = np.asarray(arrays[f"{head}.{name}"], np.float32)
        scales = arrays.get(f"{head}.{name}.scale")
        return values if scales is None else values * np.asarray(scales, np.float32)

    return get


def stored(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The arrays as the file has them: one number per term int8, all others float16; but trees as
    they are, for a rounded threshold would send rows the other way."""
    kept: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        if ".trees." in name:
            kept[name] = array
        elif name.endswith("token_weights") or ".idf" in name:
            scale = np.maximum(np.abs(array).max(axis=0), 1e-9) / 127
            kept[name] = np.round(array / scale).astype(np.int8)
            kept[f"{name}.scale"] = np.atleast_1d(scale).astype(np.float32)
        else:
            kept[name] = array.astype(np.float16)
    return kept
