"""The controls of a selection rule; their values stand in the URL."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from deita_core.errors import SelectionError
from deita_core.selection.rule import SelectionRule
from deita_core.selection.rule_parts import BudgetUnit
from pages.parts import state
from pages.parts.aggregation import aggregation_control
from pages.parts.resources import Opened, arrays
from pages.parts.rule_more import more
from pages.parts.rule_text import parse_condition, parse_quota
from pages.parts.safe_text import escape
from pages.parts.selecting import choices_by_hand, effects
from pages.parts.threshold_scale import threshold_control

Part = TypeVar("Part")


def rule_form(opened: Opened) -> SelectionRule | None:
    """Draw the controls; the rule they make, or None (with an error shown) when they make none."""
    with st.container(border=True):
        first, second, third = st.columns([5, 9, 6], gap="medium", vertical_alignment="top")
        with first:
            unit, budget = _budget(opened)
        with second:
            threshold = threshold_control(opened)
        with third:
            aggregation = aggregation_control()
            effect = st.container()
        strategy, seed = more(opened)
    by_hand = choices_by_hand(opened)
    try:
        rule = SelectionRule(
            strategy=strategy,
            threshold=threshold,
            budget=budget,
            aggregation=aggregation,
            include_no_response=bool(st.session_state[state.NO_RESPONSE]),
            languages=tuple(st.session_state[state.LANGUAGES]),
            sources=tuple(st.session_state[state.SOURCES]),
            excluded_flags=tuple(st.session_state[state.EXCLUDED_FLAGS]),
            seed=seed,
            budget_unit=unit,
            complexity_weight=float(st.session_state[state.COMPLEXITY_WEIGHT]),
            quality_weight=float(st.session_state[state.QUALITY_WEIGHT]),
            conditions=_parsed(state.CONDITIONS, parse_condition),
            quotas=_parsed(state.QUOTAS, parse_quota),
            pinned=by_hand.pinned,
            excluded=by_hand.excluded,
            pin_place=st.session_state[state.PIN_PLACE],
        )
    except SelectionError as error:
        st.error(str(error))
        return None
    with effect:
        _effect(opened, rule)
    in_view = SelectionRule(
        threshold=rule.threshold,
        budget=rule.budget,
        budget_unit=rule.budget_unit,
        aggregation=rule.aggregation,
        pinned=rule.pinned,
        excluded=rule.excluded,
    )
    if rule != in_view:  # the expander is closed, as a rule
        st.caption(f"Rule: {escape(rule.describe())}.")
    return rule


def _parsed(key: str, parse: Callable[[str], Part]) -> tuple[Part, ...]:
    return tuple(parse(text) for text in st.session_state[key])


def _budget(opened: Opened) -> tuple[BudgetUnit, int | None]:
    pool = arrays(opened)
    unit: BudgetUnit = st.session_state.get(state.UNIT) or "rows"
    whole = len(pool) if unit == "rows" else int(pool.tokens.sum())
    value = st.number_input(
        "Budget",
        min_value=0,
        value=min(6000, max(1, len(pool) // 4)),
        step=max(1, min(500, len(pool) // 50)) * (1 if unit == "rows" else 100),
        key=state.BUDGET,
        bind="query-params",
        help="How much to keep at most. Empty it for no limit.",
    )
    st.segmented_control(
        "Counted in",
        ["rows", "tokens"],
        default="rows",
        required=True,
        key=state.UNIT,
        bind="query-params",
        label_visibility="collapsed",
        on_change=_convert_budget,
        args=(float(pool.tokens.mean()) if len(pool) else 1.0,),
    )
    st.caption(f"{'' if value is not None else 'no limit, '}of {whole:,} {unit}")
    return unit, None if value is None else int(value)


def _convert_budget(tokens_per_row: float) -> None:
    """Keep about as much when rows become tokens or tokens become rows."""
    budget = st.session_state.get(state.BUDGET)
    if budget is None:
        return
    if st.session_state[state.UNIT] == "tokens":
        st.session_state[state.BUDGET] = round(budget * tokens_per_row / 1000) * 1000
    else:
        st.session_state[state.BUDGET] = round(budget / max(tokens_per_row, 1.0))


def _effect(opened: Opened, rule: SelectionRule) -> None:
    """What each way of counting turns would select, computed when it is asked for."""
    box = st.popover("Effect on length", icon=":material/straighten:", on_change="rerun")
    if not box.open:
        return
    with box:
        st.caption("The same rule with each way of counting turns:")
        found = effects(opened, rule)
        st.table(
            {
                "turns count as": [one.aggregation for one in found],
                "turns per row": [f"{one.turns:.2f}" for one in found],
                "tokens per row": [f"{one.tokens:,.0f}" for one in found],
                "several turns": [f"{one.multi_turn:.0%}" for one in found],
                "rows in common": [f"{one.shared:.0%}" for one in found],
            },
            alt="Turns and tokens of the selection by way of counting turns",
        )
