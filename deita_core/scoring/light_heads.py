"""The heads of the light scorers: weights out of a file, raw numbers per turn in.

Three heads, each with its own meaning:

- `RatingHead`: the mean rating (0 to 5) that three LLMs would give, seen from the instruction
  alone or from instruction and response;
- `DifficultyHead`: FLASK's difficulty, 0 (simple lifestyle knowledge) to 4 (expert knowledge);
- `StepsHead`: how many steps of added demands an instruction is away from a plain one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.scoring.light_features import F32, Encoded, pair_features
from deita_core.scoring.light_model import Arrays, Mlp, Standardiser, compress, openings, tfidf
from deita_core.scoring.light_trees import Trees


def block(encoded: Encoded, idf: F32, with_openings: bool) -> Any:
    """The sparse terms of one text: TF-IDF, and its opening tokens where asked for."""
    from scipy import sparse

    terms = tfidf(encoded, idf)
    return sparse.hstack([terms, openings(encoded)]).tocsr() if with_openings else terms


def views(blocks: Sequence[Any]) -> list[Any]:
    """What token models look at: the one text, or instruction, response, and both together."""
    from scipy import sparse

    return [*blocks, sparse.hstack(blocks).tocsr()] if len(blocks) == 2 else list(blocks)


def surface(parts: Sequence[Encoded]) -> F32:
    """Compressed surface numbers: of one text, or of instruction, response and both together."""
    columns = [compress(part.surface) for part in parts]
    if len(parts) == 2:
        columns.append(compress(pair_features(parts[0], parts[1])))
    return np.hstack(columns)


@dataclass(frozen=True, slots=True)
class RatingHead:
    """Token models into an ensemble of perceptrons, and, for quality, boosted trees beside it.

    idf: one (TERMS,) per text. token_weights: per view (see `views`) its (terms, k);
    token_intercepts: one per column of all views.
    projections: one (WIDTH, p) per text, for its mean static embedding.
    trees: predict (rating - centre) / scale; None where the perceptrons stand alone.
    """

    idf: tuple[F32, ...]
    token_weights: tuple[F32, ...]
    token_intercepts: F32
    projections: tuple[F32, ...]
    standardise: Standardiser
    mlps: tuple[Mlp, ...]
    trees: Trees | None = None
    centre: float = 0.0
    scale: float = 1.0

    @staticmethod
    def from_arrays(arrays: Arrays, texts: int) -> RatingHead:
        """The head stored under the names that `train_light` writes."""
        get = _floats(arrays, "rating")
        mlps = sum(name.startswith("rating.mlp.") and name.endswith(".bias.0") for name in arrays)
        return RatingHead(
            tuple(get(f"idf.{i}") for i in range(texts)),
            tuple(get(f"view.{i}.token_weights") for i in range(1 if texts == 1 else 3)),
            get("token_intercepts"),
            tuple(get(f"projection.{i}") for i in range(texts)),
            Standardiser(get("mean"), get("deviation")),
            tuple(
                Mlp(
                    tuple(get(f"mlp.{m}.weight.{i}") for i in range(3)),
                    tuple(get(f"mlp.{m}.bias.{i}") for i in range(3)),
                )
                for m in range(mlps)
            ),
            *_trees(arrays),
        )

    def __call__(self, parts: Sequence[Encoded]) -> F32:
        """(n,) float32: about 0 to 5; perceptrons and trees count half each."""
        values = self.inputs(parts)
        rating = np.asarray(np.mean([mlp(values) for mlp in self.mlps], axis=0), np.float32)
        if self.trees is None:
            return rating
        grown = self.centre + self.scale * self.trees(values)
        return np.asarray((rating + grown) / 2, np.float32)

    def inputs(self, parts: Sequence[Encoded]) -> F32:
        """What the perceptrons see: (n, d) float32, standardised."""
        texts = zip(parts, self.idf, strict=True)
        blocks = [block(part, idf, number == 0) for number, (part, idf) in enumerate(texts)]
        seen = zip(views(blocks), self.token_weights, strict=True)
        tokens = np.hstack([view @ weights for view, weights in seen]) + self.token_intercepts
        return self.standardise(rating_inputs(parts, self.projections, tokens))


def _trees(arrays: Arrays) -> tuple[Trees | None, float, float]:
    """Trees, centre and scale of a RatingHead; no trees where the file has none."""
    names = [f"rating.trees.{part}" for part in ("feature", "number", "lengths", "scaling")]
    if names[0] not in arrays:
        return None, 0.0, 1.0
    feature, number, lengths, scaling = (arrays[name] for name in names)
    centre, scale = (float(x) for x in scaling)
    return Trees.from_nodes(feature, np.asarray(number, np.float32), lengths), centre, scale


def rating_inputs(parts: Sequence[Encoded], projections: Sequence[F32], tokens: F32) -> F32:
    """What the perceptrons of a RatingHead see, before standardising."""
    projected = [part.mean @ p for part, p in zip(parts, projections, strict=True)]
    return np.hstack([surface(parts), *projected, tokens]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class DifficultyHead:
    """A linear model over TF-IDF, surface numbers and the direction of the mean embedding."""

    idf: F32
    token_weights: F32
    dense_weights: F32
    intercept: float
    standardise: Standardiser

    @staticmethod
    def from_arrays(arrays: Arrays) -> DifficultyHead:
        """The head stored under the names that `train_light` writes."""
        get = _floats(arrays, "difficulty")
        return DifficultyHead(
            get("idf"),
            get("token_weights"),
            get("dense_weights"),
            float(get("intercept")[0]),
            Standardiser(get("mean"), get("deviation")),
        )

    def __call__(self, instruction: Encoded) -> F32:
        """(n,) float32: about 0 to 4."""
        dense = difficulty_dense(instruction, self.standardise) @ self.dense_weights
        tokens = tfidf(instruction, self.idf) @ self.token_weights
        return np.asarray(tokens + dense + self.intercept, np.float32)


def difficulty_dense(instruction: Encoded, standardise: Standardiser) -> F32:
    """(n, surface + WIDTH): small surface numbers beside the unit mean embedding."""
    norms = np.linalg.norm(instruction.mean, axis=1, keepdims=True)
    numbers = standardise(surface([instruction])) * np.float32(0.05)
    return np.hstack([numbers, instruction.mean / np.maximum(norms, 1e-9)])


@dataclass(frozen=True, slots=True)
class StepsHead:
    """A linear model over surface numbers, fitted on differences between neighbours in a chain."""

    weights: F32
    standardise: Standardiser

    @staticmethod
    def from_arrays(arrays: Arrays) -> StepsHead:
        """The head stored under the names that `train_light` writes."""
        get = _floats(arrays, "steps")
        return StepsHead(get("weights"), Standardiser(get("mean"), get("deviation")))

    def __call__(self, instruction: Encoded) -> F32:
        """(n,) float32: steps, relative to the average Alpaca instruction."""
        return np.asarray(self.standardise(surface([instruction])) @ self.weights, np.float32)


class _floats:  # noqa: N801 - used like a function
    """Reads `head.name` as float32: stored as float16, or as int8 with a scale per column."""

    def __init__(self, arrays: Arrays, head: str) -> None:
        self._arrays, self._head = arrays, head

    def __call__(self, name: str) -> F32:
        values = np.asarray(self._arrays[f"{self._head}.{name}"], np.float32)
        scales = self._arrays.get(f"{self._head}.{name}.scale")
        return values if scales is None else values * np.asarray(scales, np.float32)


def stored(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The arrays as they are kept in the file: one number per term int8, trees as
    they are (a rounded threshold would send rows the other way), all others float16.
    """
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
