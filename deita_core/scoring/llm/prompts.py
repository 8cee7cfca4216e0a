"""The prompts of the released Deita scorers, as text and as tokens, and their answer as a score.

Both prompts are the reference's (hkust-nlp/deita), letter by letter, its odd spaces included. One
that is too long loses the end of its texts, never of its fixed parts: the cue at the end
("##Quality: ") is what makes the next token a score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import without_surrogates
from deita_core.errors import ModelError
from deita_core.scoring.protocol import DIMENSIONS, Dimension, TurnText

# Below this a prompt shows too little of its text to be worth a score.
LEAST_BODY = 16
# No tokenizer packs more characters into a token on average; longer texts are cut before they
# are tokenized, so that a book costs no more than a chapter.
CHARACTERS_A_TOKEN = 32
# With less probability than this on the digits, the answer is no score.
LEAST_MASS = 0.01
DIGITS = ("1", "2", "3", "4", "5", "6")
# What stands before, between and behind the texts, of which there are one or two.
FIXED_PARTS: Mapping[Dimension, tuple[str, ...]] = {
    "complexity": (
        "You are a helpful assistant. Please identify the complexity score of the following user "
        "query. \n##Query: ",
        "  \n##Complexity: ",
    ),
    "quality": (
        "You are a helpful assistant. Please identify the quality score of the Response "
        "corresponding to the Question. \n #Question#:\n",
        "\n#Response#:\n",
        " \n##Quality: ",
    ),
}
# Recorded beside each score: other words would be another scorer.
TEMPLATE = "deita-1"
# The released scorers, a model for each dimension.
DEITA: Mapping[Dimension, str] = {
    "complexity": "hkust-nlp/deita-complexity-scorer",
    "quality": "hkust-nlp/deita-quality-scorer",
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model reads. bodies: instruction, and for quality response; only they may be cut."""

    dimension: Dimension
    bodies: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole prompt."""
        head, *tails = FIXED_PARTS[self.dimension]
        return head + "".join(b + tail for b, tail in zip(self.bodies, tails, strict=True))

    def shortened(self, share: float) -> Prompt:
        """About that share of the length, at the cost of the longer bodies' ends."""
        room = int(len(self.text) * share) - sum(map(len, FIXED_PARTS[self.dimension]))
        kept = shares([len(body) for body in self.bodies], room)
        cut = tuple(body[:keep] for body, keep in zip(self.bodies, kept, strict=True))
        return Prompt(self.dimension, cut)


def prompt_of(dimension: Dimension, turn: TurnText) -> Prompt:
    """The prompt for a turn that has what the dimension needs (see `why_unscorable`)."""
    if dimension == "complexity":
        return Prompt(dimension, (turn.instruction,))
    return Prompt(dimension, (turn.instruction, turn.response or ""))


def shares(lengths: Sequence[int], room: int) -> list[int]:
    """How much of each length fits into `room` when the longest are cut first.

    >>> shares([10, 100], 50)
    [10, 40]
    >>> shares([60, 100], 50)
    [25, 25]
    """
    kept = [0] * len(lengths)
    left = max(0, room)
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    for done, place in enumerate(order):
        kept[place] = min(lengths[place], left // (len(order) - done))
        left -= kept[place]
    return kept


@dataclass(frozen=True, slots=True, eq=False)
class PromptTokens:
    """ids: token ids of n prompts. truncated: (n,) bool, a text was cut."""

    ids: list[list[int]]
    truncated: NDArray[np.bool_]


class PromptTokenizer:
    """Tokenizes prompts as `tokenizer.encode` does, many at a time.

    `tokenizer` must be a fast one (of the `tokenizers` library): it says which token stands for
    which characters, and it lets other threads run. Raises ModelError for one that is not, or when
    `max_tokens` is too few.
    """

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"{type(tokenizer).__name__} does not tell where its tokens stand in the text: "
                f"put a tokenizer.json beside the model"
            )
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self.max_tokens = max_tokens
        fixed = max(len(self._ids("".join(FIXED_PARTS[d]))) for d in DIMENSIONS)
        if max_tokens < fixed + LEAST_BODY:
            raise ModelError(
                f"max_tokens is {max_tokens}, but the prompts alone take up to {fixed} tokens: "
                f"allow at least {fixed + LEAST_BODY}"
            )

    def score_tokens(self, dimension: Dimension) -> tuple[int, ...]:
        """The ids of the tokens 1 to 6, as they follow the cue of the prompt; ModelError, naming
        the digit and its tokens, when one is not a single token."""
        prompt = "".join(FIXED_PARTS[dimension])
        found = tuple(self._score_token(prompt, digit) for digit in DIGITS)
        if len(set(found)) < len(DIGITS):
            raise ModelError(
                f"the tokenizer has one token for several digits: 1 to 6 are {found}; a model "
                f"with this tokenizer cannot give scores 1 to 6"
            )
        return found

    def _score_token(self, prompt: str, digit: str) -> int:
        before, after = self._ids(prompt), self._ids(prompt + digit)
        added = after[len(before) :]
        # A tokenizer that would join the blank and the digit ("Ġ1") still has the bare digit,
        # which is what can follow the prompt as it ends.
        bare = self._backend.token_to_id(digit)
        one = len(added) == 1 and after[: len(before)] == before
        token = added[0] if one else bare
        unknown = getattr(self._backend.model, "unk_token", None)
        if token is None or (unknown and self._backend.id_to_token(token) == unknown):
            pieces = [self._backend.id_to_token(i) for i in added or after[-3:]]
            raise ModelError(
                f"the digit {digit} is not a single token of this tokenizer: after the prompt it "
                f"becomes {pieces}; choose a model whose tokenizer knows the digits 1 to 6"
            )
        return int(token)

    def encode(self, prompts: Sequence[Prompt]) -> PromptTokens:
        """Token ids. A prompt over `max_tokens` loses the ends of its texts: the longer one is cut
        first, down to the length of the other, then both alike, so that a short answer to a long
        question stays whole, as does a short question before a long answer."""
        most = self.max_tokens * CHARACTERS_A_TOKEN
        clean = [
            Prompt(one.dimension, tuple(without_surrogates(body[:most]) for body in one.bodies))
            for one in prompts
        ]
        encodings = self._backend.encode_batch_fast([prompt.text for prompt in clean])
        ids = [encoding.ids for encoding in encodings]
        truncated = np.array([any(len(b) > most for b in one.bodies) for one in prompts], np.bool_)
        for place, tokens in enumerate(ids):
            if len(tokens) > self.max_tokens:
                ids[place] = self._fitted(clean[place])
                truncated[place] = True
        return PromptTokens(ids, truncated)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._backend.encode(text).ids
        return ids

    def _fitted(self, prompt: Prompt) -> list[int]:
        encoding = self._backend.encode(prompt.text)
        inside, end = [], 0  # places of the tokens of each body
        for part, body in zip(FIXED_PARTS[prompt.dimension], prompt.bodies, strict=False):
            start = end + len(part)
            end = start + len(body)
            inside.append([i for i, (a, b) in enumerate(encoding.offsets) if start <= a < b <= end])
        lengths = [len(places) for places in inside]
        room = self.max_tokens - (len(encoding.ids) - sum(lengths))
        dropped = {
            place
            for places, keep in zip(inside, shares(lengths, room), strict=True)
            for place in places[keep:]
        }
        return [token for place, token in enumerate(encoding.ids) if place not in dropped]


def too_little_mass(least: float) -> str:
    """The reason for a missing score where the model answers with other tokens."""
    return f"less than {least:g} of the probability is on the scores 1 to 6"


def expected_scores(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sum of k * softmax(logits)_k over the scores 1 to 6: (n, 6) float32 -> (n,) in [1, 6].

    As the released scorers are read (arXiv 2312.15685); NaN for a row that is not all finite.
    """
    wide = np.asarray(logits, np.float64)
    with np.errstate(invalid="ignore"):
        weights = np.exp(wide - wide.max(axis=1, keepdims=True))
        # No matrix product: a row's sum must not depend on how many rows there are.
        scores = (weights * np.arange(1, 7)).sum(axis=1) / weights.sum(axis=1)
    scores[~np.isfinite(wide).all(axis=1)] = np.nan
    return np.asarray(scores, np.float64)


def mass_on_scores(logits: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability on the six scores, (n,) float32 in [0, 1], from their logits (n, 6) and the
    logsumexp (n,) of the logits of all other tokens."""
    wide = np.asarray(logits, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        top = wide.max(axis=1)
        ours = top + np.log(np.exp(wide - top[:, None]).sum(axis=1))
        return np.asarray(1.0 / (1.0 + np.exp(others - ours)), np.float32)
