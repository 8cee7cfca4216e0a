"""The controls of a selection rule, and the rule they make; what they hold stands in the address.

Conditions and quotas stand in their fields and in the address as the texts of
`Condition.describe` and `Quota.describe`, so what is shown can be typed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from deita_core.errors import SelectionError
from deita_core.selection.rule import (
    CONDITION_COLUMNS,
    EACH,
    Closeness,
    Condition,
    Quota,
    SelectionRule,
)
from deita_core.selection.strategies import STRATEGIES, find_strategy
from studio.filters.bar import filter_chips
from studio.filters.meaning import EXAMPLES_HELP, parse_examples, written_examples
from studio.select.cache import current_pins, effects
from studio.select.threshold import threshold_control
from studio.shell import state
from studio.shell.resources import Opened, arrays
from studio.shell.state import aggregation_control, bound_choice
from studio.shell.text import escape

# The parts of a rule that a control holds as they are.
_CONTROLS = {
    "strategy": state.STRATEGY,
    "threshold": state.THRESHOLD,
    "budget": state.BUDGET,
    "budget_unit": state.UNIT,
    "aggregation": state.AGGREGATION,
    "include_no_response": state.NO_RESPONSE,
    "languages": state.LANGUAGES,
    "sources": state.SOURCES,
    "excluded_flags": state.EXCLUDED_FLAGS,
    "complexity_weight": state.COMPLEXITY_WEIGHT,
    "quality_weight": state.QUALITY_WEIGHT,
    "pin_place": state.PIN_PLACE,
    "filter": state.RULE_FILTER,
}
_ALWAYS_IN_VIEW = ("threshold", "budget", "budget_unit", "pinned", "excluded")


def rule_form(
    opened: Opened, chips: DeltaGenerator, details: DeltaGenerator
) -> SelectionRule | None:
    """Draw the controls; the rule they make, or None (with an error shown) when they make none.

    chips, details: where the filter's chips go, and what is seldom changed.
    """
    with st.container(border=True):
        first, second = st.columns([5, 8], gap="medium", vertical_alignment="top")
        with first:
            _budget(opened)
        with second:
            threshold_control(opened)
    with chips:
        filter_chips(opened, state.RULE_FILTER)
    with details.expander("Strategy, score, turns, filters and quotas", icon=":material/tune:"):
        left, right = st.columns(2, gap="medium", vertical_alignment="bottom")
        with left:
            aggregation_control()
        effect = right.container()
        _details(opened)
    by_hand = current_pins(opened)
    held = {part: st.session_state[key] for part, key in _CONTROLS.items()}
    try:
        rule = SelectionRule(
            **{part: tuple(v) if isinstance(v, list) else v for part, v in held.items()},
            seed=st.session_state[state.SEED] if held["strategy"] == "random" else 0,
            conditions=tuple(map(parse_condition, st.session_state[state.CONDITIONS])),
            quotas=tuple(map(parse_quota, st.session_state[state.QUOTAS])),
            closeness=_closeness_of_rule(),
            pinned=by_hand.pinned,
            excluded=by_hand.excluded,
        )
    except SelectionError as error:
        st.error(escape(str(error)))
        return None
    with effect:
        _effect(opened, rule)
    in_view = SelectionRule(**{part: getattr(rule, part) for part in _ALWAYS_IN_VIEW})
    if rule != in_view:  # the expander is closed, as a rule
        st.caption(f"Rule: {escape(rule.describe())}.")
    return rule


def load_rule(rule: SelectionRule) -> None:
    """Set every control to a rule; call it in a callback, before the form is drawn.

    Pins and exclusions are the project's and stay as they are.
    """
    for part, key in _CONTROLS.items():
        value = getattr(rule, part)
        st.session_state[key] = list(value) if isinstance(value, tuple) else value
    st.session_state[state.THRESHOLD] = max(0.0, rule.threshold)  # the slider begins there
    st.session_state[state.SEED] = rule.seed
    near = rule.closeness
    st.session_state[state.EXAMPLES] = written_examples(near.examples if near else ())
    st.session_state[state.CLOSENESS_WEIGHT] = near.weight if near else 1.0
    conditions = (*rule.conditions, *_bounds(rule))
    st.session_state[state.CONDITIONS] = [one.describe() for one in conditions]
    st.session_state[state.QUOTAS] = [one.describe() for one in rule.quotas]


def _bounds(rule: SelectionRule) -> list[Condition]:
    """The rule's own bounds on turns and tokens, which have no control, as conditions."""
    turns, tokens = (rule.min_turns, rule.max_turns), (rule.min_tokens, rule.max_tokens)
    bounds = ("turns", *turns), ("tokens", *tokens)
    return [Condition(name, a, b) for name, a, b in bounds if a is not None or b is not None]


def _budget(opened: Opened) -> None:
    pool = arrays(opened)
    above = st.container()  # filled afterwards: the unit decides on the steps of the number
    unit = bound_choice(
        "Counted in",
        {"rows": "rows", "tokens": "tokens"},
        key=state.UNIT,
        show_label=False,
        on_change=partial(_convert_budget, float(pool.tokens.mean()) if len(pool) else 1.0),
    )
    value = above.number_input(
        "Budget",
        min_value=0,
        value=min(6000, max(1, len(pool) // 4)),
        step=max(1, min(500, len(pool) // 50)) * (1 if unit == "rows" else 100),
        key=state.BUDGET,
        bind="query-params",
        help="How much to keep at most. Empty it for no limit.",
    )
    whole = len(pool) if unit == "rows" else int(pool.tokens.sum())
    st.caption(f"{'' if value is not None else 'no limit, '}of {whole:,} {unit}")


def _convert_budget(tokens_per_row: float) -> None:
    """Keep about as much when rows become tokens or tokens become rows."""
    budget = st.session_state.get(state.BUDGET)
    if budget is None:
        return
    if st.session_state[state.UNIT] == "tokens":
        tokens = round(budget * tokens_per_row)
        st.session_state[state.BUDGET] = round(tokens, -3) or tokens
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
        table = {
            "turns count as": [one.aggregation for one in found],
            "turns per row": [f"{one.turns:.2f}" for one in found],
            "tokens per row": [f"{one.tokens:,.0f}" for one in found],
            "several turns": [f"{one.multi_turn:.0%}" for one in found],
            "rows in common": [f"{one.shared:.0%}" for one in found],
        }
        st.table(table, alt="Turns and tokens of the selection by way of counting turns")


def _details(opened: Opened) -> None:
    """Draw the controls in the expander."""
    left, right = st.columns(2, gap="medium")
    with left:
        labels = {one.name: one.label for one in STRATEGIES}
        strategy = bound_choice("Strategy", labels, key=state.STRATEGY, kind="list")
        st.caption(find_strategy(strategy).source)
        if strategy == "random":
            st.number_input("Seed", min_value=0, value=0, key=state.SEED, bind="query-params")
    with right:
        _weights()
    _names(opened)
    left, right = st.columns(2, gap="medium")
    with left:
        _conditions()
    with right:
        _quotas(opened)
    with st.container(horizontal=True, vertical_alignment="center", gap="large"):
        st.toggle(
            "Also rows without a response",
            key=state.NO_RESPONSE,
            bind="query-params",
            help="They have no quality; they rank by complexity x 1.",
        )
        bound_choice(
            "Pinned rows enter",
            {"first": "before all others", "rank": "at their rank"},
            key=state.PIN_PLACE,
            help="First, they block what is too close to them whatever its score; at their rank, "
            "better rows come before them.",
        )


def _weights() -> None:
    with st.container(horizontal=True):
        for label, key in (
            ("Weight of complexity", state.COMPLEXITY_WEIGHT),
            ("Weight of quality", state.QUALITY_WEIGHT),
        ):
            st.slider(label, 0.0, 3.0, value=1.0, step=0.1, key=key, bind="query-params")
    _closeness()
    a, b = st.session_state[state.COMPLEXITY_WEIGHT], st.session_state[state.QUALITY_WEIGHT]
    if (a, b) == (1.0, 1.0):
        said = "complexity x quality, as in the paper"
    elif a == 0 or b == 0:
        said = "complexity alone" if b == 0 else "quality alone"
    else:
        said = f"complexity^{a:g} x quality^{b:g}"
    st.caption(f"A turn scores {said}. A weight of 0 leaves that dimension out.")


def _names(opened: Opened) -> None:
    """Filters by names; those that a link or another project asks for in vain are told."""
    pool = arrays(opened)
    for column, label, names, key, empty in zip(
        st.columns(3),
        ("Only these languages", "Only these files", "Without these flags"),
        (pool.language_names, tuple(dict.fromkeys(pool.source_names)), pool.flag_names),
        (state.LANGUAGES, state.SOURCES, state.EXCLUDED_FLAGS),
        ("all", "all", "none"),
        strict=True,
    ):
        asked = st.session_state.get(key, st.query_params.get_all(key)) or []
        unknown = [name for name in asked if name not in names]
        if unknown:
            st.session_state[key] = [name for name in asked if name in names]
        column.multiselect(label, names, key=key, bind="query-params", placeholder=empty)
        if unknown:
            told = escape(", ".join(unknown))
            column.warning(f"Not in this pool, so not in this filter: {told}.")


def _closeness() -> None:
    """Examples of the target task, whose closeness is a factor of the score."""
    label = "Closeness to examples"
    if count := len(parse_examples(str(st.session_state.get(state.EXAMPLES, "")))):
        label += f" · {count}"
    with st.popover(label, icon=":material/my_location:", key="closeness"):
        st.caption(
            "Rows score the more, the closer they are in meaning to one of these prompts of the "
            "task that you train for."
        )
        st.text_area(
            "Examples, one a line",
            key=state.EXAMPLES,
            bind="query-params",
            height=200,
            placeholder="5 to 50 prompts are good",
            help=EXAMPLES_HELP,
        )
        st.slider(
            "Weight of closeness",
            0.1,
            5.0,
            value=1.0,
            step=0.1,
            key=state.CLOSENESS_WEIGHT,
            bind="query-params",
            help="The score is multiplied by the similarity to the power of this.",
        )


def _closeness_of_rule() -> Closeness | None:
    examples = parse_examples(str(st.session_state[state.EXAMPLES]))
    weight = float(st.session_state[state.CLOSENESS_WEIGHT])
    return Closeness(examples, weight) if examples else None


def _conditions() -> None:
    with _texts("Only rows with", state.CONDITIONS, "e.g. tokens 50 to 2000"):
        column = st.selectbox(
            "Column",
            CONDITION_COLUMNS,
            format_func=lambda name: name.replace("_", " "),
            key="condition_column",
        )
        low = st.number_input("At least", value=None, key="condition_low")
        high = st.number_input("At most", value=None, key="condition_high")
        _add_button(state.CONDITIONS, lambda: Condition(str(column), low, high))


def _quotas(opened: Opened) -> None:
    pool = arrays(opened)
    known: Mapping[str, Sequence[str]] = {
        "source": tuple(dict.fromkeys(pool.source_names)),
        "language": pool.language_names,
        "flag": pool.flag_names,
        "cluster": (),
    }
    with _texts("Quotas", state.QUOTAS, "e.g. each language: at most 20 %"):
        column = str(st.selectbox("Column", list(known), key="quota_column"))
        name = st.selectbox(
            "Name",
            [EACH, *known[column]],
            format_func=lambda one: f"each {column}" if one == EACH else one,
            key=f"quota_name_{column}",
        )
        most = st.number_input("At most", min_value=0, value=20, key="quota_most")
        unit = st.segmented_control(
            "of what",
            ["% of the budget", "rows"],
            default="% of the budget",
            required=True,
            key="quota_unit",
            label_visibility="collapsed",
        )
        rows, share = (int(most), None) if unit == "rows" else (None, most / 100)
        _add_button(state.QUOTAS, lambda: Quota(column, str(name), most=rows, share=share))


def _texts(label: str, key: str, example: str) -> DeltaGenerator:
    """A field of texts to type, and the popover beside it for what helps to write one."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.multiselect(
            label,
            list(st.session_state.get(key) or []),
            key=key,
            bind="query-params",
            accept_new_options=True,
            placeholder=example,
        )
        return st.popover("Add", icon=":material/add:", key=f"add_{key}")


def _add_button(key: str, make: Callable[[], Condition | Quota]) -> None:
    """A button that adds what the fields above it make, if they make something."""
    try:
        text = make().describe()
    except SelectionError:
        text = ""
    st.button(
        f"Add: {escape(text)}" if text else "Give a bound",
        disabled=not text,
        on_click=_append,
        args=(key, text),
        key=f"append_{key}",
    )


def _append(key: str, text: str) -> None:
    present = list(st.session_state.get(key) or [])
    if text not in present:
        st.session_state[key] = [*present, text]


_NUMBER = r"(-?[\d,]*\.?\d+)"
_CONDITION = re.compile(
    rf"\s*([a-z_ ]+?)\s+(?:at least {_NUMBER}|at most {_NUMBER}|{_NUMBER} to {_NUMBER})\s*"
)
_QUOTA = re.compile(
    rf"\s*(each )?(source|file|language|cluster|flag)(?: (.+?))?: at most {_NUMBER}\s*(%?)\s*"
)


def parse_condition(text: str) -> Condition:
    """The inverse of `Condition.describe`; raises SelectionError that shows how to write one."""
    found = _CONDITION.fullmatch(text)
    column = found[1].replace(" ", "_") if found else ""
    if found is None or column not in CONDITION_COLUMNS:
        names = ", ".join(name.replace("_", " ") for name in CONDITION_COLUMNS)
        raise SelectionError(
            f"{text!r} is no filter: write, for example, tokens 50 to 2000, or quality at least 3; "
            f"there are {names}"
        )
    least, most, low, high = (None if found[i] is None else _value(found[i]) for i in range(2, 6))
    return Condition(column, least if low is None else low, most if high is None else high)


def parse_quota(text: str) -> Quota:
    """The inverse of `Quota.describe`; raises SelectionError that shows how to write one."""
    found = _QUOTA.fullmatch(text)
    if found is None or bool(found[1]) == bool(found[3]):
        raise SelectionError(
            f"{text!r} is no quota: write, for example, each language: at most 20 %, or "
            "source chats.json: at most 500; there are source, language, cluster and flag"
        )
    column = "source" if found[2] == "file" else found[2]
    value, name = _value(found[4]), EACH if found[1] else found[3]
    if found[5]:
        return Quota(column, name, share=value / 100)
    return Quota(column, name, most=int(value))


def _value(text: str) -> float:
    return float(text.replace(",", ""))
