"""Baselines by any causal language model: perplexity and IFD of a turn's response.

Perplexity (the paper's baseline for complexity, arXiv 2312.15685): that of the response after
its instruction, exp(loss). The higher, the less the model expected the response.

IFD, instruction-following difficulty (Li et al. 2023, arXiv 2308.12032): how much the
instruction helps to foresee the response, perplexity with it / perplexity without it. Near 1 (or
above) it does not help. The paper divides the losses, its later form the perplexities
(Superfiltering, arXiv 2402.00530) as does this; the exponential of a difference keeps a short,
easy response from dividing by nearly nothing.

A conversation of several turns: each turn by itself, its response given its own instruction and
nothing before it, as the paper's scorers see turns. What the loss is: `response_loss`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ModelError
from deita_core.language_models.load import load_language_model
from deita_core.scoring.options import ModelOptions
from deita_core.scoring.prompts import reason_against
from deita_core.scoring.protocol import Dimension, ScoreBatch, TurnText
from deita_core.scoring.response_loss import Pair, logits_budget, mean_losses, pair_of

Measure = Literal["perplexity", "ifd"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
MAX_TOKENS = 2048


class LossScorer:
    """Perplexity or IFD of each response; the range is open, from 0 up.

    Use one instance from one thread at a time, and hand it many turns at once: they are sorted
    by length inside.
    """

    def __init__(
        self,
        name: str,
        measure: Measure,
        dimension: Dimension,
        options: ModelOptions | None = None,
    ) -> None:
        """Loads the model: a local folder, or the name of one on the hub. Raises ModelError."""
        if measure not in MEASURES:
            raise ModelError(f"measure must be {' or '.join(MEASURES)}, got {measure!r}")
        if not name:
            raise ModelError(f"{measure}: needs a folder or the name of a model on the hub")
        options = options or ModelOptions()
        self._measure = measure
        self._dimension: Dimension = dimension
        self._model = load_language_model(name, precision=options.precision, device=options.device)
        self._limit = min(self._model.limit, options.max_tokens or MAX_TOKENS)
        self._budget = logits_budget(self._model, options.batch_tokens)

    @property
    def dimension(self) -> Dimension:
        """The dimension it stands in for; it is the same number in both."""
        return self._dimension

    @property
    def id(self) -> str:
        """The name that loads it again: "perplexity:" or "ifd:", then the folder or hub name."""
        return f"{self._measure}:{self._model.name}"

    @property
    def revision(self) -> str:
        """The hub's commit, or a hash of the folder."""
        return self._model.revision

    @property
    def parameters(self) -> Mapping[str, str | int | float | bool]:
        """precision, max_tokens."""
        return {"precision": self._model.precision, "max_tokens": self._limit}

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """Scores in the order of `turns`; NaN with a reason where there is no response."""
        reasons = [reason_against("quality", turn) for turn in turns]
        pairs: list[Pair | None] = []
        for place, turn in enumerate(turns):
            pair = None if reasons[place] else pair_of(turn, self._model, self._limit)
            if pair is None and reasons[place] is None:
                reasons[place] = "the response has too few tokens to be scored"
            pairs.append(pair)
        found = [place for place, pair in enumerate(pairs) if pair is not None]
        scores = np.full(len(turns), np.nan, np.float32)
        scores[found], failed = self._scores([pair for pair in pairs if pair is not None])
        for place, reason in zip(found, failed, strict=True):
            reasons[place] = reason
        cut = np.array([pair is not None and pair.truncated for pair in pairs], np.bool_)
        return ScoreBatch(scores, tuple(reasons), truncated=cut)

    def _scores(self, pairs: Sequence[Pair]) -> tuple[NDArray[np.float32], list[str | None]]:
        """The measure of each pair, and why it is NaN where it is."""
        count = len(pairs)
        passages = [pair.conditioned for pair in pairs]
        if self._measure == "ifd":
            passages += [pair.alone for pair in pairs]
        losses, failed = mean_losses(passages, self._model, self._budget)
        exponent = losses if self._measure == "perplexity" else losses[:count] - losses[count:]
        with np.errstate(over="ignore"):
            scores = np.exp(exponent).astype(np.float32)
        bad = ~np.isfinite(scores)
        scores[bad] = np.nan
        said = [failed.get(n) or failed.get(n + count) for n in range(count)]
        return scores, [
            (known or "the model gave a number that is not finite") if wrong else None
            for known, wrong in zip(said, bad.tolist(), strict=True)
        ]
