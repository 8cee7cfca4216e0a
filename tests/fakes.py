"""Fake models for tests: small, exact, and loadable by a worker as "tests.fakes:name"."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from deita_core.embedding.protocol import EmbeddingBatch
from deita_core.errors import ModelError
from deita_core.scoring.protocol import Dimension, ScoreBatch, Scorer, TurnText


class LengthScorer:
    """1 + length of the instruction modulo 5; quality of a missing response is a reason."""

    id = "tests/length"
    revision = "1"
    parameters: Mapping[str, str | int | float | bool] = {}

    def __init__(self, dimension: Dimension) -> None:
        self.dimension = dimension

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """A score for every turn that has what the dimension needs."""
        scores, reasons = [], []
        for turn in turns:
            missing = self.dimension == "quality" and turn.response is None
            scores.append(np.nan if missing else 1.0 + len(turn.instruction) % 5)
            reasons.append("no response" if missing else None)
        return ScoreBatch(np.array(scores, np.float32), tuple(reasons))


class SlowScorer(LengthScorer):
    """Takes DEITA_TEST_DELAY seconds a batch, and kills its own process if told to.

    Once, or in the second batch of every process.
    """

    batches = 0

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """As LengthScorer, later."""
        time.sleep(float(os.environ.get("DEITA_TEST_DELAY", "0.3")))
        marker = os.environ.get("DEITA_TEST_KILL_ONCE")
        if marker and self.dimension == "quality" and len(_count(marker)) == 2:
            os.kill(os.getpid(), 9)
        SlowScorer.batches += 1
        if os.environ.get("DEITA_TEST_KILL_EACH") and SlowScorer.batches == 2:
            os.kill(os.getpid(), 9)
        return super().score(turns)


def _count(marker: str) -> str:
    """One letter more in the file each time; the whole of it."""
    path = Path(marker)
    text = (path.read_text() if path.exists() else "") + "x"
    path.write_text(text)
    return text


def broken_scorer(dimension: Dimension) -> LengthScorer:
    """Cannot be loaded."""
    raise ModelError(f"no weights for {dimension}: put them there")


def loading_scorer(dimension: Dimension) -> LengthScorer:
    """A scorer whose weights take minutes to load."""
    time.sleep(300)
    return LengthScorer(dimension)


class HashEmbedder:
    """Eight numbers from the text's bytes; deterministic, equal texts are equal."""

    id = "tests/hash"
    revision = "1"
    dimension = 8
    parameters: Mapping[str, str | int | float | bool] = {"max_tokens": 4}

    def embed(self, texts: Sequence[str]) -> EmbeddingBatch:
        """Vectors of length one; an empty text has a reason."""
        vectors = np.empty((len(texts), 8), np.float32)
        for place, text in enumerate(texts):
            seed = np.random.default_rng(list(text.encode()) or [0])
            vectors[place] = seed.normal(size=8) if text else np.nan
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        tokens = np.array([len(t.split()) for t in texts], np.int32)
        reasons = tuple(None if text else "empty text" for text in texts)
        return EmbeddingBatch(vectors, tokens, tokens > 4, reasons)


class MassScorer(LengthScorer):
    """As LengthScorer, with DEITA_TEST_MASS on the digits; every tenth turn is cut."""

    id = "tests/mass"

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """As LengthScorer, with its health."""
        found = super().score(turns)
        mass = np.full(len(turns), float(os.environ.get("DEITA_TEST_MASS", "0.98")), np.float32)
        cut = np.array([turn.instruction.endswith("0") for turn in turns], np.bool_)
        return ScoreBatch(found.scores, found.reasons, mass, cut)


class SmallScorer(LengthScorer):
    """Has no memory for more than two turns at once, nor for one longer than 100 characters."""

    id = "tests/small"

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """As LengthScorer, where it fits."""
        if len(turns) > 2 or any(len(turn.instruction) > 100 for turn in turns):
            raise RuntimeError("CUDA out of memory. Tried to allocate more than there is")
        return super().score(turns)


def hungry_scorer(dimension: Dimension) -> LengthScorer:
    """Its weights take more memory than DEITA_TEST_MEMORY lets its process have."""
    if most := os.environ.get("DEITA_TEST_MEMORY"):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (int(most), int(most)))
        np.ones(int(most), np.uint8)
    return LengthScorer(dimension)


def remote_scorer(dimension: Dimension) -> Scorer:
    """The endpoint scorer at DEITA_TEST_ENDPOINT, without long waits."""
    from deita_core.models import pace
    from deita_core.models.options import ModelOptions
    from deita_core.scoring.llm.endpoint import EndpointScorer

    pace.FIRST_WAIT = 0.01
    options = ModelOptions(requests=4, attempts=2, timeout=2.0)
    return EndpointScorer("m", os.environ["DEITA_TEST_ENDPOINT"], dimension, options)
