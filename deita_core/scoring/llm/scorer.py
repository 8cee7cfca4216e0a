"""Complexity and quality by a language model that was trained to answer with a score.

The released Deita scorers, and any causal language model of `transformers` like them: the prompt
ends in a cue ("##Complexity: "), and the score is the expectation over the probabilities of the
tokens 1 to 6 that may follow (arXiv 2312.15685). One pass over the prompt; nothing is generated.

NaN with a reason: a turn with nothing to judge (`why_unscorable`), one that does not fit the memory
even alone, and one where the model's numbers are not finite or leave the six tokens next to no
probability. A text that is too long is cut (the cue never is) and flagged.

A score is not exact to the last bit: the products of a batch are the matrix library's, which adds
up in an order that depends on the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ModelError
from deita_core.models.device import pick_device
from deita_core.models.options import ModelOptions
from deita_core.scoring.llm.prompts import (
    DEITA,
    LEAST_MASS,
    TEMPLATE,
    PromptTokenizer,
    expected_scores,
    mass_on_scores,
    prompt_of,
)
from deita_core.scoring.llm.replicas import answers, shared_replica
from deita_core.scoring.protocol import (
    DIMENSIONS,
    Dimension,
    ScoreBatch,
    TurnText,
    spread_out,
    why_unscorable,
)

DEITA_TOKENS = 2048  # what the released scorers were trained on


class LLMScorer:
    """Scores turns 1 to 6 with a causal language model; see `Scorer` and the module's text.

    Use one instance from one thread at a time, and hand it hundreds of turns at once: they are
    sorted by length inside, and the next ones are tokenized while the model works.
    """

    def __init__(
        self,
        model_name_or_path: str | Path,
        dimension: Dimension | None = None,
        *,
        options: ModelOptions | None = None,
        devices: Sequence[str] | None = None,
        least_mass: float = LEAST_MASS,
        compiled: bool = False,
    ) -> None:
        """Loads the model, on each device once.

        model_name_or_path: a local folder, or a model on the hub. dimension: what `score` gives;
        None: that of a released Deita scorer, else `score` is not to be had (`complexity` and
        `quality` are). options: precision (int8 and int4 for small cards), device, max_tokens
        (default: the model's context, 2,048 for the released scorers), batch_tokens. devices:
        several to share the work; default: `options.device`, or all GPUs. least_mass: a row with
        less probability than this on the tokens 1 to 6 gets a reason, not a score (0: never).
        compiled: use torch.compile. Raises ModelError.
        """
        self._name = str(model_name_or_path)
        self._dimension = _dimension(self._name, dimension)
        options = options or ModelOptions()
        self._replicas = [
            shared_replica(self._name, options.precision, device, compiled=compiled)
            for device in devices or _devices(options)
        ]
        if options.batch_tokens is not None:
            for replica in self._replicas:
                replica.budget.tokens = options.batch_tokens
        self._model = self._replicas[0].model
        limit = self._limit(options.max_tokens)
        self._tokenizer = PromptTokenizer(self._model.tokenizer, limit)
        self._digits = {d: self._tokenizer.score_tokens(d) for d in DIMENSIONS}
        if not 0 <= least_mass <= 1:
            raise ModelError(f"least_mass is a probability, 0 to 1, got {least_mass}")
        self._least_mass = least_mass

    @property
    def dimension(self) -> Dimension:
        """complexity or quality; ModelError when neither was chosen."""
        if self._dimension is None:
            raise ModelError(
                f"{self._name} may score complexity or quality: name the dimension, as in "
                'LLMScorer(name, "complexity")'
            )
        return self._dimension

    @property
    def id(self) -> str:
        """The hub name of a released Deita scorer; else "llm:", then the folder or hub name."""
        name = self._model.name
        return name if name in DEITA.values() else f"llm:{name}"

    @property
    def revision(self) -> str:
        """The hub's commit, or a hash of the folder."""
        return self._model.revision

    @property
    def parameters(self) -> Mapping[str, str | int | float | bool]:
        """precision, max_tokens, template, least_mass."""
        return {
            "precision": self._model.precision,
            "max_tokens": self._tokenizer.max_tokens,
            "template": TEMPLATE,
            "least_mass": self._least_mass,
        }

    @property
    def rows_at_once(self) -> int:
        """How many conversations a batch of a job has: some seconds of work."""
        return 64 if self._model.device == "cpu" else 2048 * len(self._replicas)

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """Scores in the order of `turns`; NaN with a reason where there is none."""
        dimension = self.dimension
        reasons = [why_unscorable(dimension, turn) for turn in turns]
        good = [turn for turn, reason in zip(turns, reasons, strict=True) if reason is None]
        bodies = [prompt_of(dimension, turn).bodies for turn in good]
        return spread_out(reasons, self._score(dimension, bodies))

    def complexity(self, instructions: Sequence[str]) -> NDArray[np.float32]:
        """Complexity of each instruction, (n,) float32; NaN where the model gave none.

        Every text is scored, as the reference does, even an empty one.
        """
        self._check("complexity")
        return self._score("complexity", [(text,) for text in instructions]).scores

    def quality(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Quality of each (instruction, response), (n,) float32; see `complexity`."""
        self._check("quality")
        return self._score("quality", pairs).scores

    def _score(self, dimension: Dimension, bodies: Sequence[Sequence[str]]) -> ScoreBatch:
        digits = self._digits[dimension]
        found = answers(self._replicas, self._tokenizer, dimension, digits, bodies)
        scores = np.asarray(expected_scores(found.logits[:, :6]), np.float32)
        mass = mass_on_scores(found.logits[:, :6], found.logits[:, 6])
        reasons = [found.reasons.get(row) for row in range(len(bodies))]
        for row in np.flatnonzero(~(mass >= self._least_mass) | np.isnan(scores)).tolist():
            broken = bool(np.isnan(scores[row]) or np.isnan(mass[row]))
            reasons[row] = reasons[row] or self._fault(broken)
            scores[row] = np.nan
        return ScoreBatch(scores, tuple(reasons), mass, found.truncated)

    def _fault(self, broken: bool) -> str:
        if broken:
            return "the model gave a number that is not finite"
        return f"less than {self._least_mass:g} of the probability is on the scores 1 to 6"

    def _limit(self, wanted: int | None) -> int:
        context = self._model.limit
        if wanted is not None and wanted > context:
            raise ModelError(
                f"max_tokens is {wanted:,}, but {self._name} reads at most {context:,} tokens"
            )
        return wanted or (min(context, DEITA_TOKENS) if self._name in DEITA.values() else context)

    def _check(self, dimension: Dimension) -> None:
        if self._name in DEITA.values() and dimension != self._dimension:
            raise ModelError(f"{self._name} scores {self._dimension}, not {dimension}")


def _dimension(name: str, wanted: Dimension | None) -> Dimension | None:
    """What the scorer gives: as wanted, or what a released Deita scorer was trained for."""
    if wanted is not None and wanted not in DIMENSIONS:
        raise ModelError(f"dimension must be one of {DIMENSIONS}, got {wanted!r}")
    own = next((dimension for dimension, preset in DEITA.items() if preset == name), None)
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
