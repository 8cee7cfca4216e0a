"""What a search found is marked: in the conversation, in the list, and nothing comes to life."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import streamlit as st
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from deita_core.conversation import Conversation, Message
from studio.filters.found import excerpt, hits_in
from studio.rows.conversation import hits_told, split_turns
from studio.shell import state
from studio.shell.text import marked_html, safe_markdown
from tests.builders import prepared_project
from tests.test_filter_bar import explore
from tests.test_pages import APP, opened, texts
from tests.test_row_list import listed

MARK, END = ":orange-background[:orange[", "]]\u2060"
SIGNS = "ab![]()`~$:\\ \n#-|<>*1.http/"


def marked(text: str, *words: str) -> str:
    """The text as it is drawn, with the words marked."""
    found = [(at, at + len(w)) for w in words for at in range(len(text)) if text.startswith(w, at)]
    shown = safe_markdown(text, sorted(found)).replace(MARK, "<").replace(END, ">")
    return shown.replace("\u2060", "").rstrip()


@pytest.mark.parametrize(
    ("text", "word", "drawn"),
    [
        ("rye bread", "bread", "rye <bread>"),
        ("a **bread** for $5", "bread", r"a **<bread>** for \$5"),
        ("- bread", "- bread", "- <bread>"),
        (r"\frac{1}", "frac", r"<\frac>{1}"),
        (":red[x]", "red", r"<\:red>[x]"),
        ("[bread](http://bread.org)", "bread", "[<bread>](http://bread.org)"),
        ("| bread | rye |", "bread | rye", "| bread | rye |"),
        ("eat `bread`", "bread", "eat `bread`"),
        ("```\nbread\n```", "bread", "```\nbread\n```"),
        ("x](y", "](", "x](y"),
    ],
)
def test_hits_are_marked_where_markdown_allows_it(text: str, word: str, drawn: str) -> None:
    assert marked(text, word) == drawn


@given(
    some.text(alphabet=SIGNS, max_size=40),
    some.lists(some.integers(0, 40), max_size=4, unique=True).map(sorted),
)
def test_marks_are_put_in_and_nothing_else_is_changed(text: str, cuts: list[int]) -> None:
    cuts = [cut for cut in cuts if cut <= len(text)]
    shown = safe_markdown(text, list(zip(cuts[::2], cuts[1::2], strict=False)))
    while (at := shown.rfind(MARK)) >= 0:
        end = shown.index(END, at)
        shown = shown[:at] + shown[at + len(MARK) : end] + shown[end + len(END) :]
    assert shown == safe_markdown(text)


def test_plain_text_is_taken_literally_around_its_marks() -> None:
    shown = re.sub("<mark[^>]*>", "{", marked_html("<b>&bread</b>", [(4, 9)]))
    assert shown == "&lt;b&gt;&amp;{bread</mark>&lt;/b&gt;"


@pytest.fixture
def searching(monkeypatch) -> None:
    monkeypatch.setattr(st, "session_state", {state.MARKED: ('"rye bread" /b[ae]ked?/', "RYE")})


def test_words_phrases_and_expressions_are_found(searching: None) -> None:
    said = Conversation((Message("user", "Rye bread?"), Message("assistant", "Baked rye.")))
    found = [said.messages[hit.message].content[hit.start : hit.end] for hit in hits_in(said)]
    assert found == ["Rye bread", "rye"]


def test_an_excerpt_shows_the_first_hit_in_one_line(searching: None) -> None:
    text = "word " * 20 + "\n\nthen rye and rye again. " + "y" * 300
    line = excerpt(Conversation((Message("user", text),)))
    assert line is not None
    assert "then «rye» and «rye» again." in line
    assert line.startswith("… word ")
    assert line.endswith("y …")
    assert len(line) < 175
    assert excerpt(Conversation((Message("user", "wheat"),))) is None


def test_the_hits_of_a_long_chat_are_told_with_their_turns(searching: None) -> None:
    turns = [Message("user", "rye" if n in (2, 11) else "oats") for n in range(12)]
    chat = Conversation((Message("system", "rye"), *turns))
    told = hits_told(hits_in(chat), *split_turns(chat.messages))
    assert told == "3 hits of the search, in turns 3, 12."


@pytest.fixture
def path(projects: Path) -> Path:
    projects.mkdir()
    return prepared_project(projects / "topics.duckdb")


def test_a_search_is_marked_in_list_and_conversation_and_on_no_other_page(path: Path) -> None:
    page = explore(AppTest.from_file(APP, default_timeout=60), filter='search="item 5."')
    page.text_input(key="search_text").set_value("bread").run()
    assert not page.exception, page.exception
    ((shown, _, _),) = listed(page)["lines"]
    assert "«bread»" in shown.lower()
    page = opened(page, "select")
    assert "«" not in "".join(text for text, _, _ in listed(page)["lines"])
    assert "hits" not in texts(page)
