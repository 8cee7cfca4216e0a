"""Which words two texts do not share, drawn safely beside each other."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from pages.parts.safe_text import escape

MOST_WORDS = 1500
_WORD = re.compile(r"\S+|\n+")


def marked_differences(one: str, other: str) -> tuple[str, str]:
    """Both texts as Markdown, with the words marked that the other one lacks at that place.

    Everything in the texts is taken literally. Of each only the first 1,500 words are compared,
    because the time grows with the square; the rest is left out and said to be.
    """
    left, right = _words(one), _words(other)
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    marks_left, marks_right = [True] * len(left), [True] * len(right)
    for block in matcher.get_matching_blocks():
        for i in range(block.size):
            marks_left[block.a + i] = marks_right[block.b + i] = False
    return _markdown(left, marks_left, one), _markdown(right, marks_right, other)


def _words(text: str) -> list[str]:
    words = _WORD.findall(text)[:MOST_WORDS]
    return ["\n" if word.isspace() else word for word in words]


def _markdown(words: list[str], marked: list[bool], text: str) -> str:
    lines: list[str] = [""]
    run: list[str] = []

    def close() -> None:
        if run:
            lines[-1] += f" :orange-background[{escape(' '.join(run))}]"
            run.clear()

    for word, mark in zip(words, marked, strict=True):
        if word == "\n":
            close()
            lines.append("")
        elif mark:
            run.append(word)
        else:
            close()
            lines[-1] += f" {escape(word)}"
    close()
    if len(_WORD.findall(text)) > MOST_WORDS:
        lines.append(f"*(only the first {MOST_WORDS:,} words are compared)*")
    return "\n\n".join(line.strip() for line in lines if line.strip())
