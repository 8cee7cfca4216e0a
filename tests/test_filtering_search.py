"""filtering.search: words, phrases and regular expressions, which rows they hit and where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deita_core.conversation import Conversation, Message
from deita_core.errors import FilterError
from deita_core.filtering.search import Hit, found_rows, hits, merged, parse_query
from deita_core.project import Project
from tests.builders import imported_project

SAID = [
    ("How long does sourdough rise?", 'He said "a day", C:\\bread.'),
    ("100% sure of it", "Yes\nand no."),
    ("100 sure", "user and assistant are roles."),
    ("Ist das GRÜSSE wert?", "面包 with 🙂 inside"),
    ("cat", "scatter the cats, Cat"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory):
    lines = (json.dumps({"instruction": one, "output": two}) for one, two in SAID)
    path = tmp_path_factory.mktemp("search") / "said.duckdb"
    with Project.open(imported_project(path, "\n".join(lines))) as opened:
        yield opened


def rows(project: Project, query: str) -> list[int]:
    return found_rows(project, query).tolist()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sourdough", [0]),
        ("SourDough RISE", [0]),
        ("rise bread", [0]),
        ('"long does"', [0]),
        ('"does long"', []),
        ('"0% S"', [1]),
        ("100", [1, 2]),
        ("user", [2]),
        ("role", [2]),
        ("content", []),
        ("grüsse", [3]),
        ("面包", [3]),
        ("🙂", [3]),
        ("C:\\bread", [0]),
        ('a" day', []),
        ("/[Cc]at\\b/", [4]),
        ("/^cat/", [4]),
        ("/Yes.and/", []),
        ("/(?s)Yes.and/", [1]),
        ("/100%? sure/", [1, 2]),
        ("and/or", []),
        ("_____", []),
    ],
)
def test_a_search_finds_these_rows(query: str, found: list[int], project: Project):
    assert rows(project, query) == found


def naive(query: str) -> list[int]:
    """Every row, every message, one term after the other."""
    found = []
    for row, said in enumerate(SAID):
        terms = query.split()
        if all(any(term.lower() in text.lower() for text in said) for term in terms):
            found.append(row)
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(words=st.lists(st.text("aceu 0%rst:\\.", min_size=1, max_size=3), min_size=1, max_size=3))
def test_words_find_what_a_plain_loop_finds(words: list[str], project: Project):
    query = " ".join(words)
    if query.strip():
        assert rows(project, query) == naive(query)


def test_the_rows_found_are_those_with_hits(project: Project):
    for query in ("cat", "sure 100", "/[aeiou]{2}/", '"the cats"'):
        with_hits = [
            row
            for row, said in enumerate(SAID)
            if {term.pattern for term in parse_query(query)}
            == {
                term.pattern
                for term in parse_query(query)
                if hits(
                    f"/{term.pattern}/" if term.literal is None else f'"{term.literal}"', of(said)
                )
            }
        ]
        assert rows(project, query) == with_hits, query


def of(said: tuple[str, str]) -> Conversation:
    return Conversation((Message("user", said[0]), Message("assistant", said[1])))


def test_hits_are_the_places_in_the_messages():
    found = hits("cat", of(SAID[4]))
    assert found == [Hit(0, 0, 3), Hit(1, 1, 4), Hit(1, 12, 15), Hit(1, 18, 21)]
    assert [SAID[4][1][hit.start : hit.end] for hit in found[1:]] == ["cat", "cat", "Cat"]


def test_places_count_characters_and_not_bytes():
    assert hits("inside", of(SAID[3])) == [Hit(1, 10, 16)]


def test_hits_of_several_terms_merge_for_marking():
    conversation = Conversation((Message("user", "sourdough"), Message("user", "dough")))
    assert merged(hits("sourd dough", conversation)) == [Hit(0, 0, 9), Hit(1, 0, 5)]


def test_an_empty_match_is_no_hit():
    assert hits("/x*/", of(SAID[4])) == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "the search is empty"),
        ("  ", "the search is empty"),
        ("/(a/", r"at character 1: missing \): \(a"),
        ("/a(?=b)/", "without lookarounds"),
        ("/(a)\\1/", "invalid escape sequence"),
        ("/a{1001}/", "invalid repetition size"),
        (" ".join("abcdefghijklmnopqrstu"), "21 terms: 20 at most"),
        ("x" * 2001, "2,001 characters: 2,000 at most"),
    ],
)
def test_a_search_that_cannot_be_read_says_why(query: str, said: str):
    with pytest.raises(FilterError, match=said):
        parse_query(query)


def test_a_slow_expression_of_other_engines_is_quick_here(project: Project):
    assert rows(project, "/(a+)+$x/") == []


def test_a_path_is_a_word_and_no_expression():
    (term,) = parse_query("/etc/passwd")
    assert term.literal == "/etc/passwd"


def test_half_a_surrogate_pair_is_searched_as_what_stands_for_it(project: Project):
    assert rows(project, "\ud800") == []


def test_a_search_leaves_the_project_file_as_it_was(project: Project, tmp_path: Path):
    before = project.data_version()
    rows(project, "'; DROP TABLE conversations; --")
    assert project.data_version() == before
    assert project.number("SELECT count(*) FROM conversations") == len(SAID)
