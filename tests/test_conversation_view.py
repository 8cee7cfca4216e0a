"""A conversation on the page: safe, complete, and with its scores."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from deita_core.conversation import Conversation, Message
from studio.rows.conversation import TurnScore, split_turns, turn_heading
from studio.shell.text import (
    escape,
    escape_badge,
    is_right_to_left,
    markdown_right_to_left,
    plain_right_to_left,
    safe_markdown,
)

J = "\u2060"


def seen(text: str) -> str:
    """The text without what nobody sees."""
    return text.replace(J, "")


@pytest.mark.parametrize(
    "text",
    ["![a](http://x/i.png)", "![a][r]", "`![a](http://x/i.png)`", "\\` ![a](http://x) `",
     "```\n![a](http://x)\n```", "- x\n      ![a](http://x)", "![![a](b)](c)"],
)  # fmt: skip
def test_no_image_is_left_in_markdown(text):
    assert "![" not in safe_markdown(text)


@given(some.text(alphabet="![]()`~$:\\a \n#-", max_size=60))
def test_no_image_is_left_whatever_surrounds_it(text):
    assert "![" not in safe_markdown(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("costs $5 or $6", r"costs \$5 or \$6  "),
        (r"already \$5", r"already \$5  "),
        (r"even \\$5", r"even \\\$5  "),
        (":red[x]", rf"\:{J}red[x]  "),
        (":material/home:", rf"\:{J}material/home:  "),
        ("at 10:30, see: this", "at 10:30, see: this  "),
        ("a -> b", f"a -{J}> b  "),
        ("# Big", "###### Big  "),
        ("> quoted", "> quoted  "),
    ],
)
def test_what_streamlit_adds_to_markdown_is_taken_literally(text, shown):
    assert safe_markdown(text) == shown


@pytest.mark.parametrize("text", ["`$x: :red[y]`", "``a ` $b``", "|:--|--:|"])
def test_code_and_tables_are_left_alone(text):
    assert safe_markdown(text).rstrip() == text


def test_addresses_stay_whole():
    address = "https://en.wikipedia.org/wiki/Help:Contents"
    assert address in safe_markdown(f"see [this]({address}) or {address}")


@pytest.mark.parametrize(
    "target", ["javascript:run()", "data:text/html,x", "/select?project=x", "../x", "//x.y", " \\"]
)
def test_only_an_address_is_a_link(target):
    assert f"]{J}({target[:1]}" in safe_markdown(f"[press]({target})")
    assert safe_markdown(f"[1]: {target}").startswith(f"[1]{J}:")


def test_a_label_has_no_link_at_all():
    text = "http://a.b https://c.d www.e.f g@h.i"
    assert escape(text).replace("\\", "") == (f"http:{J}//a.b https:{J}//c.d www{J}.e.f g{J}@h.i")


def test_a_diagram_is_shown_as_its_text():
    assert safe_markdown("```mermaid\ngraph\n```") == "```text\ngraph\n```"


def test_a_code_block_keeps_its_language_and_text():
    block = "```python\nprice = f'${x}'  # -> y\n```"
    assert safe_markdown(block) == block


def test_a_code_block_that_is_never_closed_is_closed():
    assert safe_markdown("~~~\ncode").endswith("\n~~~")


def test_an_underlined_heading_is_no_heading():
    assert "\\===" in safe_markdown("Title\n===")
    assert safe_markdown("Title\n---").endswith("\n\n---")


def test_a_label_shows_every_sign():
    assert escape("a_b *c* [d] :red[e]\n$f$") == (
        rf"a\_b \*c\* \[d\] :{J}red\[e\] \$f\$"
    )  # fmt: skip
    assert escape_badge("a[1].json") == r"a[1]\.json"


def test_arabic_is_right_to_left_and_english_is_not():
    assert is_right_to_left("مرحبا Bob")
    assert not is_right_to_left("Hello مر")
    assert not is_right_to_left("123")


def test_plain_right_to_left_text_only_gains_marks():
    text = "- שלום\n\n1. עולם"
    marked = plain_right_to_left(text)
    assert marked.replace("\u2067", "").replace("\u2069", "") == text


def test_right_to_left_lists_become_lines():
    assert markdown_right_to_left("- שלום") == "\u2067• שלום\u2069"
    assert markdown_right_to_left("```\n- x\n```") == "```\n- x\n```"


MESSAGES = (
    Message("system", "be kind"),
    Message("user", "one"),
    Message("function_call", "f()"),
    Message("tool", "3"),
    Message("assistant", "three"),
    Message("user", "two"),
)


def test_turns_line_up_with_those_of_the_conversation():
    prelude, turns = split_turns(MESSAGES)
    assert [m.role for m in prelude] == ["system"]
    assert [len(turn) for turn in turns] == [4, 1]
    assert len(turns) == len(Conversation(MESSAGES).turns)
    assert (*prelude, *turns[0], *turns[1]) == MESSAGES


def test_messages_without_a_user_are_all_prelude():
    assert split_turns(MESSAGES[:1]) == (MESSAGES[:1], ())


def test_a_missing_score_shows_its_reason():
    heading = turn_heading(0, 2, TurnScore(3.0, None, None, "no response"))
    assert heading == "**Turn 1 of 2** · complexity 3.00 · no quality: no response"


def test_a_turn_without_scores_says_so():
    assert "not scored yet" in turn_heading(1, 2, None)


def page(messages: list[list[str]], original: str | None = None) -> None:
    from deita_core.conversation import Conversation, Message
    from studio.rows.conversation import RowHeader, conversation_view

    conversation_view(
        Conversation(tuple(Message(*message) for message in messages)),
        key="view",
        facts=RowHeader(status=1, evol_score=12.5, language="a[1]", flags=("cut_off",)),
        original=original,
    )


def run(messages: list[list[str]], original: str | None = None) -> AppTest:
    app = AppTest.from_function(page, args=(messages, original), default_timeout=20).run()
    assert not app.exception
    return app


def test_the_page_shows_the_facts_and_each_message():
    app = run([["user", "hello"], ["assistant", "hi"], ["user", "bye"]])
    shown = " ".join(m.value for m in app.markdown)
    for part in ("near-duplicate", "evol score 12.50", "a\\[1\\]", "cut off", "hello", "hi"):
        assert part in shown
    assert "No response." in [c.value for c in app.caption]


def test_plain_shows_the_exact_text():
    app = run([["user", "# $a$\n![x](http://y)"]])
    app.get_by_key("view_view").set_value("Plain").run()
    assert [t.value for t in app.text] == ["# $a$\n![x](http://y)"]


def test_the_original_record_is_shown_as_it_was():
    app = run([["user", "hello"]], '{"a": "é"}')
    app.get_by_key("view_view").set_value("Original record").run()
    assert [c.value for c in app.code] == ['{\n  "a": "é"\n}']


def test_a_long_chat_comes_in_pages():
    app = run([[role, f"{role} {i}"] for i in range(330) for role in ("user", "assistant")])
    assert len(app.chat_message) == 20
    assert "Turns 1 to 10 of 330" in [c.value for c in app.caption]


def test_an_endless_message_is_cut_and_says_so():
    app = run([["user", "x" * 30_000]])
    assert any("first 20,000 of 30,000 characters" in c.value for c in app.caption)


def test_a_conversation_without_messages_is_no_error():
    assert len(run([]).chat_message) == 0


def test_reasoning_is_folded_above_its_message():
    app = run([["user", "hello"], ["assistant", "hi", "They *greet* me."]])
    (folded,) = app.expander
    assert folded.label.startswith("Reasoning")
    assert "They *greet* me." in folded.markdown[0].value


def searched() -> None:
    from deita_core.conversation import Conversation, Message
    from deita_core.filtering.search import Hit
    from studio.rows.conversation import conversation_view

    said = (Message("user", "rye `rye`"), Message("tool", "{rye}"))
    hits = (Hit(0, 0, 3), Hit(0, 5, 8), Hit(1, 1, 4))
    conversation_view(Conversation(said), key="view", hits=hits)


def test_a_hit_that_markdown_cannot_mark_is_told_and_a_tools_text_is_marked():
    app = AppTest.from_function(searched, default_timeout=20).run()
    assert not app.exception
    told = [c.value for c in app.caption if "Plain marks it" in c.value]
    assert len(told) == 1
    assert not app.code
    assert "{<mark" in app.get("html")[0].proto.body
    app.get_by_key("view_view").set_value("Plain").run()
    assert not [c for c in app.caption if "Plain marks it" in c.value]
