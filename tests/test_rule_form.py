"""Conditions and quotas as texts: what they describe can be read back."""

from __future__ import annotations

import pytest

from deita_core.errors import SelectionError
from deita_core.selection.rule import Condition, Quota
from studio.select.rule_form import parse_condition, parse_quota

CONDITIONS = (
    Condition("tokens", 50, 2000),
    Condition("evol_score", low=4.5),
    Condition("response_characters", high=12000),
    Condition("cluster", 3, 3),
)
QUOTAS = (
    Quota("language", "*", share=0.2),
    Quota("source", "a file: at most 3 %.json", most=500),
    Quota("cluster", "12", share=0.125),
    Quota("flag", "no response", most=0),
)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_is_read_back_from_its_description(condition: Condition) -> None:
    assert parse_condition(condition.describe()) == condition


@pytest.mark.parametrize("quota", QUOTAS)
def test_a_quota_is_read_back_from_its_description(quota: Quota) -> None:
    assert parse_quota(quota.describe()) == quota


@pytest.mark.parametrize("text", ["", "tokens", "tokens 5", "colour at least 3", "tokens a to b"])
def test_what_is_no_condition_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SelectionError, match="write, for example, tokens 50 to 2000"):
        parse_condition(text)


@pytest.mark.parametrize("text", ["", "each: at most 3", "language: at most 3", "language en 20 %"])
def test_what_is_no_quota_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SelectionError, match="write, for example, each language"):
        parse_quota(text)


def test_a_file_is_another_word_for_a_source() -> None:
    assert parse_quota("file a.json: at most 5") == Quota("source", "a.json", most=5)
