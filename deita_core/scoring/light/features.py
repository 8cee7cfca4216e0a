"""What the light scorers see of a text: its tokens, and about sixty surface numbers.

Everything here is a pure function of the text; nothing is learned. Words, sentences and lexicons
are English notions: on other scripts the numbers are defined but say less (see MODEL_CARD.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import without_surrogates
from deita_core.errors import ModelError

F32 = NDArray[np.float32]
MAX_CHARS = 32_768
VOCABULARY = 32_000
WIDTH = 256  # of a static token embedding


# Word lists, counted by token id: each word here is one token of the vocabulary.
_WORDS: dict[str, str] = {
    "refusing words": "sorry unable cannot unfortunately none apolog",
    "connectives": (
        "however therefore because such also since while although first second third finally "
        "then thus moreover overall example instead due"
    ),
    "you": "you your",
    "I": "I my me we our",
    "question words": "what which who when where why how What Which Who When Where Why How",
    "constraint words": (
        "must should least most exactly only without more than include including limit between "
        "maximum minimum not each following all every no any avoid within using ensure"
    ),
    "reasoning words": (
        "prove solve determine compare evaluate implement algorithm function program equation "
        "calculate reason effect cause impact strategy derive model theory complex solution"
    ),
    "short-answer words": "sentence word list name title given example phrase sentences words",
    "writing words": "story essay article poem letter email speech song blog paragraph report",
    "verbs of asking": (
        "Write Create Generate Describe Explain List Name Give Identify Find Classify Rewrite "
        "Edit Convert Suggest Design Develop Provide Compare Construct"
    ),
    "function words": "the of to and a in is for that on with as it by from be are this or an",
}


def _is_digit(token: str) -> bool:
    return any(c.isdigit() for c in token) and not token.startswith("<0x")


def _is_punctuation(token: str) -> bool:
    return not any(c.isalnum() for c in token.replace("▁", ""))


_CLASSES: dict[str, Callable[[str], bool]] = {
    "word starts": lambda t: t.startswith("▁"),
    "digits": _is_digit,
    "capitals": lambda t: t.lstrip("▁")[:1].isupper() and not t.startswith("<0x"),
    "all capitals": lambda t: len(t.strip("▁")) > 1 and t.strip("▁").isupper(),
    "punctuation": _is_punctuation,
    "bytes": lambda t: t.startswith("<0x") and t != "<0x0A>",
    "beyond ASCII": lambda t: not t.replace("▁", "").isascii(),
    "long tokens": lambda t: len(t) >= 9,
}

LEXICONS: tuple[str, ...] = (*_WORDS, *_CLASSES, "rank of tokens")

_PUNCTUATION = "?!,;:.()\"'*`#|=-{<\n"
_LIST_ITEM = re.compile(r"(?:^|\n)[ \t]*(?:[-*•]|\d{1,2}[.)])[ \t]")
_QUOTED = re.compile(r'"[^"\n]+"')
_MATH = re.compile(r"\d ?[-+*/=^] ?\d|\\frac|\\\(")
_SHAPE = (
    *("characters", "extra bytes", "words", "longest word", "distinct words", "lines"),
    *("longest line", "blank lines", "list items", "quoted", "arithmetic", "code fences"),
    *("ends as a sentence", "ends with ?", "ends with :", "ends closed", "starts upper"),
    "starts lower",
    *(f"count of {c!r}" for c in _PUNCTUATION),
)
_TOKENS = ("tokens", "distinct tokens", "repeated token pairs")
TEXT_FEATURES = (*_SHAPE, *_TOKENS, *LEXICONS)
PAIR_FEATURES = (
    *("response words from the instruction", "instruction words in the response"),
    *("cosine", "shared tokens", "log length ratio"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """n texts as token ids, and the surface numbers of each.

    ids: (t,) int32, the tokens of all texts in a row; text i owns ids[starts[i]:starts[i + 1]].
    starts: (n + 1,) int64.
    surface: (n, len(TEXT_FEATURES)) float32, raw counts and shares.
    bag: scipy CSR (n, VOCABULARY) float32, how often each token occurs, columns ascending.
    mean: (n, WIDTH) float32, mean static embedding; zeros for a text without tokens.
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    surface: F32
    bag: Any
    mean: F32


class FeatureEncoder:
    """Turns texts into `Encoded`, with the tokenizer and static embeddings of wordllama."""

    def __init__(self) -> None:
        self._tokenizer, self.embedding = _load_wordllama()
        names = [self._tokenizer.id_to_token(i) for i in range(VOCABULARY)]
        self._lexicons = _lexicon_matrix(names)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encodes a batch; a text may be empty, and is cut at `MAX_CHARS` characters."""
        from scipy import sparse

        cut = [without_surrogates(text[:MAX_CHARS]) for text in texts]
        encodings = self._tokenizer.encode_batch_fast(cut, add_special_tokens=False)
        # An empty text still gets the tokenizer's leading space: it has no tokens for us.
        lists = [e.ids if t else [] for e, t in zip(encodings, cut, strict=True)]
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        starts = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        ids = np.fromiter(chain.from_iterable(lists), np.int32, int(starts[-1]))
        ones = np.ones(len(ids), np.float32)
        bag = sparse.csr_matrix((ones, ids, starts), (len(cut), VOCABULARY), copy=True)
        bag.sum_duplicates()
        count = np.maximum(lengths, 1).astype(np.float32)[:, None]
        shapes = np.array([_shape(text) for text in cut], np.float32).reshape(-1, len(_SHAPE))
        numbers = [shapes, _token_numbers(ids, starts, bag), (bag @ self._lexicons) / count]
        surface = np.hstack(numbers).astype(np.float32)
        return Encoded(ids, starts, surface, bag, (bag @ self.embedding) / count)


def pair_features(instruction: Encoded, response: Encoded) -> F32:
    """How n responses relate to their instructions: (n, len(PAIR_FEATURES)) float32."""
    a, b = instruction.bag.sign(), response.bag.sign()
    shared = np.asarray(a.multiply(b).sum(axis=1), np.float32).ravel()
    own_a, own_b = np.diff(a.indptr), np.diff(b.indptr)
    norms = np.linalg.norm(instruction.mean, axis=1) * np.linalg.norm(response.mean, axis=1)
    dots = (instruction.mean * response.mean).sum(axis=1)
    columns = [
        shared / np.maximum(own_b, 1),
        shared / np.maximum(own_a, 1),
        dots / np.maximum(norms, 1e-9),
        shared,
        np.log1p(response.surface[:, 0]) - np.log1p(instruction.surface[:, 0]),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def token_pairs(encoded: Encoded, buckets: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Neighbouring tokens of each text: (row, hashed pair in [0, buckets)), one per pair."""
    rows, left, right = _neighbours(encoded.ids, encoded.starts)
    return rows, (left * 1_000_003 + right * 7_919 + 12_345) % buckets


def _neighbours(ids: NDArray[np.int32], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(3, pairs): the text of each pair of neighbouring tokens, and the two tokens."""
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    inside = rows[:-1] == rows[1:]
    return np.stack([rows[:-1], ids[:-1], ids[1:]])[:, inside]


def _token_numbers(ids: NDArray[np.int32], starts: NDArray[np.int64], bag: Any) -> F32:
    """(n, 3): tokens, share of distinct ones, share of token pairs seen before."""
    rows, left, right = _neighbours(ids, starts)
    keyed = (rows * VOCABULARY + left) * VOCABULARY + right
    lengths = np.diff(starts)
    distinct = np.bincount(np.unique(keyed) // VOCABULARY**2, minlength=len(lengths))
    repeated = 1 - distinct / np.maximum(lengths - 1, 1)
    repeated[lengths < 2] = 0
    share = np.diff(bag.indptr) / np.maximum(lengths, 1)
    return np.stack([lengths, share, repeated], axis=1).astype(np.float32)


def _shape(text: str) -> list[float]:
    words, lines = text.split(), text.split("\n")
    first, last = text.lstrip()[:1], text.rstrip()[-1:]
    return [
        len(text),
        len(text.encode("utf-8")) - len(text),
        len(words),
        max(map(len, words), default=0),
        len(set(words)) / (len(words) or 1),
        len(lines),
        max(map(len, lines)),
        text.count("\n\n"),
        len(_LIST_ITEM.findall(text)),
        len(_QUOTED.findall(text)) if '"' in text else 0,
        len(_MATH.findall(text)),
        text.count("```"),
        last != "" and last in ".!。！…",
        last != "" and last in "?？",
        last != "" and last in ":：,",
        last != "" and last in "\"')]}`”",
        first.isupper(),
        first.islower(),
        *map(text.count, _PUNCTUATION),
    ]


def _lexicon_matrix(names: Sequence[str]) -> Any:
    """(len(names), len(LEXICONS)) float32: which token counts for which lexicon.

    The last column is log(1 + token id): ids of this vocabulary rise with rarity.
    """
    columns: list[Any] = []
    for words in _WORDS.values():
        wanted = {form for w in words.split() for form in (w, f"▁{w}")}
        columns.append([name in wanted for name in names])
    columns += [list(map(test, names)) for test in _CLASSES.values()]
    columns.append(np.log1p(np.arange(len(names))))
    return np.ascontiguousarray(np.array(columns, np.float32).T)


@lru_cache(maxsize=1)
def shared_encoder() -> FeatureEncoder:
    """The one encoder of this process (16 MB of static embeddings)."""
    return FeatureEncoder()


def _load_wordllama() -> tuple[Any, F32]:
    try:
        import wordllama
    except ImportError as error:
        needed = "the package wordllama==0.4.0.post1"
        raise ModelError(f"the light scorers need {needed}: install requirements.txt") from error
    folder = Path(str(resources.files(wordllama)))
    try:
        model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    except FileNotFoundError as error:
        said = f"wordllama in {folder} has no weights inside: reinstall requirements.txt"
        raise ModelError(said) from error
    # wordllama pads to the longest text of a batch, which the ragged arrays here do not want.
    model.tokenizer.no_padding()
    return model.tokenizer, model.embedding
