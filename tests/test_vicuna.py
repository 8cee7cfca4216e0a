"""embedding.vicuna: the template, blank by blank."""

from deita_core.conversation import Conversation, Message, Role
from deita_core.embedding.protocol import SYSTEM, vicuna_text


def text(*said: tuple[Role, str]) -> str:
    return vicuna_text(Conversation(tuple(Message(role, content) for role, content in said)))


def test_two_turns():
    assert text(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")) == (
        "A chat between a curious user and an artificial intelligence assistant. The assistant "
        "gives helpful, detailed, and polite answers to the user's questions. "
        "USER: a ASSISTANT: b</s>USER: c ASSISTANT: d</s>"
    )


def test_an_open_question_ends_with_a_blank():
    assert text(("user", "a")) == f"{SYSTEM} USER: a "


def test_an_empty_message_leaves_the_name_of_its_speaker():
    assert text(("user", "a"), ("assistant", "")) == f"{SYSTEM} USER: a ASSISTANT:"


def test_a_system_message_takes_the_place_of_the_usual_sentence():
    assert text(("system", "Be brief."), ("user", "a")) == "Be brief. USER: a "


def test_what_the_assistant_says_before_the_first_question_is_left_out():
    assert text(("assistant", "Hello"), ("user", "a")) == f"{SYSTEM} USER: a "


def test_tool_results_speak_under_their_own_name():
    said = text(("user", "a"), ("function_call", "{}"), ("tool", "7"), ("assistant", "seven"))
    assert said == f"{SYSTEM} USER: a ASSISTANT: {{}}</s>TOOL: 7 ASSISTANT: seven</s>"
