r"""Trains the relevance check and measures it on pools that it never saw.

    python -m recipes.light_scorers.relevance --labels ../shared/data/labels \
        --pools ../shared/data/pools --out deita_core/scoring/light/weights

Writes light-relevance.safetensors and relevance_held_out.json. First the two maps, by telling the
512 answers of a batch apart (InfoNCE, van den Oord et al. 2018, arXiv 1807.03748, both ways); then,
on a tenth of the questions that the maps did not see, a logistic line between own and swapped
answers. Seeded, on one thread. Needs scikit-learn and torch beside the requirements.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.formats.read import PoolRow, read
from deita_core.scoring.light.features import F32, VOCABULARY, Encoded, shared_encoder
from deita_core.scoring.light.relevance import FILE, RelevanceScorer, Sides, expanded
from deita_core.scoring.light.scorer import WEIGHTS
from deita_core.scoring.protocol import TurnText
from deita_core.training.split import bucket
from recipes.light_scorers import labels as labels_of
from recipes.light_scorers.train import TEST_BUCKET

DIRECTIONS, BATCH, EPOCHS, READ = 64, 512, 2, 200
RATES = (5e-3, 2e-3)  # of token weights, of directions
# On the scale: half of the own answers lie above 5, one in a hundred below 2.
MEDIAN_AT, LAST_AT = 5.0, 2.0
UNSEEN = {
    "LIMA": "lima_train_conversations.jsonl",
    "Dolly": "dolly_3k.json",
    "KTO demo": "kto_en_demo.json",
    "Glaive tool calls": "glaive_toolcall_en_demo.json",
    "AQuA reasoning": "aqua_train.json",
    "Self-Instruct": "self_instruct_5k.jsonl",
}
Turns = list[tuple[str, str]]
Weights = dict[str, NDArray[Any]]


def main() -> None:
    """Reads the command line, trains, writes, measures, prints."""
    parser = argparse.ArgumentParser(description="Train the relevance check and measure it.")
    parser.add_argument("--labels", type=Path, required=True, help="folder with the label files")
    parser.add_argument("--pools", type=Path, required=True, help="folder with the pools")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder for the weights")
    asked = parser.parse_args()
    from safetensors.numpy import save_file
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        weights = fit_relevance(read_own(asked.labels, asked.pools, fitted=True))
    arrays = {name: np.ascontiguousarray(weights[name]) for name in sorted(weights)}
    save_file(arrays, asked.out / FILE)
    unseen = read_own(asked.labels, asked.pools, fitted=False)
    figures = measure(RelevanceScorer(weights=asked.out), unseen)
    text = json.dumps(figures, indent=2) + "\n"
    (asked.out / "relevance_held_out.json").write_text(text, encoding="utf-8")
    print(text)


def read_own(labels: Path, pools: Path, *, fitted: bool) -> dict[str, Turns]:
    """Questions with their own answers, by source: what is fitted on, or what is held out."""
    rated = labels_of.read_rated(labels, pools)
    both = zip(rated.instructions, rated.responses, strict=True)
    alpaca = [b for b in both if (bucket(b[0], 10) != TEST_BUCKET) == fitted and b[1].strip()]
    feedback = [
        (pair.instruction, pair.better)
        for pair in labels_of.read_ultrafeedback(labels)
        if labels_of.in_training_half(pair) == fitted
    ]
    found = {"Alpaca": alpaca, "UltraFeedback": feedback}
    if fitted:
        named = {"OASST1": "oasst1_en_validation.jsonl", "ShareGPT, Chinese": "sharegpt_zh_1K.json"}
        return found | {name: _turns(pools / file, 2_500) for name, file in named.items()}
    autoj = [(asked, answer) for asked, answer, _ in labels_of.read_autoj(labels)]
    autoj = [turn for turn in autoj if turn[1].strip()]
    return {**found, "Auto-J": autoj} | {k: _turns(pools / f, 1_500) for k, f in UNSEEN.items()}


def _turns(path: Path, most: int) -> Turns:
    """Turns with both texts, evenly spread over the file, `most` at most."""
    rows = (row for row in read(path) if isinstance(row, PoolRow))
    turns = [(t.instruction, t.response or "") for row in rows for t in row.conversation.turns]
    full = [turn for turn in turns if turn[0].strip() and turn[1].strip()]
    places = np.unique(np.linspace(0, len(full) - 1, min(most, len(full))).astype(int))
    return [full[place] for place in places]


def fit_relevance(own: Mapping[str, Turns]) -> Weights:
    """The arrays of a `RelevanceScorer`, from questions and their answers by source."""
    kept = {k: [t for t in turns if bucket(t[0], 10, "line")] for k, turns in own.items()}
    left = {k: [t for t in turns if not bucket(t[0], 10, "line")] for k, turns in own.items()}
    maps = fit_maps(*encoded([turn for turns in kept.values() for turn in turns]))
    sides, rows = Sides(maps), {k: t for k, t in left.items() if len(t) > 1}
    numbers = [(sides.numbers(*encoded(t)), sides.numbers(*swapped(t))) for t in rows.values()]
    # The sources count alike, but for those with fewer than a hundred questions.
    counts = [np.full(2 * len(o), 1 / max(len(o), 100)) for o, _ in numbers]
    values = np.concatenate([part for both in numbers for part in both])
    belongs = np.concatenate([np.repeat([1, 0], len(own_)) for own_, _ in numbers])
    mean, deviation = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-6)
    line = _logistic(expanded(values, mean, deviation), belongs, np.concatenate(counts))
    raw = expanded(numbers[0][0], mean, deviation) @ line
    last, median = np.quantile(raw, [0.01, 0.5])
    low, high = (np.tan((at - 3.5) * np.pi / 5) for at in (LAST_AT, MEDIAN_AT))
    slope = (high - low) / (median - last)
    return maps | {
        "numbers.mean": mean.astype(np.float32),
        "numbers.deviation": deviation.astype(np.float32),
        "line": line.astype(np.float32),
        "calibration": np.array([low - slope * last, slope], np.float32),
    }


def encoded(turns: Turns) -> tuple[Encoded, Encoded]:
    """Questions and answers of the turns."""
    encode = shared_encoder().encode
    return encode([asked for asked, _ in turns]), encode([answer for _, answer in turns])


def swapped(turns: Turns) -> tuple[Encoded, Encoded]:
    """Each question with the answer of the question half of the list away."""
    return encoded(swap(turns))


def swap(turns: Turns) -> Turns:
    """Each question with the answer of the question half of the list away."""
    half = len(turns) // 2
    return [(turns[i][0], turns[i - half][1]) for i in range(len(turns))]


def _logistic(values: F32, belongs: NDArray[np.int64], weights: NDArray[np.float64]) -> F32:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0, max_iter=2000)  # the scale has an offset of its own
    fitted = model.fit(values, belongs, weights / weights.mean())
    return np.asarray(fitted.coef_[0], np.float32)


def fit_maps(question: Encoded, answer: Encoded) -> Weights:
    """Token weights and directions of both sides, float16."""
    import torch
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(1)
    torch.manual_seed(0)
    sides = [_Side(question, answer), _Side(answer, question)]
    heat = torch.tensor(2.5, requires_grad=True)
    rates = [
        {"params": [side.weights for side in sides], "lr": RATES[0]},
        {"params": [heat, *(side.directions for side in sides)], "lr": RATES[1]},
    ]
    optimiser = torch.optim.Adam(rates)
    rows = np.flatnonzero((np.diff(question.starts) > 0) & (np.diff(answer.starts) > 0))
    size, rng, own = min(BATCH, len(rows)), np.random.default_rng(0), torch.arange(BATCH)
    for _ in range(EPOCHS):
        order = rng.permutation(rows)
        for start in range(0, len(order) - size + 1, size):
            asked, given = (side.placed(order[start : start + size]) for side in sides)
            closeness = asked @ given.T * heat.exp()
            loss: Any = cross_entropy(closeness, own[:size])
            loss = loss + cross_entropy(closeness.T, own[:size])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return {
        f"{name}.{key}": array
        for name, side in zip(("question", "answer"), sides, strict=True)
        for key, array in side.arrays().items()
    }


class _Side:
    """What is learnt for questions or for answers: a weight a token, directions of the sum."""

    def __init__(self, texts: Encoded, others: Encoded) -> None:
        import torch

        self._texts, self._embedding = texts, torch.tensor(shared_encoder().embedding)
        columns = np.concatenate([texts.bag.indices, others.bag.indices])
        seen = np.bincount(columns, minlength=VOCABULARY)
        rarity = np.log((1 + 2 * texts.bag.shape[0]) / (1 + seen))
        self.weights = torch.tensor(rarity / rarity.mean(), dtype=torch.float32, requires_grad=True)
        mean = np.concatenate([texts.mean, others.mean]).astype(np.float64)
        mean -= mean.mean(axis=0)
        top = np.linalg.eigh(mean.T @ mean)[1][:, ::-1][:, :DIRECTIONS]
        self.directions = torch.tensor(top.copy(), dtype=torch.float32, requires_grad=True)

    def placed(self, rows: NDArray[np.int64]) -> Any:
        """(rows, DIRECTIONS) of length 1, from the first READ tokens of each text."""
        import torch
        from torch.nn.functional import embedding_bag, normalize

        ids, starts = self._texts.ids, self._texts.starts
        parts = [ids[starts[i] : min(starts[i + 1], starts[i] + READ)] for i in rows]
        offsets = np.cumsum([0, *map(len, parts[:-1])])
        tokens = torch.tensor(np.concatenate(parts).astype(np.int64))
        weights = self.weights[tokens].clamp(min=0)
        summed = embedding_bag(
            tokens, self._embedding, torch.tensor(offsets), mode="sum", per_sample_weights=weights
        )
        return normalize(summed @ self.directions, dim=1)

    def arrays(self) -> Weights:
        weights = self.weights.detach().clamp(min=0).numpy()
        directions = self.directions.detach().numpy()
        arrays = {"token_weights": weights, "directions": directions}
        return {name: array.astype(np.float16) for name, array in arrays.items()}


def measure(scorer: RelevanceScorer, own: Mapping[str, Turns]) -> dict[str, Any]:
    """By source: shares below 2 of own and of swapped answers, and how often an own answer scores
    above a swapped one, beside the plain cosine of the mean static embeddings."""
    figures: dict[str, Any] = {"revision": scorer.revision}
    for name, turns in own.items():
        mine, other = (_scores(scorer, one) for one in (turns, swap(turns)))
        cosines = [_plain(*encoded(one)) for one in (turns, swap(turns))]
        figures[name] = {
            "turns": len(turns),
            "own below 2": round(float((mine < 2).mean()), 3),
            "swapped below 2": round(float((other < 2).mean()), 3),
            "own above swapped": _above(mine, other),
            "plain cosine": _above(*cosines),
        }
    return figures


def _scores(scorer: RelevanceScorer, turns: Turns) -> F32:
    return scorer.score([TurnText(*turn) for turn in turns]).scores


def _plain(question: Encoded, answer: Encoded) -> F32:
    norms = np.linalg.norm(question.mean, axis=1) * np.linalg.norm(answer.mean, axis=1)
    return np.asarray((question.mean * answer.mean).sum(axis=1) / np.maximum(norms, 1e-9))


def _above(mine: F32, other: F32) -> float:
    """The share of all pairs (own, swapped) in order, a tie counting half (Mann and Whitney)."""
    from scipy.stats import mannwhitneyu

    return round(float(mannwhitneyu(mine, other).statistic / len(mine) / len(other)), 3)


if __name__ == "__main__":
    main()
