"""Undo and redo over the rules that a page has shown."""

from __future__ import annotations

from deita_core.selection.rule import SelectionRule
from studio.select.history import RuleHistory


def rules(*thresholds: float) -> list[SelectionRule]:
    return [SelectionRule(threshold=t) for t in thresholds]


def history(*thresholds: float) -> RuleHistory:
    made = RuleHistory()
    for rule in rules(*thresholds):
        made.remember(rule)
    return made


def test_the_same_rule_again_is_one_step() -> None:
    assert history(0.7, 0.7, 0.8).rules == rules(0.7, 0.8)


def test_undo_goes_back_and_redo_forth() -> None:
    made = history(0.7, 0.8)
    left, reached = made.move(-1)
    assert (left.threshold, reached.threshold) == (0.8, 0.7)
    made.remember(rules(0.7)[0])
    assert made.move(1)[1].threshold == 0.8


def test_a_change_after_undo_forgets_what_could_be_redone() -> None:
    made = history(0.7, 0.8)
    made.move(-1)
    made.remember(rules(0.7)[0])
    made.remember(rules(0.9)[0])
    assert made.rules == rules(0.7, 0.9)


def test_what_the_controls_make_of_a_rule_replaces_it_after_undo() -> None:
    made = history(0.7, 0.8)
    made.move(-1)
    made.remember(rules(0.71)[0])
    assert made.rules == rules(0.71, 0.8)


def test_the_rule_before_is_the_one_that_was_in_force_last() -> None:
    made = history(0.7, 0.8)
    assert made.before == SelectionRule(threshold=0.7)
    made.move(-1)
    assert made.before == SelectionRule(threshold=0.8)


def test_only_so_many_steps_are_kept() -> None:
    made = history(*(i / 100 for i in range(100)))
    assert made.rules[-1] == rules(0.99)[0]
    assert made.at == len(made.rules) - 1 < 99
