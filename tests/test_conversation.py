"""conversation: turns, ids, JSON."""

from hypothesis import given
from hypothesis import strategies as st

from deita_core.conversation import ROLES, Conversation, Message, Turn, without_surrogates

messages = st.lists(st.builds(Message, st.sampled_from(ROLES), st.text(max_size=20)), max_size=12)


def chat(*pairs: tuple[str, str]) -> Conversation:
    return Conversation(tuple(Message(role, text) for role, text in pairs))


def test_each_user_message_opens_a_turn() -> None:
    made = chat(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
    assert made.turns == (Turn(0, "a", "b"), Turn(1, "c", "d"))


def test_a_system_message_does_not_shift_the_roles() -> None:
    assert chat(("system", "s"), ("user", "a"), ("assistant", "b")).turns == (Turn(0, "a", "b"),)


def test_a_user_message_without_an_answer_is_a_turn_without_a_response() -> None:
    made = chat(("user", "a"), ("user", "b"), ("assistant", "c"), ("user", "d"))
    assert made.turns == (Turn(0, "a", None), Turn(1, "b", "c"), Turn(2, "d", None))


def test_an_empty_answer_is_not_a_missing_one() -> None:
    assert chat(("user", "a"), ("assistant", "")).turns[0].response == ""


def test_what_the_assistant_says_before_the_first_user_message_is_in_no_turn() -> None:
    assert chat(("assistant", "hi"), ("user", "a"), ("assistant", "b")).turns == (
        Turn(0, "a", "b"),
    )


def test_function_calls_belong_to_the_response_and_tool_results_do_not() -> None:
    made = chat(("user", "a"), ("function_call", "f"), ("tool", "r"), ("assistant", "b"))
    assert made.turns == (Turn(0, "a", "f\n\nb"),)


def test_no_user_message_gives_no_turn() -> None:
    assert chat(("assistant", "a")).turns == ()


def test_tools_are_part_of_the_identity() -> None:
    said = (Message("user", "a"),)
    assert Conversation(said).id != Conversation(said, "[]").id


def test_the_id_does_not_depend_on_where_texts_are_split() -> None:
    assert chat(("user", "ab"), ("user", "c")).id != chat(("user", "a"), ("user", "bc")).id


@given(messages)
def test_json_gives_the_same_conversation_back(said: list[Message]) -> None:
    made = Conversation(tuple(said))
    assert Conversation.from_json(made.to_json()).id == made.id


@given(messages)
def test_there_is_one_turn_for_each_user_message(said: list[Message]) -> None:
    made = Conversation(tuple(said))
    assert [t.instruction for t in made.turns] == [m.content for m in said if m.role == "user"]


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    assert without_surrogates("a\ud83d b\udc80") == "a\ufffd b\ufffd"
    assert without_surrogates("whole: \ud83d\ude00") == "whole: \U0001f600"
    assert without_surrogates("plain ü \U0001f600") == "plain ü \U0001f600"
