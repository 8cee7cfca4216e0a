"""Preference rows out of a review, as trainers take them.

KTO: a conversation whose last answer somebody wanted or did not want. DPO: a better and a worse
answer to the same messages. TRL's layouts are its "unpaired preference" and "preference" formats,
conversational, with an explicit prompt (docs/source/dataset_formats.md there); LLaMA-Factory's are
those of its kto_en_demo and dpo_en_demo (data/README.md there).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from deita_core.conversation import Conversation, Message
from deita_core.errors import ExportError
from deita_core.formats.write.export_format import (
    JsonObject,
    JsonValue,
    NotExpressibleError,
    check_characters,
)
from deita_core.formats.write.records import sharegpt_message
from deita_core.formats.write.trainers import MESSAGE_TAGS

PreferenceKind = Literal["kto", "dpo"]
PreferenceLayout = Literal["trl", "llama-factory"]
PREFERENCE_KINDS: Final[tuple[PreferenceKind, ...]] = get_args(PreferenceKind)
PREFERENCE_LAYOUTS: Final[tuple[PreferenceLayout, ...]] = get_args(PreferenceLayout)
_ROLES: Final = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Pair:
    """Messages, and two answers to them."""

    prompt: tuple[Message, ...]
    chosen: Message
    rejected: Message


def kto_record(conversation: Conversation, wanted: bool, layout: PreferenceLayout) -> JsonObject:
    """A conversation and whether its last message, an answer, is wanted.

    Raises NotExpressibleError when it does not end with an answer, or has tool calls.
    """
    *prompt, last = conversation.messages or (Message("user", ""),)
    _check(conversation)
    if last.role != "assistant" or not prompt:
        raise NotExpressibleError("it does not end with an answer to something")
    if layout == "trl":
        return {
            "prompt": _messages(prompt),
            "completion": _messages([last]),
            "label": wanted,
        }
    return {"messages": _messages([*prompt, last]), "label": wanted}


def pairs_of_edit(before: Conversation, after: Conversation) -> Iterator[Pair]:
    """The corrected answers of an edit, each against what stood there.

    The messages before are the corrected ones. Raises NotExpressibleError when a question was
    corrected too, since the old answer was to another one, when no answer was, or for tool calls.
    """
    corrected = _corrected_answers(before, after)
    for place in corrected:
        yield Pair(after.messages[:place], after.messages[place], before.messages[place])
    if not corrected:
        raise NotExpressibleError("no answer of it was corrected")


def _corrected_answers(before: Conversation, after: Conversation) -> list[int]:
    """The places of answers that differ; NotExpressibleError where another message does."""
    _check(before)
    _check(after)
    both = enumerate(zip(before.messages, after.messages, strict=True))
    places = [place for place, (old, new) in both if old.content != new.content]
    for place in places:
        if (role := after.messages[place].role) != "assistant":
            raise NotExpressibleError(
                f"its {role} message was corrected too: the old answer was to another one"
            )
    return places


def pair_of_import(before: Conversation, after: Conversation, rejected: Conversation) -> Pair:
    """A preference pair of the pool: the chosen answer against the rejected one.

    before: as imported, with the chosen answer. after: its newest version, of which messages and
    chosen answer are taken. Raises NotExpressibleError where the two do not answer the same
    messages or say the same, a question was corrected, or there are tool calls.
    """
    _corrected_answers(before, after)
    _check(rejected)
    asked, worse = rejected.messages[:-1], rejected.messages[-1]
    better = after.messages[-1]
    if worse.role != "assistant" or better.role != "assistant":
        raise NotExpressibleError("it has no rejected answer")
    if list(map(_said, asked)) != list(map(_said, before.messages[:-1])):
        raise NotExpressibleError("its two answers are to different messages")
    if better.content == worse.content:
        raise NotExpressibleError("its two answers say the same")
    return Pair(after.messages[:-1], better, worse)


def _said(message: Message) -> tuple[str, str]:
    return message.role, message.content


def dpo_record(pair: Pair, layout: PreferenceLayout) -> JsonObject:
    """Raises NotExpressibleError for an answer to nothing."""
    if not pair.prompt:
        raise NotExpressibleError("its answer stands before any question")
    if layout == "trl":
        return {
            "prompt": _messages(pair.prompt),
            "chosen": _messages([pair.chosen]),
            "rejected": _messages([pair.rejected]),
        }
    return {
        "conversations": list(map(sharegpt_message, pair.prompt)),
        "chosen": sharegpt_message(pair.chosen),
        "rejected": sharegpt_message(pair.rejected),
    }


def preference_info(name: str, kind: PreferenceKind) -> JsonObject:
    """The entry of a file in LLaMA-Factory's layout for its dataset_info.json."""
    entry: JsonObject = {"file_name": name, "formatting": "sharegpt"}
    if kind == "dpo":
        columns = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"}
        return {name: entry | {"ranking": True, "columns": dict[str, JsonValue](columns)}}
    columns = {"messages": "messages", "kto_tag": "label"}
    return {name: entry | {"columns": dict[str, JsonValue](columns), "tags": MESSAGE_TAGS}}


def check_preferences(kind: str, layout: str) -> None:
    """Raises ExportError for a kind or layout that there is none of."""
    for what, word, known in (
        ("preference rows", kind, PREFERENCE_KINDS),
        ("a layout", layout, PREFERENCE_LAYOUTS),
    ):
        if word not in known:
            raise ExportError(f"{what}: one of {', '.join(known)}, got {word!r}")


def _check(conversation: Conversation) -> None:
    if conversation.tools is not None or any(m.role not in _ROLES for m in conversation.messages):
        raise NotExpressibleError("preference rows have no place for tools and function calls")
    check_characters(conversation.without_reasoning)


def _messages(messages: Sequence[Message]) -> list[JsonValue]:
    return [{"role": m.role, "content": m.content} for m in messages]
