"""The names that files give to the roles of a conversation."""

from __future__ import annotations

from collections.abc import Mapping as MappingType

from deita_core.conversation import Role

# Lower case; a file's own names (localised ones, too) come through Mapping.roles.
ROLE_NAMES: dict[str, Role] = {
    "user": "user",
    "human": "user",
    "prompter": "user",
    "customer": "user",
    "question": "user",
    "instruction": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "claude": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "llm": "assistant",
    "answer": "assistant",
    "response": "assistant",
    "system": "system",
    "developer": "system",
    "system_prompt": "system",
    "function_call": "function_call",
    "function-call": "function_call",
    "tool_call": "function_call",
    "tool": "tool",
    "observation": "tool",
    "function": "tool",
    "function_response": "tool",
    "function-response": "tool",
    "tool_response": "tool",
    "tool_result": "tool",
    "ipython": "tool",
}


def role_of(name: object, own: MappingType[str, str]) -> Role | None:
    """Our role for a file's name; `own` (Mapping.roles) comes first. None when unknown."""
    if not isinstance(name, str):
        return None
    plain = name.strip()
    mapped = own.get(name, own.get(plain, plain)).lower()
    return ROLE_NAMES.get(mapped)
