"""Scores from elsewhere: what a value of a column or a file means for the turns it is given to.

- One number stands for the whole conversation: it becomes the score of its first turn, and the
  other turns have none, with the reason.
- A list has one number for each turn. A list of another length cannot be told apart turn by
  turn, so it gives no score at all; a null in it gives none for its turn.
- Numbers may be written as text. Truth values, other texts, NaN and infinity are no scores.
"""

from __future__ import annotations

import json
from contextlib import suppress

FIRST_TURN_ONLY = "given for the whole conversation: it stands at the first turn"
MISSING = "no value is given"
NOT_FINITE = "the value is not a finite number"
GivenScore = tuple[float | None, str | None]
_LARGEST = 3.0e38  # of float32, in which scores are kept


def scores_of_turns(value: object, turns: int) -> list[GivenScore]:
    """(score, None) or (None, reason) for each of the turns of a conversation."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, list):
        if len(value) != turns:
            return [(None, f"{len(value)} values are given for {turns} turns")] * turns
        return [score_of(item) for item in value]
    first = score_of(value)
    rest = (None, FIRST_TURN_ONLY if first[1] is None else first[1])
    return [first, *[rest] * (turns - 1)][:turns]


def score_of(value: object) -> GivenScore:
    """(score, None) for a number, or (None, reason)."""
    if value is None or value == "":
        return None, MISSING
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        number = float(value)
    except (ValueError, OverflowError):
        text = json.dumps(value, ensure_ascii=False, default=str)
        return None, f"not a number: {text if len(text) <= 40 else text[:39] + '…'}"
    return (number, None) if abs(number) <= _LARGEST else (None, NOT_FINITE)
