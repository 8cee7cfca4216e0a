"""The layouts that can be read, and which one fits a sample of records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from types import MappingProxyType

from deita_core.formats.alpaca import ALPACA, PROMPT_COMPLETION, QUESTION_ANSWER
from deita_core.formats.flat_trees import FLAT_TREE
from deita_core.formats.layout import Layout
from deita_core.formats.preference import PREFERENCE
from deita_core.formats.sharegpt import OPENAI, SHAREGPT
from deita_core.formats.strings import QUESTIONS, TEXTS
from deita_core.formats.trees import NESTED_TREE

# The more particular first: a preference pair also has a prompt, a chat may repeat its first
# turn as prompt and response.
_IN_ORDER = (
    PREFERENCE,
    SHAREGPT,
    OPENAI,
    QUESTIONS,
    TEXTS,
    NESTED_TREE,
    FLAT_TREE,
    ALPACA,
    QUESTION_ANSWER,
    PROMPT_COMPLETION,
)
_ANSWER_OF = {"alpaca": "output", "question_answer": "answer", "prompt_completion": "completion"}

LAYOUTS: MappingProxyType[str, Layout] = MappingProxyType({one.name: one for one in _IN_ORDER})


def layout_of(record: object) -> Layout | None:
    """The layout that fits one record: the first whose answer is there, too, else the first."""
    fitting = [(layout, found) for layout in _IN_ORDER if (found := layout.fits(record))]
    for layout, found in fitting:
        answer = _ANSWER_OF.get(layout.name)
        if answer is None or answer in found:
            return layout
    return fitting[0][0] if fitting else None


def is_record(record: object) -> bool:
    """Whether any layout fits."""
    return layout_of(record) is not None


def most_fitting(records: Iterable[object]) -> Layout | None:
    """The layout of most of the records; None when none fits any."""
    counts = Counter(layout.name for record in records if (layout := layout_of(record)))
    if not counts:
        return None
    return LAYOUTS[max(counts, key=lambda name: counts[name])]


def columns_for(layout: Layout, records: Iterable[object]) -> dict[str, str]:
    """Our name -> the field that most of the records use for it."""
    votes: dict[str, Counter[str]] = {}
    for record in records:
        for ours, theirs in (layout.fits(record) or {}).items():
            votes.setdefault(ours, Counter())[theirs] += 1
    return {ours: counted.most_common(1)[0][0] for ours, counted in votes.items()}
