"""The words of a text, for whoever compares texts by their wording, and runs of words as numbers.

A word is a run of letters and digits in lower case. In scripts that are written without spaces
between words (Chinese, Japanese, Thai, Lao, Burmese, Khmer) each character is a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Scripts without spaces: Thai and Lao, Burmese, Khmer, kana, Han with its extensions.
UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003134f"
)
# Signs that belong to the letter before them, which Python does not count as letters.
_SIGNS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0dff"
_PLAIN = re.compile(r"[a-z0-9]+")
_ANY = re.compile(rf"[{UNSPACED}]|(?:[^\W_{UNSPACED}]|[{_SIGNS}])+")
# An odd number with its bits well spread: the golden ratio times 2**64.
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def words(text: str) -> list[str]:
    """The words in order, by the rule above; wide and other forms of a letter are made one."""
    if text.isascii():
        return _PLAIN.findall(text.lower())
    return _ANY.findall(unicodedata.normalize("NFKC", text).casefold())


class Vocabulary:
    """Numbers for words, from 0 in the order first seen."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._number)

    def learn(self, found: Iterable[str]) -> NDArray[np.int64]:
        """The number of each word: (w,) int64; words not seen before get the next ones."""
        number = self._number
        numbers = [number.setdefault(word, len(number)) for word in found]
        return np.array(numbers, np.int64)

    def known(self, found: Iterable[str]) -> list[int]:
        """The number of each word; -1 for words that were never learnt."""
        get = self._number.get
        return [get(word, -1) for word in found]


def runs(numbers: NDArray[np.int64], length: int) -> NDArray[np.uint64]:
    """A hash of every run of `length` numbers: (w - length + 1,) uint64, none where w is less.

    numbers: (w,) int64. Equal runs have equal hashes; two others share one with a chance of about
    2**-64.
    """
    count = len(numbers) - length + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    found = np.zeros(count, np.uint64)
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * _FACTOR
    mixed ^= mixed >> np.uint64(29)
    for place in range(length):
        found = found * _FACTOR + mixed[place : place + count]
        found ^= found >> np.uint64(31)
    return found
