"""Conditions, quotas and the other parts of a rule: checks, words and JSON."""

import json

import pytest

from deita_core.errors import SelectionError
from deita_core.selection import Condition, Quota, SelectionRule

FULL = SelectionRule(
    budget=1000,
    budget_unit="tokens",
    complexity_weight=0.5,
    conditions=(Condition("complexity", low=2), Condition("tokens", 10, 12_000)),
    quotas=(Quota("source", "a.json", share=0.2), Quota("language", "*", most=30)),
    pinned=("aa", "bb"),
    excluded=("cc",),
    pin_place="rank",
)


def test_every_part_comes_back_from_json() -> None:
    assert SelectionRule.from_json(FULL.to_json()) == FULL
    assert json.loads(FULL.to_json())["quotas"][0] == {
        "column": "source",
        "name": "a.json",
        "most": None,
        "share": 0.2,
    }


def test_what_a_rule_leaves_out_takes_its_default() -> None:
    short = {
        "version": 2,
        "strategy": "top_score",
        "threshold": 0.8,
        "budget": 5,
        "languages": ["en"],
    }
    expected = SelectionRule("top_score", 0.8, 5, languages=("en",))
    assert SelectionRule.from_dict(short) == expected


def test_a_rule_describes_its_parts() -> None:
    assert FULL.describe() == (
        "Repr Filter at similarity 0.90 (distance 0.10); budget 1,000 tokens; turns: sum; "
        "score: complexity^0.5 x quality^1; complexity at least 2; tokens 10 to 12,000; "
        "source a.json: at most 20 %; each language: at most 30; 2 pinned (at their rank); "
        "1 excluded"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"budget_unit": "words"}', "budget_unit must be rows or tokens, got 'words'"),
        ('{"pin_place": "last"}', "pin_place must be first or rank"),
        ('{"complexity_weight": -1}', "must be 0 or more and not both 0, got -1 and 1"),
        ('{"complexity_weight": 0, "quality_weight": 0}', "not both 0"),
        ('{"complexity_weight": "1"}', "complexity_weight must be a number"),
        ('{"conditions": [{"column": "length", "low": 1}]}', "column is one of complexity"),
        ('{"conditions": [{"column": "tokens"}]}', "tokens has no bound"),
        ('{"conditions": [{"column": "tokens", "low": 3, "high": 2}]}', "swap them"),
        ('{"conditions": [{"low": 3}]}', "a condition lacks 'column'; it has column, low, high"),
        (
            '{"conditions": [{"column": "tokens", "at": 3}]}',
            "has no 'at'; it has column",
        ),
        ('{"conditions": ["tokens"]}', "a condition must be a JSON object"),
        ('{"conditions": "tokens"}', "conditions must be a list"),
        ('{"quotas": [{"column": "colour", "name": "red", "most": 1}]}', "column is one of source"),
        ('{"quotas": [{"column": "source", "name": "a"}]}', "either most"),
        ('{"quotas": [{"column": "source", "name": "a", "most": -1}]}', "0 or more, got -1"),
        ('{"quotas": [{"column": "source", "name": "a", "share": 0.5}]}', "A share needs a budget"),
        ('{"pinned": ["a", "b"], "excluded": ["b"]}', "both pinned and excluded, first b"),
        ('{"pinned": [1]}', "pinned must be a list of names"),
    ],
)
def test_bad_parts_are_named(text: str, words: str) -> None:
    with pytest.raises(SelectionError, match=words):
        SelectionRule.from_json(text)


def test_a_rule_has_at_most_as_many_conditions_as_have_codes() -> None:
    with pytest.raises(SelectionError, match="41 conditions: a rule has at most 40"):
        SelectionRule(conditions=(Condition("turns", low=1),) * 41)


def test_rules_about_clusters_need_the_graph() -> None:
    assert not FULL.needs_graph
    assert SelectionRule(quotas=(Quota("cluster", "*", most=3),)).needs_graph
    assert SelectionRule(conditions=(Condition("cluster", 1, 1),)).needs_graph
    assert SelectionRule(strategy="facility_location").needs_graph
