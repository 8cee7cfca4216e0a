r"""Trains the light scorers and measures them on rows they never saw.

    python -m recipes.light_scorers.train --labels ../shared/data/labels \
        --pools ../shared/data/pools --out deita_core/scoring/light/weights

Writes light-complexity.safetensors, light-quality.safetensors, learnt.json and held_out.json.
Everything is seeded, single-threaded and split by content hashes: the same labels give the same
weights (on the same machine and library versions). Needs scikit-learn, lightgbm and torch beside
the requirements.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deita_core.scoring.light.familiar import CODE_SIGNS, Learnt
from deita_core.scoring.light.features import shared_encoder
from deita_core.scoring.light.heads import heads_of, stored
from deita_core.scoring.protocol import Dimension
from deita_core.training import light_fit as fit
from deita_core.training.split import bucket, buckets_of
from recipes.light_scorers import labels as labels_of
from recipes.light_scorers.fit import fit_difficulty, fit_steps
from recipes.light_scorers.measure import measure

TEST_BUCKET = 9  # of ten, by hash of the instruction: never fitted, never used to choose
ALPHA = 6.0
FOLDS = 10
# How much of each head (difficulty, rating, steps) is in complexity, per standard deviation.
COMPLEXITY_BLEND = (0.5, 0.35, 0.15)
# Where the median and the 99th percentile of the training rows come to lie on 1..6. Alpaca is
# a plain pool: harder and better ones need the room above.
MEDIAN_AT, TOP_AT = 3.0, 5.0


def main() -> None:
    """Reads the command line, trains, writes, measures, prints."""
    parser = argparse.ArgumentParser(description="Train the light scorers and measure them.")
    parser.add_argument("--labels", type=Path, required=True, help="folder with the label files")
    parser.add_argument("--pools", type=Path, required=True, help="folder with alpaca_52k.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # sums in another order would give other last bits
        rated = labels_of.read_rated(asked.labels, asked.pools)
        data = split(rated)
        flask, chains = labels_of.read_flask(asked.labels), read_chains(asked.labels)
        fit.save(asked.out, "complexity", fit_complexity(data, flask, chains))
        fit.save(asked.out, "quality", fit_quality(data, read_pairs(asked.labels)))
    save_learnt(asked.out, rated, data.rows)
    figures = measure(asked.labels, asked.pools, asked.out, TEST_BUCKET)
    text = json.dumps(figures, indent=2) + "\n"
    (asked.out / "held_out.json").write_text(text, encoding="utf-8")
    print(text)


def split(rated: labels_of.Rated) -> fit.RatingData:
    """The rated rows, encoded and split by their instructions."""
    encode = shared_encoder().encode
    return fit.RatingData(
        (encode(rated.instructions), encode(rated.responses)),
        rated.ratings,
        buckets_of(rated.instructions, 10) != TEST_BUCKET,
        buckets_of(rated.instructions, FOLDS, "fold"),
    )


def fit_complexity(
    data: fit.RatingData,
    flask: labels_of.Levelled,
    chains: Sequence[tuple[str, ...]],
    sizes: fit.FitSizes = fit.SHIPPED,
) -> fit.Weights:
    """Three heads over the instruction, blended by COMPLEXITY_BLEND."""
    encode = shared_encoder().encode
    data = replace(data, parts=data.parts[:1])
    everything = np.ones(len(flask.levels), np.bool_)
    difficulty = fit_difficulty(encode(flask.instructions), flask.levels, everything)
    weights = (
        fit.named("difficulty", difficulty)
        | fit.named("rating", fit.fit_rating(data, ALPHA, sizes=sizes))
        | fit.named("steps", fit_steps(chains, data.parts[0], encode))
    )
    return _finished("complexity", weights, data, np.array(COMPLEXITY_BLEND))


def fit_quality(
    data: fit.RatingData, pairs: Sequence[labels_of.Pair], sizes: fit.FitSizes = fit.SHIPPED
) -> fit.Weights:
    """One head over instruction and response."""
    compared = fit.PairData(*map(shared_encoder().encode, zip(*pairs, strict=True)))
    weights = fit.named("rating", fit.fit_rating(data, ALPHA, compared, sizes))
    return _finished("quality", weights, data, np.array([1.0]))


def read_chains(labels: Path) -> list[tuple[str, ...]]:
    """The training half of the chains."""
    chains = labels_of.read_evol_chains(labels) + labels_of.read_followbench(labels)
    return [chain for chain in chains if labels_of.in_training_half(chain)]


def read_pairs(labels: Path) -> list[labels_of.Pair]:
    """The training half of the pairs, without instructions of the test tenth."""
    return [
        pair
        for read in (
            labels_of.read_alpaca_eval,
            labels_of.read_ultrafeedback,
            labels_of.read_revisions,
        )
        for pair in read(labels)
        if labels_of.in_training_half(pair) and bucket(pair[0], 10) != TEST_BUCKET
    ]


def save_learnt(out: Path, rated: labels_of.Rated, rows: fit.Mask) -> None:
    """Writes what of the rated rows a pool is compared with: `familiar.Learnt`."""
    texts = [(rated.instructions[i], rated.responses[i]) for i in np.flatnonzero(rows)]
    lengths = np.array([[len(one) for one in both] for both in texts])
    low, high = np.quantile(lengths, [0.005, 0.995], axis=0).round().astype(int).tolist()
    signs = re.compile(CODE_SIGNS)
    found = Learnt(
        rows=len(texts),
        language="en",
        instruction_characters=(low[0], high[0]),
        response_characters=(low[1], high[1]),
        code=round(float(np.mean([bool(signs.search(json.dumps(both))) for both in texts])), 4),
    )
    (out / "learnt.json").write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _finished(
    dimension: Dimension, weights: fit.Weights, data: fit.RatingData, blend: NDArray[np.float64]
) -> fit.Weights:
    """Rounds as the file does, then fixes blend and calibration on what the rounded heads say."""
    rounded = stored(weights)
    fitted = heads_of(dimension, rounded)(data.parts)[data.rows]
    mean = fitted.mean(axis=0)
    weight = blend / fitted.std(axis=0)
    median, top = np.quantile((fitted - mean) @ weight, [0.5, 0.99])
    low, high = (np.tan((at - 3.5) * np.pi / 5) for at in (MEDIAN_AT, TOP_AT))
    slope = (high - low) / (top - median)
    return rounded | {
        "blend.mean": mean.astype(np.float32),
        "blend.weight": weight.astype(np.float32),
        "calibration": np.array([low - slope * median, slope], np.float32),
    }


if __name__ == "__main__":
    main()
