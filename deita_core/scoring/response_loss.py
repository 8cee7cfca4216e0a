"""How surprising a response is to a language model: its loss, with the instruction and without.

    with      <s> instruction, a line end, response
    without   <s> response

The loss is the mean of -log p over the tokens of the response. These are the same tokens in both
texts, because instruction and response are made into tokens apart. <s> is the token that opens a
text of the model (or, without one, the token that ends it); with neither, the first token of
the response is left out of the mean in both, because nothing precedes it in the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_core.language_models.load import LanguageModel
from deita_core.language_models.token_batches import TokenBudget, padded, run_longest_first
from deita_core.scoring.protocol import TurnText

# Numbers held at once as logits: tokens of a batch x vocabulary.
CPU_LOGITS, GPU_LOGITS = 1 << 27, 1 << 30


@dataclass(frozen=True, slots=True)
class Passage:
    """ids: tokens of a text. scored: from this place on, at least 1, they count for the loss."""

    ids: list[int]
    scored: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A turn as two texts: the response after the instruction, and alone. truncated: was cut."""

    conditioned: Passage
    alone: Passage
    truncated: bool


def logits_budget(model: LanguageModel, most: int | None = None) -> TokenBudget:
    """Tokens of a batch whose logits fit beside the model; `most` bounds it."""
    cells = GPU_LOGITS if model.device.startswith("cuda") else CPU_LOGITS
    vocabulary = int(model.network.config.get_text_config().vocab_size)
    return TokenBudget(max(1, min(cells // vocabulary, most or cells)))


def pair_of(turn: TurnText, model: LanguageModel, limit: int) -> Pair | None:
    """The two texts of a turn, or None when its response has no token to be scored.

    Too long for `limit` tokens: the response loses its end, down to half the room, then the
    instruction its end; both texts lose the same tokens of the response.
    """
    start = [] if model.start is None else [model.start]
    room = limit - len(start)
    prompt = _tokens(model, f"{turn.instruction}\n")
    response = _tokens(model, turn.response or "")
    whole = len(prompt) + len(response)
    if whole > room:
        response = response[: room - min(len(prompt), room // 2)]
        prompt = prompt[: room - len(response)]
    first = 0 if start else 1
    if len(response) <= first:
        return None
    conditioned = Passage([*start, *prompt, *response], len(start) + len(prompt) + first)
    return Pair(conditioned, Passage([*start, *response], 1), whole > room)


def _tokens(model: LanguageModel, text: str) -> list[int]:
    # Half of a surrogate pair cannot be encoded, and the tokenizer would refuse the text.
    clean = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return list(model.tokenizer(clean, add_special_tokens=False, verbose=False).input_ids)


def mean_losses(
    passages: Sequence[Passage], model: LanguageModel, budget: TokenBudget
) -> tuple[NDArray[np.float64], dict[int, str]]:
    """Mean -log p of the scored tokens of each passage, (n,) float64 in nats.

    NaN where it failed; the second result says why, where it is known.
    """
    losses = np.full(len(passages), np.nan)

    def run(rows: list[int]) -> None:
        losses[rows] = _batch_losses([passages[row] for row in rows], model)

    lengths = [len(passage.ids) for passage in passages]
    return losses, run_longest_first(lengths, budget, run)


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
