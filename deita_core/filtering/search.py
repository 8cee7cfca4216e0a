"""Searching the messages of a pool: words, phrases in quotes, regular expressions in slashes.

    sourdough "rye flour" /b[ae]k(e|ing)/

A row is found when each of these is in one of its messages. Words and phrases ignore case and may
be parts of longer words, because many languages have no blanks; a regular expression is in the
syntax of RE2 and means case as written (`(?i)` in front ignores it). RE2 takes time linear in the
text whatever the expression, so nobody can hang the search; DuckDB finds rows with it, and its own
package shows where in a conversation the hits are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import Conversation, without_surrogates
from deita_core.errors import FilterError
from deita_core.project import Project
from deita_core.project.browse import Wanted, rows_with

MOST_TERMS: Final = 20
LONGEST: Final = 2_000
_TERMS = re.compile(r'"([^"]+)"|/((?:[^/\\]|\\.)+)/(?=\s|$)|(\S+)')
# What JSON writes otherwise than it is: a text with one of these is not found in raw JSON.
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f]')


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to find. pattern: in RE2's syntax. literal: the text itself, None for a regular
    expression."""

    pattern: str
    literal: str | None


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a term was found: characters start to end of the message with this number."""

    message: int
    start: int
    end: int


def parse_query(query: str) -> tuple[Term, ...]:
    """The terms of a query; FilterError for none, too many, or an expression RE2 cannot read."""
    query = without_surrogates(query)
    if len(query) > LONGEST:
        raise FilterError(f"the search has {len(query):,} characters: {LONGEST:,} at most")
    terms = [
        _expression(expression) if expression else _literal(phrase or word)
        for phrase, expression, word in _TERMS.findall(query)
    ]
    if not terms:
        raise FilterError("the search is empty: name a word, a phrase or an expression")
    if len(terms) > MOST_TERMS:
        raise FilterError(f"the search has {len(terms)} terms: {MOST_TERMS} at most")
    return tuple(dict.fromkeys(terms))


def found_rows(project: Project, query: str) -> NDArray[np.int64]:
    """Rows with every term of the query in one of their messages, ascending: (k,) int64."""
    terms = parse_query(query)
    wanted = [Wanted(term.pattern, _in_raw_json(term)) for term in terms]
    return np.array(rows_with(project, wanted), np.int64)


def hits(query: str, conversation: Conversation) -> list[Hit]:
    """Every place in a conversation that a term of the query hits, in reading order.

    Hits of several terms may overlap; an empty match is none.
    """
    found = [
        Hit(number, *span)
        for number, message in enumerate(conversation.messages)
        for term in parse_query(query)
        for span in _spans(term.pattern, without_surrogates(message.content))
    ]
    return sorted(set(found), key=lambda hit: (hit.message, hit.start, hit.end))


def merged(found: Sequence[Hit]) -> list[Hit]:
    """The same places without overlaps: what is to be marked."""
    made: list[Hit] = []
    for hit in found:
        last = made[-1] if made else None
        if last and last.message == hit.message and hit.start <= last.end:
            made[-1] = Hit(hit.message, last.start, max(last.end, hit.end))
        else:
            made.append(hit)
    return made


def _spans(pattern: str, text: str) -> list[tuple[int, int]]:
    spans = (match.span() for match in _compiled(pattern).finditer(text))
    return [(start, end) for start, end in spans if end > start]


def _literal(text: str) -> Term:
    import re2

    return Term(f"(?i){re2.escape(text)}", text)


def _expression(pattern: str) -> Term:
    _compiled(pattern)
    return Term(pattern, None)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        (why,) = error.args
        said = why.decode(errors="replace") if isinstance(why, bytes) else str(why)
        place = _place(pattern, said)
        raise FilterError(
            f"the regular expression /{pattern}/ cannot be read{place}: {said}; it is in the "
            "syntax of RE2, without lookarounds and back references"
        ) from None


def _place(pattern: str, said: str) -> str:
    """Where RE2's complaint points: it quotes the piece that it stumbled on."""
    piece = said.rpartition(": ")[2]
    place = pattern.find(piece) if piece else -1
    return f" at character {place + 1}" if place >= 0 else ""


def _in_raw_json(term: Term) -> str | None:
    """A pattern that the JSON of a row with the term must hold, where there is a simple one."""
    return None if term.literal is None or _ESCAPED.search(term.literal) else term.pattern
