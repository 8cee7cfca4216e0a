"""Baselines to compare other scorers with: lengths and chance, perplexity and IFD.

The paper compares its scorers with the length of the instruction and the perplexity (for
complexity), the length of the response (for quality) and a random choice (arXiv 2312.15685).
Lengths are in characters (Unicode code points), so no tokenizer decides them.

Perplexity and IFD come from any causal language model: how surprising is the response to it, with
the instruction and without?

    with      <s> instruction, a line end, response
    without   <s> response

The loss is the mean of -log p over the tokens of the response. These are the same tokens in both
texts, because instruction and response are made into tokens apart. <s> is the token that opens a
text of the model (or, without one, the token that ends it); with neither, the first token of
the response is left out of the mean in both, because nothing precedes it in the second.

Perplexity is exp(loss with). IFD, instruction-following difficulty (Li et al. 2023, arXiv
2308.12032), is perplexity with / perplexity without: near 1 or above, the instruction does not help
to foresee the response. The paper divides the losses, its later form the perplexities
(Superfiltering, arXiv 2402.00530) as does this; the exponential of a difference keeps a short,
easy response from dividing by nearly nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from deita_core.errors import ModelError
from deita_core.models.batches import TokenBudget, first_budget, padded, run_longest_first
from deita_core.models.language_model import LanguageModel, load_language_model
from deita_core.models.options import ModelOptions, Parameters
from deita_core.scoring.protocol import NOT_FINITE, Dimension, ScoreBatch, TurnText, score_scorable

NO_RESPONSE, TOO_SHORT = "no response", "the response has too few tokens to be scored"


class LengthScorer:
    """ "instruction-length" or "response-length", in characters; its range is open.

    A response without a text has length 0, a turn without a response has none.
    """

    revision = "1"

    def __init__(self, name: str, dimension: Dimension) -> None:
        self.id = name
        self.dimension: Dimension = dimension
        self.parameters: Parameters = {"unit": "characters"}

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """Lengths; NaN with a reason where a response is asked for and there is none."""
        of_instruction = self.id == "instruction-length"
        texts = [turn.instruction if of_instruction else turn.response for turn in turns]
        scores = np.array([np.nan if t is None else len(t) for t in texts], np.float32)
        return ScoreBatch(scores, tuple(NO_RESPONSE if t is None else None for t in texts))


class RandomScorer:
    """A number in [1, 6) drawn for each turn from a seed and its content; "random:SEED".

    Twins get the same number. The numbers of the two dimensions are independent.
    """

    revision = "1"

    def __init__(self, seed: str, dimension: Dimension) -> None:
        """seed: as it stands in the name; ModelError when it is no whole number."""
        if not seed.isdecimal():
            raise ModelError(f"random: takes a whole number as its seed, got {seed!r}")
        self._seed = int(seed)
        self.dimension: Dimension = dimension
        self.id = f"random:{self._seed}"
        self.parameters: Parameters = {"seed": self._seed}

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """A number for every turn; none fails."""
        scores = np.array([1 + 5 * self._uniform(turn) for turn in turns], np.float32)
        # A number just below 6 must not be rounded up to it.
        return ScoreBatch(np.minimum(scores, np.nextafter(np.float32(6), 0)), (None,) * len(turns))

    def _uniform(self, turn: TurnText) -> float:
        """In [0, 1)."""
        content = repr((self._seed, self.dimension, turn.instruction, turn.response))
        digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


# Numbers held at once as logits: tokens x vocabulary.
LOGITS = 1 << 30


@dataclass(frozen=True, slots=True)
class Passage:
    """ids: tokens of a text. scored: from this place on, at least 1, they count for the loss."""

    ids: list[int]
    scored: int

    @property
    def length(self) -> int:
        """How many tokens the model has to read: none when none counts."""
        return len(self.ids) if self.scored < len(self.ids) else 0


def passages_of(turn: TurnText, model: LanguageModel, limit: int) -> tuple[Passage, Passage, bool]:
    """The response after its instruction, and alone; and whether the turn was cut.

    Too long for `limit` tokens: the response loses its end, down to half the room, then the
    instruction its end; both texts lose the same tokens of the response.
    """
    start = [] if model.start is None else [model.start]
    room = limit - len(start)
    prompt = model.tokens(f"{turn.instruction}\n", marked=False)
    response = model.tokens(turn.response or "", marked=False)
    whole = len(prompt) + len(response)
    if whole > room:
        response = response[: room - min(len(prompt), room // 2)]
        prompt = prompt[: room - len(response)]
    before = [*start, *prompt]
    conditioned = Passage([*before, *response], len(before) + (0 if start else 1))
    return conditioned, Passage([*start, *response], 1), whole > room and conditioned.length > 0


def _batch_losses(passages: Sequence[Passage], model: LanguageModel) -> list[float]:
    import torch

    ids = padded([p.ids for p in passages], range(len(passages)), model.filler)  # (B, T)
    ids = ids.to(model.device)
    found = []
    with torch.inference_mode():
        logits = model.network(input_ids=ids, use_cache=False).logits  # (B, T, V)
        for row, passage in enumerate(passages):
            end = len(passage.ids)
            # The logits at one place are those of the token at the next.
            predicted = logits[row, passage.scored - 1 : end - 1].float()  # (S, V)
            loss = torch.nn.functional.cross_entropy(predicted, ids[row, passage.scored : end])
            found.append(float(loss))
    return found


def _budget(device: str, wanted: int | None, vocabulary: int, limit: int) -> TokenBudget:
    budget, most = first_budget(device, wanted), LOGITS // vocabulary
    if budget.tokens is None:
        return TokenBudget(None, at_once=max(1, most // limit))
    return TokenBudget(max(1, min(most, budget.tokens)))


Measure = Literal["perplexity", "ifd"]
MAX_TOKENS = 2048


class LossScorer:
    """Perplexity or IFD of each response; the range is open, from 0 up.

    Its id is the name that loads it again: "perplexity:" or "ifd:", then the folder or hub name.
    For one thread at a time; hand it many turns at once, they are sorted by length inside.
    """

    def __init__(
        self,
        name: str,
        measure: Measure,
        dimension: Dimension,
        options: ModelOptions | None = None,
    ) -> None:
        """Loads the model: a local folder, or the name of one on the hub. Raises ModelError."""
        if not name:
            raise ModelError(f"{measure}: needs a folder or the name of a model on the hub")
        options = options or ModelOptions()
        self._measure = measure
        self.dimension: Dimension = dimension
        self._model = load_language_model(name, precision=options.precision, device=options.device)
        self._limit = min(self._model.limit, options.max_tokens or MAX_TOKENS)
        self.id = f"{measure}:{self._model.name}"
        self.revision = self._model.revision
        self.parameters: Parameters = {
            "precision": self._model.precision,
            "max_tokens": self._limit,
        }
        vocabulary = int(self._model.network.config.get_text_config().vocab_size)
        self._budget = _budget(self._model.device, options.batch_tokens, vocabulary, self._limit)

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """Scores in the order of `turns`; NaN with a reason where there is no response."""
        return score_scorable("quality", turns, self._scored)

    def _scored(self, turns: Sequence[TurnText]) -> ScoreBatch:
        count, found = len(turns), [passages_of(turn, self._model, self._limit) for turn in turns]
        passages = [conditioned for conditioned, _, _ in found]
        if self._measure == "ifd":
            passages += [alone for _, alone, _ in found]
        losses = np.full(len(passages), np.nan)  # mean -log p of the scored tokens, in nats

        def run(rows: list[int]) -> None:
            losses[rows] = _batch_losses([passages[row] for row in rows], self._model)

        failed = run_longest_first([p.length for p in passages], self._budget, run)
        exponent = losses if self._measure == "perplexity" else losses[:count] - losses[count:]
        with np.errstate(over="ignore"):
            scores = np.exp(exponent).astype(np.float32)
        scores[~np.isfinite(scores)] = np.nan
        reasons: list[str | None] = [None] * count
        for n in np.flatnonzero(np.isnan(scores)).tolist():
            fault = NOT_FINITE if passages[n].length else TOO_SHORT
            reasons[n] = failed.get(n) or failed.get(n + count) or fault
        truncated = np.array([was_cut for _, _, was_cut in found], np.bool_)
        return ScoreBatch(scores, tuple(reasons), truncated=truncated)
