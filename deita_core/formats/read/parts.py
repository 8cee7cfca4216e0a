"""What one message says: a text, or typed parts (LLaMA-Factory v1, OpenAI, Anthropic).

Text is text; texts are joined directly, as chat templates join them. Reasoning is kept apart, with
the message that it leads to. Tool calls and results become messages of their own, in their places.
What is no text is left out and named in a note.
"""

from __future__ import annotations

import json
from collections.abc import Mapping as MappingType
from contextlib import suppress
from dataclasses import replace

from deita_core.conversation import Message, Role
from deita_core.formats.read.layout import MISSING, Fields, RowError, kind_of

_TEXT = frozenset({"text", "input_text", "output_text", "refusal"})
_REASONING = frozenset({"reasoning", "thinking", "reasoning_text"})
_CALL = frozenset({"tool_call", "tool_use", "function_call", "function"})
_RESULT = frozenset({"tool_result", "tool_response", "function_call_output"})
# The names of what is no text, in the notes.
_OTHER = {
    "image": "image image_url input_image image_file",
    "audio": "audio audio_url input_audio",
    "video": "video video_url input_video",
    "file": "file input_file file_url",
    "document": "document",
    "redacted thinking": "redacted_thinking",
}
_NAMED = {kind: name for name, kinds in _OTHER.items() for kind in kinds.split()}
_KNOWN = _TEXT | _REASONING | _CALL | _RESULT | _NAMED.keys()

_TEXT_KEYS = ("text", "value", "refusal", "content")
_REASONING_KEYS = ("thinking", "reasoning", "text", "value", "content")
_CALL_KEYS = ("value", "function", "tool_call")
_RESULT_KEYS = ("content", "output", "value", "text")
_ARGUMENT_KEYS = ("arguments", "input", "args")
# Beside the text of a message, as vLLM, DeepSeek and Qwen write it.
REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_LONGEST_NAME = 60


class Spoken:
    """Takes up what one message of a file says, and gives it as messages of ours."""

    def __init__(self, role: Role, fields: Fields) -> None:
        self._role: Role = role
        self._fields = fields
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._left_out: list[str] = []
        self._done: list[Message] = []

    def add(self, content: object) -> None:
        """A text, a part, or a list of parts."""
        if isinstance(content, list):
            for part in content:
                self._part(part)
        elif isinstance(content, dict) and str(content.get("type")) in _KNOWN:
            self._part(content)
        else:
            self._texts.append(self._fields.as_text(content))

    def think(self, thought: object) -> None:
        """Reasoning, which belongs to the text or call that follows."""
        if isinstance(thought, str):
            self._thoughts += [self._fields.as_text(thought)] if thought else []
        else:
            self._leave_out("reasoning that is no text")

    def call(self, text: str) -> None:
        """A tool call, as it is kept."""
        self._end_text()
        text = self._fields.as_text(text)
        self._done.append(Message("function_call", text, self._thought()))

    def messages(self) -> list[Message]:
        """At least one. Raises RowError when all that was said had to be left out."""
        self._end_text(last=True)
        if self._thoughts:  # after the last text or call
            before = self._done[-1].reasoning
            self._thoughts[:0] = [before] if before else []
            self._done[-1] = replace(self._done[-1], reasoning=self._thought())
        if self._left_out and not any(m.content or m.reasoning for m in self._done):
            left = ", ".join(dict.fromkeys(self._left_out))
            raise RowError(f"a message of {self._role!r} has no text, only {left}")
        return self._done

    def _part(self, part: object) -> None:
        if isinstance(part, str):
            self._texts.append(self._fields.as_text(part))
        elif not isinstance(part, dict):
            self._leave_out(kind_of(part))
        elif (kind := _kind(part)) in _TEXT:
            self._text(_first(part, _TEXT_KEYS))
        elif kind in _REASONING:
            self.think(_first(part, _REASONING_KEYS))
        elif kind in _CALL:
            value = _first(part, _CALL_KEYS)
            for call in _calls(part if value is MISSING else value):
                self.call(call if isinstance(call, str) else call_text(call))
        elif kind in _RESULT:
            self._result(_first(part, _RESULT_KEYS))
        else:
            unknown = f"a part of the unknown type {kind[:_LONGEST_NAME]!r}"
            self._leave_out(_NAMED.get(kind, unknown))

    def _text(self, text: object) -> None:
        if isinstance(text, str):
            self._texts.append(self._fields.as_text(text))
        else:
            self._leave_out("a text part without a text")

    def _result(self, content: object) -> None:
        self._end_text()
        result = Spoken("tool", self._fields)
        result.add("" if content is MISSING else content)
        self._done += result.messages()

    def _leave_out(self, what: str) -> None:
        self._left_out.append(what)
        self._fields.note(f"{what} left out")

    def _end_text(self, last: bool = False) -> None:
        text = "".join(self._texts)
        self._texts.clear()
        if text or (last and not self._done):
            self._done.append(Message(self._role, text, self._thought()))

    def _thought(self) -> str | None:
        thought = "\n\n".join(self._thoughts)
        self._thoughts.clear()
        return thought or None


def _kind(part: MappingType[str, object]) -> str:
    kind = part.get("type")
    return next((key for key in part if key in _NAMED), "text") if kind is None else str(kind)


def _first(part: MappingType[str, object], keys: tuple[str, ...]) -> object:
    """The first of these fields that holds something: Parquet gives every part every field."""
    return next((part[key] for key in keys if part.get(key) is not None), MISSING)


def _calls(value: object) -> list[object]:
    """The calls of a part: LLaMA-Factory writes one, or a list of them, as JSON text."""
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    return value if isinstance(value, list) else [value]


def call_text(call: object) -> str:
    """A tool call as {"name", "arguments"}; another shape as its JSON text."""
    function = call.get("function", call) if isinstance(call, dict) else call
    if not isinstance(function, dict) or "name" not in function:
        return json.dumps(call, ensure_ascii=False, default=str)
    held = (key for key in _ARGUMENT_KEYS if function.get(key) is not None)
    arguments = function.get(next(held, "arguments"), {})
    if isinstance(arguments, str):
        # Arguments that are not JSON are what the assistant said: they stay a text.
        with suppress(ValueError, RecursionError):
            arguments = json.loads(arguments)
    known = {"name": function["name"], "arguments": arguments}
    return json.dumps(known, ensure_ascii=False, default=str)
