"""A decision about a row: its kinds, what each of them may say, and its slot.

Two decisions in the same slot of a row replace each other, the later one stands. A verdict, a
score, a label and a note are a reviewer's own (each reviewer has such a slot, in each queue); pins,
tags and edits are facts about the row, and whoever decides last has decided.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from deita_core.errors import ReviewError
from deita_core.files import one_line

Verdict = Literal["drop", "unsure", "keep"]  # from the lowest to the highest, as agreement counts
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
Dimension = Literal["complexity", "quality"]
OwnKind = Literal[Verdict, Dimension, "label", "note", "withdraw"]
SharedKind = Literal["tag", "untag", "pin", "exclude", "restore", "edit"]
Kind = Literal[OwnKind, SharedKind]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
# What a queue may ask for, and the slots that are a reviewer's own.
Ask = Literal["verdict", Dimension, "label"]
ASKS: Final[tuple[Ask, ...]] = get_args(Ask)
OWN_SLOTS: Final = (*ASKS, "note")
# What takes back the first decision of a slot: the state before anybody decided.
_EMPTY: Final[Mapping[str, Kind]] = {"tag": "untag", "pin": "restore"}
_SLOTS: Final[Mapping[Kind, str]] = {
    **dict.fromkeys(VERDICTS, "verdict"),
    **dict.fromkeys(("pin", "exclude", "restore"), "pin"),
}
LOWEST, HIGHEST = 1, 6
MOST_TEXT = 20_000


@with_config(ConfigDict(extra="forbid", strict=True))
@dataclass(frozen=True, slots=True)
class Decision:
    """What a reviewer decides about one row.

    kind: a verdict, "complexity" or "quality" (value "1" to "6"), "label" and "note" (value: the
    text), "tag" and "untag" (value: the tag), "withdraw" (value: the slot taken back).
    version: of the row's text that was read; None: the newest. client: an id that whoever sends it
    made up, so that sending it twice is harmless; "" for none.
    Raises ReviewError for what it cannot say.
    """

    row: int
    kind: Kind
    value: str = ""
    why: str = ""
    version: int | None = None
    client: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ReviewError(f"a decision is one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.kind in ("pin", "exclude", "restore", "edit"):
            raise ReviewError(f"{self.kind!r} is no reviewer's answer: pin or edit the row instead")
        for text in (self.value, self.why, self.client):
            if len(text) > MOST_TEXT:
                raise ReviewError(
                    f"a text of a decision has at most {MOST_TEXT:,} characters, got "
                    f"{len(text):,}: shorten it"
                )
        self._check_value()

    def _check_value(self) -> None:
        value = self.value
        if self.kind in get_args(Dimension):
            if value not in map(str, range(LOWEST, HIGHEST + 1)):
                raise ReviewError(f"{self.kind} is a whole number from 1 to 6, got {value!r}")
        elif self.kind in VERDICTS:
            if value:
                raise ReviewError(f"{self.kind} takes no value, got {value!r}: use why for it")
        elif self.kind == "withdraw":
            if value not in OWN_SLOTS:
                known = ", ".join(OWN_SLOTS)
                raise ReviewError(f"what can be withdrawn is {known}, got {value!r}")
        elif self.kind == "note":
            if not value.strip():
                raise ReviewError("a note has text: withdraw it to have none")
        else:
            check_word(value, self.kind)

    @property
    def slot(self) -> str:
        """Where it stands until another one takes its place."""
        return slot_of(self.kind, self.value)


def slot_of(kind: Kind, value: str = "") -> str:
    """ "verdict" for a verdict, "tag:NAME" for a tag, "pin", "edit", or the kind itself."""
    if kind in ("tag", "untag"):
        return f"tag:{value}"
    return value if kind == "withdraw" else _SLOTS.get(kind, kind)


def empty_kind(slot: str) -> Kind:
    """The kind that brings a slot back to where nobody has decided."""
    return _EMPTY.get(slot.partition(":")[0], "withdraw")


def check_word(word: str, of: str) -> str:
    """A tag or label, as it is; ReviewError for an empty or long one, or of several lines."""
    if not 0 < len(word) <= 100 or one_line(word) != word or word.strip() != word:
        raise ReviewError(
            f"a {of} is 1 to 100 visible characters without spaces around them, got {word[:120]!r}"
        )
    return word


_DECISION: TypeAdapter[Decision] = TypeAdapter(Decision)


def read_decisions(items: Iterable[Any]) -> list[Decision]:
    """Decisions out of JSON objects, from a browser or a file.

    Raises ReviewError that names the place of the first one that is none, counted from 1.
    """
    found = []
    for place, item in enumerate(items, 1):
        try:
            # As JSON: strict about types, and an object for a dataclass.
            found.append(_DECISION.validate_json(json.dumps(item)))
        except ReviewError as error:
            raise ReviewError(f"decision {place}: {error}") from error
        except ValidationError as error:
            wrong = error.errors()[0]
            field = ".".join(map(str, wrong["loc"])) or "it"
            raise ReviewError(
                f"decision {place}: {field}: {wrong['msg']}; it is an object with row, kind, and "
                "value, why, version or client at need"
            ) from error
    return found
