"""Alpaca: what fits, and what is refused rather than bent."""

from __future__ import annotations

import pytest
from export_samples import LONG, PLAIN, TOOLS, chat, row

from deita_core.formats.write.export_format import NotExpressibleError
from deita_core.formats.write.records import alpaca_record as record


def test_a_single_turn_is_instruction_and_output():
    assert record(row(PLAIN)) == {
        "instruction": "Why is the sky blue?",
        "input": "",
        "output": "Rayleigh scattering.",
        "system": "",
        "history": [],
    }


def test_earlier_turns_become_history_and_the_system_message_a_field():
    made = record(row(LONG))
    assert made["system"] == "Be brief."
    assert made["history"] == [["Hi", "Hello!"]]
    assert made["output"] == "好的 🌦"


def test_a_missing_last_answer_is_null_and_an_empty_one_empty():
    asked = record(row(chat(("user", "a"), ("assistant", "b"), ("user", "c"))))
    assert (asked["instruction"], asked["output"], asked["history"]) == ("c", None, [["a", "b"]])
    assert record(row(chat(("user", "a"), ("assistant", ""))))["output"] == ""


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        (TOOLS, "no place for tools"),
        (chat(("assistant", "Hi"), ("user", "Hi")), "the user does not start"),
        (chat(("assistant", "Hi")), "the user does not start"),
        (chat(("system", "S")), "the user does not start"),
        (chat(("system", ""), ("user", "a"), ("assistant", "b")), "empty system message"),
        (chat(("user", "a"), ("user", "b"), ("assistant", "c")), "alternate"),
        (chat(("user", "a"), ("assistant", "b"), ("assistant", "c")), "alternate"),
        (chat(("user", "a"), ("system", "S"), ("assistant", "b")), "after the start"),
    ],
)
def test_other_shapes_are_refused_with_the_reason(conversation, reason):
    with pytest.raises(NotExpressibleError, match=reason):
        record(row(conversation))
