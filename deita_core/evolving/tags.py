"""Tags of instructions after InsTag (Lu et al., arXiv 2308.07074): asked for, made alike, counted.

The paper's complexity of an instruction is the number of its tags, and the diversity of a set the
share of all tags that is in it. Tags come in the model's own words, so they are made alike first
(3.2 there): written in one way, those that mean the same merged, rare ones dropped.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from deita_core.errors import EvolvingError
from deita_core.evolving.asking import Question, Reply, UnusableError, ask_for
from deita_core.evolving.plan import BorderModel
from deita_core.evolving.prompts import Prompts
from deita_core.evolving.reading import object_schema, read_object
from deita_core.models.chat import Chat

MOST_TAGS: Final = 40
MOST_CHARACTERS: Final = 60
_ANSWER_TOKENS: Final = 512
# Similarities are compared after rounding: last bits depend on the shape of a product.
_DECIMALS: Final = 6
# From t tags to their vectors: (t, d), of any length but zero.
EmbedTags = Callable[[Sequence[str]], NDArray[np.floating]]


async def tag_instruction(chat: Chat, instruction: str, prompts: Prompts) -> Reply[tuple[str, ...]]:
    """The tags of an instruction as the model gave them, without repeats; or why there are none.

    Raises ModelError when the chat model does.
    """
    schema = object_schema({"tags": {"type": "array", "items": {"type": "string"}}})
    question = Question(prompts.tags(instruction), schema, read_tags, _ANSWER_TOKENS)
    return await ask_for(chat, question, prompts)


def read_tags(answer: str) -> tuple[str, ...]:
    """The tags of an answer: 1 to 40, each of 1 to 60 characters; UnusableError for another form.

    Read as well is the form of InsTag's own models, an object with a "tag" for each.
    """
    found = (read_object(answer) or {}).get("tags")
    if not isinstance(found, list):
        raise UnusableError('it is not one JSON object with a list "tags"')
    tags = dict.fromkeys(map(_tag, found))
    if not 1 <= len(tags) <= MOST_TAGS:
        raise UnusableError(f"it has {len(tags)} tags, not 1 to {MOST_TAGS}")
    return tuple(tags)


def _tag(given: Any) -> str:
    tag = given.get("tag") if isinstance(given, dict) else given
    if not isinstance(tag, str) or not written_alike(tag):
        raise UnusableError(f"{given!r:.60} is no tag")
    if len(tag.strip()) > MOST_CHARACTERS:
        raise UnusableError(f"a tag has at most {MOST_CHARACTERS} characters, got {tag!r:.80}")
    return tag.strip()


def written_alike(tag: str) -> str:
    """The tag in lower case, with a space for each run of signs: "Unit-Conversion" as others.

    "+" and "#" stay behind a letter or digit: C, C++ and C# are three things.
    """
    kept: list[str] = []
    for sign in unicodedata.normalize("NFKC", tag).casefold():
        belongs = sign.isalnum() or unicodedata.category(sign).startswith("M")
        tail = sign in "+#" and kept and kept[-1] != " "
        kept.append(sign if belongs or tail else " ")
    return " ".join("".join(kept).split())


class TagRule(BorderModel):
    """How tags are made alike. A value out of range is an EvolvingError.

    least: rows that have a tag, or it is dropped (the paper: 20, of about 300,000 rows).
    similarity: cosine from which a tag is merged into a more frequent one; None merges none. The
    default is for MiniLM: of 26 pairs of tags tried, all 8 above it mean the same, and of the 18
    below it two ("summarization" and "summary", 0.63; "classification" and "categorization", 0.79).
    """

    called = "a rule for tags"

    least: int = Field(default=1, ge=1)
    similarity: float | None = Field(default=0.8, gt=0.0, le=1.0)


@dataclass(frozen=True, slots=True, eq=False)
class TagTable:
    """Tags that are made alike.

    rows: of each row its tags, without repeats; None where it was never tagged. became: the tag
    that each way of writing became, None where it was too rare. counts: rows of each tag that is
    left, the most frequent first.
    """

    rows: tuple[tuple[str, ...] | None, ...]
    became: Mapping[str, str | None]
    counts: Mapping[str, int]

    @property
    def rare(self) -> int:
        """How many tags were dropped because too few rows have them."""
        return len({tag for tag, name in self.became.items() if name is None})

    @property
    def merged(self) -> int:
        """How many tags were merged into another."""
        return sum(name is not None and name != tag for tag, name in self.became.items())

    def complexity(self) -> NDArray[np.float64]:
        """(n,): how many tags each row has, NaN where it was never tagged."""
        return np.array([np.nan if row is None else len(row) for row in self.rows], np.float64)

    def diversity(self, chosen: Iterable[int]) -> float:
        """The share of all tags that some chosen row has, from 0 to 1; NaN without tags."""
        there = {tag for row in chosen for tag in self.rows[row] or ()}
        return len(there) / len(self.counts) if self.counts else float("nan")


def make_alike(
    raw: Sequence[Sequence[str] | None], rule: TagRule, embed: EmbedTags | None = None
) -> TagTable:
    """Tags of n rows, made alike by the rule: writing, then meaning, then how many rows have them.

    raw: as they came, None for a row that was never tagged. embed: needed to merge by meaning.
    The paper drops rare tags first; here last, so that a rare way to say a frequent tag counts
    for it. It also merges tags that come together (association); that is not done.
    """
    written = [None if tags is None else dict.fromkeys(map(written_alike, tags)) for tags in raw]
    counted = Counter(tag for row in written if row is not None for tag in row if tag)
    ordered = sorted(counted, key=lambda tag: (-counted[tag], tag))
    merged = {tag: tag for tag in ordered}
    if rule.similarity is not None and ordered:
        if embed is None:
            raise EvolvingError("tags are merged by their vectors: give an embedder, or merge none")
        merged = _merged(ordered, embed(ordered), rule.similarity)
    rows = [None if row is None else dict.fromkeys(merged[t] for t in row if t) for row in written]
    final = Counter(tag for row in rows if row is not None for tag in row)
    names = {tag: name if final[name] >= rule.least else None for tag, name in merged.items()}
    left = sorted((n for n in final if final[n] >= rule.least), key=lambda n: (-final[n], n))
    return TagTable(
        tuple(None if row is None else tuple(t for t in row if final[t] >= rule.least)
              for row in rows),
        names,
        {name: final[name] for name in left},
    )  # fmt: skip


def _merged(
    tags: Sequence[str], vectors: NDArray[np.floating], similarity: float
) -> dict[str, str]:
    """The tag that each becomes. tags: the most frequent first.

    A tag joins the nearest of the tags before it that joined none, if it is near enough. Chains
    (a like b, b like c, so a and c) are not made: the paper's DBSCAN makes them.
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors.astype(np.float64) / np.where(length > 0, length, 1)
    leaders = np.empty_like(unit)
    names: list[str] = []
    became: dict[str, str] = {}
    for tag, vector in zip(tags, unit, strict=True):
        near = np.round(leaders[: len(names)] @ vector, _DECIMALS)
        if len(near) and near.max() >= similarity:
            became[tag] = names[int(near.argmax())]
        else:
            leaders[len(names)] = vector
            names.append(tag)
            became[tag] = tag
    return became
