"""Examples of a target task as one types them: one a line, or apart by lines of dashes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from deita_core.filtering.filter import MOST_EXAMPLES

EXAMPLES_HELP: Final = (
    f"At most {MOST_EXAMPLES}. Where examples have several lines themselves, write a line of three "
    "dashes (`---`) between them; with a backslash before it such a line belongs to its example."
)
_RULE = re.compile(r"^-{3,}[^\S\n]*$", re.MULTILINE)
_LIKE_A_RULE = re.compile(r"^(\\*-{3,}[^\S\n]*)$", re.MULTILINE)
_TAKEN_AS_IT_IS = re.compile(r"^\\(\\*-{3,}[^\S\n]*)$", re.MULTILINE)


def parse_examples(text: str) -> tuple[str, ...]:
    """The examples, without blanks around them, each once and in their order."""
    parts = _RULE.split(text) if _RULE.search(text) else text.splitlines()
    plain = (_TAKEN_AS_IT_IS.sub(r"\1", part.strip()) for part in parts)
    return tuple(dict.fromkeys(part for part in plain if part))


def written_examples(examples: Sequence[str]) -> str:
    """The text that `parse_examples` reads back."""
    plain = [_LIKE_A_RULE.sub(r"\\\1", one) for one in examples]
    if any(len(one.splitlines()) > 1 for one in plain):
        return "".join(f"{one}\n---\n" for one in plain)
    return "\n".join(plain)
