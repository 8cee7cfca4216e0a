"""filtering.filter: the parts of a filter, and the short text that stands for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_core.errors import FilterError
from deita_core.filtering.filter import (
    MOST_EXAMPLES,
    MOST_PARTS,
    USUAL_MOST,
    Bounds,
    Contains,
    Filter,
    Near,
    OneOf,
    Part,
    Search,
    Where,
    parse_filter,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
hard = st.sampled_from(
    ["a..b", "a;b", "x,y", "p=q", " a ", "\\", "!~", "@#", "\n", "..", "a\\", "é"]
)
any_text = texts | hard
some_texts = st.lists(any_text, min_size=1, max_size=4, unique=True).map(tuple)
columns = any_text.filter(lambda name: name not in ("search", "meaning", "like", "where"))
numbers = st.floats(allow_nan=False, allow_infinity=False)
parts = st.one_of(
    st.builds(
        lambda column, ends: Bounds(column=column, low=min(ends), high=max(ends)),
        columns,
        st.lists(numbers, min_size=2, max_size=2),
    ),
    st.builds(lambda column, low: Bounds(column=column, low=low), columns, numbers),
    st.builds(lambda column, high: Bounds(column=column, high=high), columns, numbers),
    st.builds(OneOf, column=columns, names=some_texts, without=st.booleans()),
    st.builds(Contains, column=columns, text=any_text, without=st.booleans()),
    st.builds(lambda words: Search(query=words), any_text.filter(lambda t: t.strip())),
    st.builds(lambda sql: Where(sql=sql), any_text),
    st.builds(
        Near,
        texts=some_texts,
        least=st.none() | st.floats(-1, 1),
        most=st.none() | st.integers(1, 10**6),
    ),
    st.builds(Near, ids=some_texts, most=st.integers(1, 10**6)),
)


@given(st.lists(parts, max_size=6, unique=True))
def test_a_filter_comes_back_from_its_short_text(chosen: list[Part]):
    wanted = Filter(parts=tuple(chosen))
    assert parse_filter(wanted.to_text()).strict() == wanted


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("quality=4..", Bounds(column="quality", low=4.0)),
        ("tokens = ..2048", Bounds(column="tokens", high=2048.0)),
        ("evol_score=1.5..2.5", Bounds(column="evol_score", low=1.5, high=2.5)),
        ("language=de, fr", OneOf(column="language", names=("de", "fr"))),
        ("flag!=refusal", OneOf(column="flag", names=("refusal",), without=True)),
        ("cluster=3", OneOf(column="cluster", names=("3",))),
        ("record.title~sour dough", Contains(column="record.title", text="sour dough")),
        ("file!~draft", Contains(column="file", text="draft", without=True)),
        ("search=bread /ry[e]/", Search(query="bread /ry[e]/")),
        ("meaning=baking bread@0.5", Near(texts=("baking bread",), least=0.5)),
        ("like=ab,cd#20", Near(ids=("ab", "cd"), most=20)),
        ("where=turns > 2 AND tokens <= 9", Where(sql="turns > 2 AND tokens <= 9")),
    ],
)
def test_what_a_person_types_is_read(text: str, part: Part):
    assert parse_filter(text).strict().parts == (part,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("quality", "a part of a filter is COLUMN=LOW..HIGH"),
        ("quality=high..", "'high' of quality is not a number"),
        ("quality=5..4", "from 5 to 4 lets no row through: swap them"),
        ("quality=..", "has no bound"),
        ("quality=", "got ''"),
        ("quality=nan..", "finite"),
        ("search~bread", "search takes =, got ~"),
        ("search=/(a/", "missing ): (a"),
        ("meaning=a@high", "'high' of meaning is not a number"),
        ("meaning=a@2", "less than or equal to 1"),
        ("meaning=a#some", "is not a whole number of rows"),
        ("meaning=a#1#2", "one #MOST"),
        ("meaning=" + ",".join(map(str, range(MOST_EXAMPLES + 1))), "51 examples are too many"),
    ],
)
def test_what_cannot_be_read_is_said_and_the_rest_stays(text: str, said: str):
    found = parse_filter(f"turns=2..;{text};tokens=..9")
    assert [part.column for part in found.filter.parts if isinstance(part, Bounds)] == [
        "turns",
        "tokens",
    ]
    (problem,) = found.problems
    assert said in problem
    with pytest.raises(FilterError):
        found.strict()


def test_a_filter_has_at_most_so_many_parts():
    text = ";".join(f"turns={n}.." for n in range(MOST_PARTS + 1))
    assert f"at most {MOST_PARTS}" in parse_filter(text).problems[0]
    with pytest.raises(FilterError, match=f"at most {MOST_PARTS}"):
        Filter(parts=tuple(Bounds(column="turns", low=float(n)) for n in range(MOST_PARTS + 1)))


def test_no_text_is_the_filter_of_all_rows():
    assert parse_filter(" ; ").strict() == Filter()
    assert Filter().describe() == "all rows"


def test_a_part_is_put_in_once_and_taken_out():
    part = Bounds(column="turns", low=2.0)
    wanted = Filter().and_(part).and_(part)
    assert wanted.parts == (part,)
    assert not wanted.without(part)


def test_closeness_without_a_bound_means_the_usual_number():
    assert Near(texts=("a",)).limit == USUAL_MOST
    assert Near(texts=("a",), least=0.5).limit is None


def test_a_filter_says_what_it_is_in_plain_words():
    text = "quality=4..;language=de,fr;flag!=refusal;meaning=bread#5"
    assert parse_filter(text).strict().describe() == (
        "quality at least 4; language de or fr; not flag refusal; about “bread”, the closest 5"
    )
