"""Tags: read, written alike, merged by meaning, counted; complexity and diversity by them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_core.errors import EvolvingError
from deita_core.evolving.prompts import our_prompts
from deita_core.evolving.tags import (
    TagRule,
    make_alike,
    read_tags,
    tag_instruction,
    written_alike,
)
from tests.scripted_chat import in_turn

AS_WRITTEN = TagRule(similarity=None)


def tagged(*answers: str) -> tuple[tuple[str, ...] | None, str | None, int]:
    chat = in_turn(answers)
    reply = asyncio.run(tag_instruction(chat, "Convert 3 miles to km.", our_prompts()))
    assert len(reply.requests) == len(chat.asked)
    assert "Convert 3 miles to km." in chat.asked[0].messages[1][1]
    return reply.value, reply.reason, len(chat.asked)


def test_tags_come_as_the_model_gave_them_without_repeats():
    answer = '{"tags": ["Unit conversion", "math", " math "]}'
    assert tagged(answer) == (("Unit conversion", "math"), None, 1)
    assert read_tags('{"tags": [{"tag": "math", "explanation": "a sum"}]}') == ("math",)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("unit conversion, math", 'list "tags"'),
        ('{"tags": "math"}', 'list "tags"'),
        ('{"tags": []}', "0 tags, not 1 to 40"),
        (json.dumps({"tags": list(map(str, range(41)))}), "41 tags"),
        ('{"tags": ["..."]}', "'...' is no tag"),
        ('{"tags": [3]}', "3 is no tag"),
        (json.dumps({"tags": ["long " * 20]}), "at most 60 characters"),
    ],
)
def test_an_answer_without_tags_is_repaired_once_and_then_has_a_reason(answer: str, problem: str):
    assert tagged(answer, '{"tags": ["math"]}') == (("math",), None, 2)
    value, reason, _ = tagged(answer, answer)
    assert value is None
    assert problem in str(reason)


@pytest.mark.parametrize(
    ("tag", "alike"),
    [
        ("Unit-Conversion", "unit conversion"),
        ("  unit_conversion!", "unit conversion"),
        ("C++", "c++"),
        ("C# / F#", "c# f#"),
        ("#python", "python"),
        ("Ｍａｔｈ", "math"),
        ("数学", "数学"),
        ("गणित", "गणित"),
        ("—", ""),
    ],
)
def test_tags_are_written_alike(tag: str, alike: str):
    assert written_alike(tag) == alike


@given(st.text(max_size=30))
def test_writing_alike_twice_changes_nothing_more(tag: str):
    assert written_alike(written_alike(tag)) == written_alike(tag)


def test_rows_have_each_tag_once_and_a_row_never_tagged_has_none():
    table = make_alike([["Math", "math"], None, ["Poem", "MATH"]], AS_WRITTEN)
    assert table.rows == (("math",), None, ("poem", "math"))
    assert list(table.counts.items()) == [("math", 2), ("poem", 1)]
    np.testing.assert_array_equal(table.complexity(), [1, np.nan, 2])


def test_tags_of_fewer_rows_than_the_least_are_dropped_and_counted():
    table = make_alike([["a", "b"], ["a", "c"], ["d"]], TagRule(least=2, similarity=None))
    assert table.rows == (("a",), ("a",), ())
    assert table.rare == 3
    assert table.became == {"a": "a", "b": None, "c": None, "d": None}
    np.testing.assert_array_equal(table.complexity(), [1, 1, 0])


def in_the_plane(tags: Sequence[str]) -> np.ndarray:
    """Tags as directions: their numbers are degrees."""
    angles = np.deg2rad([float(tag) for tag in tags])
    return 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_a_tag_is_merged_into_the_nearest_frequent_one_and_chains_are_not_made():
    rows = [["0"], ["0"], ["0"], ["20"], ["20"], ["40"]]
    table = make_alike(rows, TagRule(similarity=float(np.cos(np.deg2rad(25)))), in_the_plane)
    assert table.became == {"0": "0", "20": "0", "40": "40"}
    assert table.rows == (("0",),) * 5 + (("40",),)
    assert table.merged == 1


def test_a_rare_way_to_say_a_frequent_tag_counts_for_it():
    rows = [["0"], ["0"], ["1"], ["90"]]
    table = make_alike(rows, TagRule(least=3, similarity=0.9), in_the_plane)
    assert table.rows == (("0",), ("0",), ("0",), ())
    assert table.counts == {"0": 3}


@given(st.lists(st.lists(st.sampled_from(["0", "3", "40", "44", "90"]), max_size=4), max_size=8))
def test_merging_keeps_every_row_tagged_and_never_adds_tags(rows: list[list[str]]):
    table = make_alike(rows, TagRule(similarity=0.99), in_the_plane)
    for raw, made in zip(rows, table.rows, strict=True):
        assert made is not None
        assert bool(made) == bool(raw)
        assert len(set(made)) == len(made) <= len(set(raw))
    assert set(table.counts) == {tag for row in table.rows for tag in row or ()}


def test_merging_by_meaning_needs_vectors():
    with pytest.raises(EvolvingError, match="give an embedder, or merge none"):
        make_alike([["math"]], TagRule())
    with pytest.raises(EvolvingError, match=r"similarity of a rule for tags: .*got 1\.5"):
        TagRule(similarity=1.5)


def test_diversity_is_the_share_of_all_tags_that_a_set_has():
    table = make_alike([["a", "b"], ["b", "c"], ["d"], None], AS_WRITTEN)
    assert table.diversity([0]) == 0.5
    assert table.diversity([0, 1]) == 0.75
    assert table.diversity([0, 1, 2, 3]) == 1
    assert np.isnan(make_alike([None], AS_WRITTEN).diversity([0]))
