"""Complexity and quality by a language model that was trained to answer with a score.

The released Deita scorers, and any causal language model of `transformers` like them: the prompt
ends in a cue ("##Complexity: "), and the score is the expectation over the probabilities of the
tokens 1 to 6 that may follow (arXiv 2312.15685). One pass over the prompt; nothing is generated.

NaN with a reason: a turn with nothing to judge, one that does not fit the memory even alone, and
one where the model's numbers are not finite or leave the six tokens next to no probability. On a
CPU a score depends on its turn alone, to the last bit; on a GPU the batch moves its last digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ModelError
from deita_core.models.batches import first_budget
from deita_core.models.device import pick_device
from deita_core.models.language_model import check_max_tokens
from deita_core.models.options import ModelOptions, Parameters
from deita_core.scoring.llm.prompts import (
    DEITA,
    LEAST_MASS,
    TEMPLATE,
    Prompt,
    PromptTokenizer,
    expected_scores,
    mass_on_scores,
    prompt_of,
    too_little_mass,
)
from deita_core.scoring.llm.replicas import run_on, shared_replica
from deita_core.scoring.protocol import (
    DIMENSIONS,
    NOT_FINITE,
    Dimension,
    ScoreBatch,
    TurnText,
    score_scorable,
)

DEITA_TOKENS = 2048  # what the released scorers were trained on
# The first texts are few, so that the model starts at once; then as many as sort well by length.
FIRST_WINDOW, WINDOW = 64, 2048


class LLMScorer:
    """Scores turns 1 to 6 with a causal language model; see `Scorer` and the module's text.

    id: the hub name of a released Deita scorer; else "llm:", then the folder or hub name.
    For one thread at a time; hand it hundreds of turns at once, they are sorted by length inside.
    """

    def __init__(
        self,
        model_name_or_path: str | Path,
        dimension: Dimension | None = None,
        *,
        options: ModelOptions | None = None,
        devices: Sequence[str] | None = None,
        least_mass: float = LEAST_MASS,
    ) -> None:
        """Loads the model, on each device once.

        model_name_or_path: a local folder, or a model on the hub. dimension: what `score` gives;
        None: that of a released Deita scorer, else only `complexity` and `quality` are to be had.
        options: max_tokens is the model's context unless given, 2,048 for the released scorers.
        devices: several to share the work; default: `options.device`, or all GPUs. least_mass: a
        row with less probability than this on the tokens 1 to 6 gets a reason, not a score (0:
        never). Raises ModelError.
        """
        self._name = str(model_name_or_path)
        self._dimension = _dimension(self._name, dimension)
        options = options or ModelOptions()
        self._replicas = [
            shared_replica(self._name, options.precision, device)
            for device in devices or _devices(options)
        ]
        if options.batch_tokens is not None:
            for replica in self._replicas:
                replica.budget = first_budget(replica.model.device, options.batch_tokens)
        model = self._replicas[0].model
        check_max_tokens(self._name, options.max_tokens, model.limit)
        released = self._name in DEITA.values()
        usual = min(model.limit, DEITA_TOKENS) if released else model.limit
        self._tokenizer = PromptTokenizer(model.tokenizer, options.max_tokens or usual)
        self._digits = {d: self._tokenizer.score_tokens(d) for d in DIMENSIONS}
        if not 0 <= least_mass <= 1:
            raise ModelError(f"least_mass is a probability, 0 to 1, got {least_mass}")
        self._least_mass = least_mass
        self.id = model.name if model.name in DEITA.values() else f"llm:{model.name}"
        self.revision = model.revision
        self.parameters: Parameters = {
            "precision": model.precision,
            "max_tokens": self._tokenizer.max_tokens,
            "template": TEMPLATE,
            "least_mass": least_mass,
        }

    @property
    def dimension(self) -> Dimension:
        """complexity or quality; ModelError when neither was chosen."""
        if self._dimension is None:
            raise ModelError(
                f"{self._name} may score complexity or quality: name the dimension, as in "
                'LLMScorer(name, "complexity")'
            )
        return self._dimension

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """Scores in the order of `turns`; NaN with a reason where there is none."""
        dimension = self.dimension

        def scored(good: Sequence[TurnText]) -> ScoreBatch:
            return self._score(dimension, [prompt_of(dimension, turn) for turn in good])

        return score_scorable(dimension, turns, scored)

    def complexity(self, instructions: Sequence[str]) -> NDArray[np.float32]:
        """Complexity of each instruction, (n,) float32 in [1, 6]. Every text is scored, as the
        reference does, even an empty one; ModelError where the model gave one of them no score."""
        return self._of_texts("complexity", [(text,) for text in instructions])

    def quality(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Quality of each (instruction, response), (n,) float32; see `complexity`."""
        return self._of_texts("quality", pairs)

    def _of_texts(
        self, dimension: Dimension, bodies: Sequence[tuple[str, ...]]
    ) -> NDArray[np.float32]:
        _dimension(self._name, dimension)
        batch = self._score(dimension, [Prompt(dimension, texts) for texts in bodies])
        failed = [place for place, reason in enumerate(batch.reasons) if reason is not None]
        if failed:
            raise ModelError(
                f"{self._name} gave {len(failed):,} of {len(bodies):,} texts no {dimension}, first "
                f"text {failed[0]}: {batch.reasons[failed[0]]}; use a model that was trained to "
                "score, or `score`, which gives each turn its score or its reason"
            )
        return batch.scores

    def _score(self, dimension: Dimension, prompts: Sequence[Prompt]) -> ScoreBatch:
        logits, truncated, reasons = self._answers(dimension, prompts)
        scores = np.asarray(expected_scores(logits[:, :6]), np.float32)
        mass = mass_on_scores(logits[:, :6], logits[:, 6])
        for row in np.flatnonzero(~(mass >= self._least_mass) | np.isnan(scores)).tolist():
            finite = not (np.isnan(scores[row]) or np.isnan(mass[row]))
            fault = too_little_mass(self._least_mass) if finite else NOT_FINITE
            reasons[row] = reasons[row] or fault
            scores[row] = np.nan
        return ScoreBatch(scores, tuple(reasons), mass, truncated)

    def _answers(
        self, dimension: Dimension, prompts: Sequence[Prompt]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[str | None]]:
        """(n, 7) logits as `Replica.logits` gives them, which prompts were cut, why a row is NaN.

        The next window is tokenized while the model has this one. A thread does it, not a process:
        the tokenizers library is native code that lets Python go on, and nothing has to be copied.
        """
        count, encode = len(prompts), self._tokenizer.encode
        logits = np.full((count, 7), np.nan, np.float32)
        truncated = np.zeros(count, np.bool_)
        reasons: list[str | None] = [None] * count
        starts = range(FIRST_WINDOW, count, WINDOW * len(self._replicas))
        with ThreadPoolExecutor(1) as ahead:
            start, encoding = 0, ahead.submit(encode, prompts[:FIRST_WINDOW])
            for end, following in pairwise([*starts, count, count]):
                encoded = encoding.result()
                encoding = ahead.submit(encode, prompts[end:following])
                out, digits = logits[start:end], self._digits[dimension]
                for row, reason in run_on(self._replicas, encoded.ids, digits, out).items():
                    reasons[start + row] = reason
                truncated[start:end] = encoded.truncated
                start = end
        return logits, truncated, reasons


def _dimension(name: str, wanted: Dimension | None) -> Dimension | None:
    """What the scorer gives: as wanted, or what a released Deita scorer was trained for."""
    if wanted is not None and wanted not in DIMENSIONS:
        raise ModelError(f"dimension must be one of {DIMENSIONS}, got {wanted!r}")
    own = next((d for d, preset in DEITA.items() if preset == name), None)
    if own and wanted and own != wanted:
        raise ModelError(f"{name} scores {own}, not {wanted}: use {DEITA[wanted]}")
    return wanted or own


def _devices(options: ModelOptions) -> list[str]:
    """The device chosen, or every GPU, or what else there is."""
    if options.device is not None:
        return [options.device]
    kind = pick_device().kind
    if kind != "cuda":
        return [kind]
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
