"""The JSON object in a model's answer: read as it is, and leniently only where one reading exists.

Allowed around the object are a fence, words before and behind it, and the thoughts of a model that
thinks aloud (up to `</think>`). Line ends within a string may be bare. Refused are several objects,
a key that comes twice, and anything cut off.
"""

from __future__ import annotations

import json
from typing import Any, Final

from deita_core.conversation import without_surrogates

_THOUGHT: Final = "</think>"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")
    return found


_DECODER: Final = json.JSONDecoder(strict=False, object_pairs_hook=_once)


def read_object(answer: str) -> dict[str, Any] | None:
    """The one JSON object that stands in the answer; None where there is none, or several."""
    text = answer.rpartition(_THOUGHT)[2]
    found: list[dict[str, Any]] = []
    place = text.find("{")
    while place >= 0:
        try:
            value, end = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            # An object that ends too early holds others that would pass for the answer.
            return None
        found.append(value)
        place = text.find("{", end)
    return found[0] if len(found) == 1 else None


def read_text(answer: str, key: str) -> str | None:
    """The text under a key of the one object; None where there is no such text."""
    value = (read_object(answer) or {}).get(key)
    return without_surrogates(value) if isinstance(value, str) else None


def read_score(value: object) -> int | None:
    """A score of 1 to 6: a whole number, or one written as text or with a zero behind the point."""
    if isinstance(value, str):
        value = int(value) if value.strip() in {"1", "2", "3", "4", "5", "6"} else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value in {1, 2, 3, 4, 5, 6} else None


def object_schema(properties: dict[str, Any]) -> str:
    """A JSON schema of an object with exactly these properties, as JSON."""
    return json.dumps(
        {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )
