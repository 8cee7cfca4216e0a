"""Examples of a target task as one types them: one a line, or apart by lines of dashes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from deita_core.filtering.filter import MOST_EXAMPLES

EXAMPLES_HELP: Final = (
    f"At most {MOST_EXAMPLES}. Where examples have several lines themselves, write a line of three "
    "dashes (`---`) between them."
)
_RULE = re.compile(r"^-{3,}[^\S\n]*$", re.MULTILINE)


def parse_examples(text: str) -> tuple[str, ...]:
    """The examples, without blanks around them, each once and in their order."""
    parts = _RULE.split(text) if _RULE.search(text) else text.splitlines()
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def written_examples(examples: Sequence[str]) -> str:
    """The text that `parse_examples` reads back."""
    if any(len(one.splitlines()) > 1 for one in examples):
        return "".join(f"{one}\n---\n" for one in examples)
    return "\n".join(examples)
