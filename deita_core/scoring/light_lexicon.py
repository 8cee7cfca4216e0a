"""Small word lists, counted by token id: each word here is one token of the vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

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


def lexicon_matrix(names: Sequence[str]) -> Any:
    """(len(names), len(LEXICONS)) float32: which token counts for which lexicon.

    The last column is log(1 + token id): ids of this vocabulary rise with rarity.
    """
    columns = []
    for words in _WORDS.values():
        wanted = {form for w in words.split() for form in (w, f"▁{w}")}
        columns.append([float(name in wanted) for name in names])
    columns += [[float(test(name)) for name in names] for test in _CLASSES.values()]
    columns.append(np.log1p(np.arange(len(names))).tolist())
    return np.ascontiguousarray(np.array(columns, np.float32).T)
