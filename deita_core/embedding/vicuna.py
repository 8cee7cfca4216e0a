"""A whole conversation as one text, in the template Vicuna v1.1 (as the paper embeds it).

    A chat between ... questions. USER: one ASSISTANT: two</s>USER: three ASSISTANT: four</s>

One blank stands after the system sentence and after each user message, "</s>" (which the
tokenizers of LLaMA and Mistral read as their end mark) after each answer, and nothing before
the next "USER:". A message without text leaves the bare name of its speaker.
"""

from __future__ import annotations

from deita_core.conversation import Conversation, Message

NAME = "vicuna_v1.1"
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
# Tool results are unknown to the template and to the paper: they speak under a name of their own.
_NAMES = {"user": "USER", "assistant": "ASSISTANT", "function_call": "ASSISTANT", "tool": "TOOL"}
_ENDS = {"user": " ", "assistant": "</s>", "function_call": "</s>", "tool": " "}


def vicuna_text(conversation: Conversation) -> str:
    """The conversation in the template.

    A system message of its own takes the place of the usual sentence. What the assistant says
    before the first user message is left out, as in the reference.
    """
    said = [message for message in conversation.messages if message.role != "system"]
    users = [place for place, message in enumerate(said) if message.role == "user"]
    system = conversation.system or SYSTEM
    return f"{system} " + "".join(map(_line, said[users[0] if users else 0 :]))


def _line(message: Message) -> str:
    name = f"{_NAMES[message.role]}:"
    return f"{name} {message.content}{_ENDS[message.role]}" if message.content else name
