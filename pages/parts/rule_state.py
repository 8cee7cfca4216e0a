"""The controls of the rule as session state: set all of them to a rule, or one of them."""

from __future__ import annotations

import streamlit as st

from deita_core.selection.rule import SelectionRule
from deita_core.selection.rule_parts import Condition
from pages.parts import state


def load_rule(rule: SelectionRule) -> None:
    """Set every control to a rule; call it in a callback, before the form is drawn.

    Pins and exclusions are the project's and stay as they are.
    """
    values = {
        state.BUDGET: rule.budget,
        state.UNIT: rule.budget_unit,
        state.THRESHOLD: max(0.0, rule.threshold),  # the slider begins there
        state.AGGREGATION: rule.aggregation,
        state.STRATEGY: rule.strategy,
        state.SEED: rule.seed,
        state.COMPLEXITY_WEIGHT: rule.complexity_weight,
        state.QUALITY_WEIGHT: rule.quality_weight,
        state.NO_RESPONSE: rule.include_no_response,
        state.LANGUAGES: list(rule.languages),
        state.SOURCES: list(rule.sources),
        state.EXCLUDED_FLAGS: list(rule.excluded_flags),
        state.CONDITIONS: [one.describe() for one in (*rule.conditions, *_bounds(rule))],
        state.QUOTAS: [one.describe() for one in rule.quotas],
        state.PIN_PLACE: rule.pin_place,
    }
    for key, value in values.items():
        st.session_state[key] = value


def _bounds(rule: SelectionRule) -> list[Condition]:
    """The bounds on turns and tokens that rules of the first version had fields for."""
    bounds = (
        ("turns", rule.min_turns, rule.max_turns),
        ("tokens", rule.min_tokens, rule.max_tokens),
    )
    return [Condition(name, a, b) for name, a, b in bounds if a is not None or b is not None]


def set_threshold(threshold: float) -> None:
    """Move the slider; for a callback."""
    st.session_state[state.THRESHOLD] = min(1.0, max(0.0, round(threshold, 6)))


def append(key: str, text: str) -> None:
    """Add one entry to the conditions or quotas; for a callback."""
    present = list(st.session_state.get(key) or [])
    if text not in present:
        st.session_state[key] = [*present, text]
