"""cli.options: the command line's way to write a selection rule."""

from pathlib import Path

import pytest
from typer import BadParameter, Typer

from deita_core.cli.options import RuleOptions, condition_of, grouped, ids_of, quota_of
from deita_core.errors import PathError, SelectionError
from deita_core.selection import Condition, Quota, SelectionRule


def rule(*options: str) -> SelectionRule:
    given: list[SelectionRule] = []

    def take(choosing: RuleOptions) -> None:
        given.append(choosing.rule())

    app = Typer()
    app.command()(grouped(take))
    app(options, standalone_mode=False)
    return given[0]


def test_without_options_it_is_the_default_rule() -> None:
    assert rule() == SelectionRule()


def test_every_part_of_a_rule_can_be_given() -> None:
    given = rule(
        *("--budget-tokens", "5000", "--complexity-weight", "0.5", "--quality-weight", "0"),
        *("--where", "complexity=2..", "--quota", "source:*=20%", "--pin", "aa", "--exclude", "bb"),
        *("--pin-place", "rank"),
    )
    assert given == SelectionRule(
        budget=5000,
        budget_unit="tokens",
        complexity_weight=0.5,
        quality_weight=0,
        conditions=(Condition("complexity", low=2),),
        quotas=(Quota("source", "*", share=0.2),),
        pinned=("aa",),
        excluded=("bb",),
        pin_place="rank",
    )


def test_a_budget_is_in_rows_or_in_tokens() -> None:
    with pytest.raises(BadParameter, match="cannot be given together"):
        rule("--budget", "5", "--budget-tokens", "5000")


@pytest.mark.parametrize(
    ("text", "low", "high"), [("tokens=2..4.5", 2, 4.5), ("tokens=..8", None, 8)]
)
def test_bounds_may_be_left_out(text: str, low: float | None, high: float | None) -> None:
    assert condition_of(text) == Condition("tokens", low, high)


def test_names_in_quotas_may_hold_colons_and_equals_signs() -> None:
    assert quota_of("source:a=b:c.json=10") == Quota("source", "a=b:c.json", most=10)


@pytest.mark.parametrize(
    ("make", "text", "words"),
    [
        (condition_of, "tokens=5", "takes COLUMN=LOW..HIGH"),
        (condition_of, "tokens=few..5", "'few' in 'tokens=few..5' is not a number"),
        (condition_of, "tokens=..", "has no bound"),
        (condition_of, "length=1..2", "column is one of complexity, quality"),
        (quota_of, "source=5", "takes COLUMN:NAME=N or N%"),
        (quota_of, "source:a=1.5", "must be whole"),
        (quota_of, "source:a=inf", "must be whole"),
        (quota_of, "source:a=200%", "must be above 0 and at most 1, got 2"),
        (quota_of, "colour:red=5", "source, language, cluster, flag"),
    ],
)
def test_what_cannot_be_read_is_named(make, text: str, words: str) -> None:
    with pytest.raises(SelectionError, match=words):
        make(text)


def test_ids_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("# favourites\naa\n\nbb\n")
    assert ids_of(["cc", f"@{tmp_path}/ids.txt", "aa"]) == ("cc", "aa", "bb")
    with pytest.raises(PathError, match="cannot read the ids"):
        ids_of([f"@{tmp_path}/none.txt"])
