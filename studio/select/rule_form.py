"""Conditions and quotas of a rule as the texts that stand in their fields and in the URL.

The texts are those of `Condition.describe` and `Quota.describe`, so what is shown can be typed.

The controls of the rule as session state: set all of them to a rule, or one of them.

Strategy, weights of the score, filters, quotas and the place of pins.

The controls of a selection rule; their values stand in the URL.

The threshold: its slider, and the pool it is a threshold of behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import streamlit as st

from deita_core.errors import SelectionError
from deita_core.selection.rule import PRESETS, Preset, SelectionRule, similarity_text
from deita_core.selection.rule_parts import CONDITION_COLUMNS, EACH, BudgetUnit, Condition, Quota
from deita_core.selection.status import NEAR_DUPLICATE
from deita_core.selection.strategies import STRATEGIES, find_strategy
from studio.charts.charts import Histogram
from studio.charts.colours import INK, OTHER, PLAIN, STATUS_STYLES
from studio.charts.map_chart import MapGroup
from studio.charts.small_charts import Mark, Panel, small_charts
from studio.rows.safe_text import escape
from studio.select.cache import Scale, current_pins, effects, pool_input, scale
from studio.shell import state
from studio.shell.aggregation import aggregation_control
from studio.shell.resources import Opened, arrays, say

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
    value = _value(found[4])
    name = EACH if found[1] else found[3]
    if found[5]:
        return Quota(column, name, share=value / 100)
    return Quota(column, name, most=int(value))


def _value(text: str) -> float:
    return float(text.replace(",", ""))


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


def more(opened: Opened) -> tuple[str, int]:
    """Draw them; the strategy and its seed. The other values are in the session."""
    with st.expander("Strategy, score, filters and quotas", icon=":material/tune:"):
        left, right = st.columns(2, gap="medium")
        with left:
            strategy, seed = _strategy()
        with right:
            _weights()
        _names(opened)
        left, right = st.columns(2, gap="medium")
        with left:
            _conditions()
        with right:
            _quotas(opened)
        _answers_and_pins()
    return strategy, seed


def _strategy() -> tuple[str, int]:
    labels = {one.name: one.label for one in STRATEGIES}
    name = st.selectbox(
        "Strategy",
        list(labels),
        format_func=lambda one: labels[one],
        key=state.STRATEGY,
        bind="query-params",
    )
    st.caption(find_strategy(name).source)
    seed = 0
    if name == "random":
        seed = int(
            st.number_input("Seed", min_value=0, value=0, key=state.SEED, bind="query-params")
        )
    return str(name), seed


def _weights() -> None:
    with st.container(horizontal=True):
        for label, key in (
            ("Weight of complexity", state.COMPLEXITY_WEIGHT),
            ("Weight of quality", state.QUALITY_WEIGHT),
        ):
            st.slider(label, 0.0, 3.0, value=1.0, step=0.1, key=key, bind="query-params")
    a, b = st.session_state[state.COMPLEXITY_WEIGHT], st.session_state[state.QUALITY_WEIGHT]
    if (a, b) == (1.0, 1.0):
        said = "complexity x quality, as in the paper"
    elif a == 0 or b == 0:
        said = "complexity alone" if b == 0 else "quality alone"
    else:
        said = f"complexity^{a:g} x quality^{b:g}"
    st.caption(f"A turn scores {said}. A weight of 0 leaves that dimension out.")


def _names(opened: Opened) -> None:
    pool = arrays(opened)
    for column, label, names, key in zip(
        st.columns(3),
        ("Only these languages", "Only these files", "Without these flags"),
        (pool.language_names, tuple(dict.fromkeys(pool.source_names)), pool.flag_names),
        (state.LANGUAGES, state.SOURCES, state.EXCLUDED_FLAGS),
        strict=True,
    ):
        # A choice made on another project may name what this one does not have.
        chosen = st.session_state.get(key)
        if chosen and not set(chosen) <= set(names):
            st.session_state[key] = [name for name in chosen if name in names]
        column.multiselect(
            label,
            names,
            key=key,
            bind="query-params",
            placeholder="none" if "Without" in label else "all",
        )


def _conditions() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _texts("Only rows with", state.CONDITIONS, "e.g. tokens 50 to 2000")
        with st.popover("Add", icon=":material/add:", key="add_condition"):
            column = st.selectbox(
                "Column",
                CONDITION_COLUMNS,
                format_func=lambda name: name.replace("_", " "),
                key="condition_column",
            )
            low = st.number_input("At least", value=None, key="condition_low")
            high = st.number_input("At most", value=None, key="condition_high")
            try:
                text = Condition(str(column), low, high).describe()
            except SelectionError:
                text = ""
            _add_button(state.CONDITIONS, text)


def _quotas(opened: Opened) -> None:
    pool = arrays(opened)
    known: dict[str, Sequence[str]] = {
        "source": tuple(dict.fromkeys(pool.source_names)),
        "language": pool.language_names,
        "flag": pool.flag_names,
        "cluster": (),
    }
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _texts("Quotas", state.QUOTAS, "e.g. each language: at most 20 %")
        with st.popover("Add", icon=":material/add:", key="add_quota"):
            column = str(st.selectbox("Column", list(known), key="quota_column"))
            name = st.selectbox(
                "Name",
                [EACH, *known[column]],
                format_func=lambda one: f"each {column}" if one == EACH else one,
                key=f"quota_name_{column}",
            )
            most = st.number_input("At most", min_value=0, value=20, key="quota_most")
            unit = st.segmented_control(
                "of what", ["% of the budget", "rows"], default="% of the budget", required=True,
                key="quota_unit", label_visibility="collapsed",
            )  # fmt: skip
            share = unit != "rows"
            try:
                quota = Quota(
                    column,
                    str(name),
                    most=None if share else int(most),
                    share=most / 100 if share else None,
                )
                text = quota.describe()
            except SelectionError:
                text = ""
            _add_button(state.QUOTAS, text)


def _texts(label: str, key: str, example: str) -> None:
    present = list(st.session_state.get(key) or [])
    st.multiselect(
        label, present, key=key, bind="query-params", accept_new_options=True, placeholder=example
    )


def _add_button(key: str, text: str) -> None:
    st.button(
        f"Add: {text}" if text else "Give a bound",
        disabled=not text,
        on_click=append,
        args=(key, text),
        key=f"append_{key}",
    )


def _answers_and_pins() -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="large"):
        st.toggle(
            "Also rows without a response",
            key=state.NO_RESPONSE,
            bind="query-params",
            help="They have no quality; they rank by complexity x 1.",
        )
        labels = {"first": "before all others", "rank": "at their rank"}
        st.segmented_control(
            "Pinned rows enter",
            list(labels),
            format_func=lambda one: labels[one],
            default="first",
            required=True,
            key=state.PIN_PLACE,
            bind="query-params",
            help="First, they block what is too close to them whatever its score; at their rank, "
            "better rows come before them.",
        )


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
    by_hand = current_pins(opened)
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


_GROUPS = (
    MapGroup("nearest row is farther", PLAIN),
    MapGroup("nearest row is nearer than the threshold", STATUS_STYLES[NEAR_DUPLICATE].shade),
)


def threshold_control(opened: Opened) -> float:
    """Slider, similarity and distance, the distribution behind it, suggestion and presets."""
    st.markdown(
        ":small[Threshold (cosine similarity)]",
        help="A row is dropped when its similarity to a kept, better row is above this.",
    )
    above = st.container()  # filled afterwards: only the slider knows a threshold from the address
    known = scale(opened)
    value = st.slider(
        "Threshold (cosine similarity)",
        0.0,
        1.0,
        value=0.8,
        step=0.01,
        key=state.THRESHOLD,
        bind="query-params",
        label_visibility="collapsed",
    )
    if known is not None:
        with above:
            _draw(known, float(value))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(similarity_text(value), width="content")
        if known is not None:
            start = known.start
            st.button(
                f"Suggested start: {start.threshold:g}",
                icon=":material/lightbulb:",
                type="tertiary",
                help=start.reason[:1].upper() + start.reason[1:] + ".",
                on_click=set_threshold,
                args=(start.threshold,),
            )
        _presets()
    return float(value)


def _draw(known: Scale, threshold: float) -> None:
    """Rows by the similarity to their nearest other row, on the axis of the slider."""
    found, pool = known.histogram, known.nearest
    near = found.edges[:-1] >= threshold - 1e-9
    counts = np.stack([np.where(near, 0, found.rows), np.where(near, found.rows, 0)])
    bars = Histogram(found.edges, counts.astype(np.int64), np.zeros(2, np.int64))
    share = pool.share_above(max(threshold, pool.floor))
    marks = [Mark(threshold, f"{share:.0%} of rows have a nearer one", INK)]
    if pool.floor > 0:
        marks.append(Mark(pool.floor, "", OTHER, dashed=True))
    small_charts(
        [
            Panel(
                "",
                "Rows by the similarity to their nearest other row, behind the threshold",
                bars=bars,
                marks=tuple(marks),
                extent=(0.0, 1.0),
                bare=True,
                pick=True,
                height=54,
            )
        ],
        _GROUPS,
        key="threshold_scale",
        on_pick=set_threshold_rounded,
    )


def set_threshold_rounded(threshold: float) -> None:
    """Move the slider to the nearest hundredth; for a callback."""
    set_threshold(round(threshold, 2))


def _presets() -> None:
    with st.popover("Presets", icon=":material/history_edu:", type="tertiary"):
        for preset in PRESETS:
            st.button(
                f"{preset.label}: similarity {preset.threshold:g}",
                key=f"preset-{preset.name}",
                on_click=_apply,
                args=(preset,),
            )
            st.caption(preset.explanation)


def _apply(preset: Preset) -> None:
    st.session_state[state.STRATEGY] = preset.strategy
    st.session_state[state.THRESHOLD] = preset.threshold
    st.session_state[state.COMPLEXITY_WEIGHT] = st.session_state[state.QUALITY_WEIGHT] = 1.0
    st.session_state[state.AGGREGATION] = "sum"


def graph_notice(opened: Opened, rule: SelectionRule) -> None:
    """Say when a rule cannot be read off the similarity graph, and offer to build it."""
    strategy = find_strategy(rule.strategy)
    if not (strategy.uses_threshold or strategy.needs_graph):
        return
    graph = pool_input(opened).graph
    if graph is not None and graph.serves(rule.threshold):
        return
    if graph is not None:
        st.caption(
            f":material/hourglass: Below similarity {graph.floor:.2f} the similarity graph knows "
            "nothing: every step is computed from the embeddings and takes longer."
        )
        return
    jobs = opened.runner.records(20)
    with st.container(horizontal=True, vertical_alignment="center"):
        if any(job.kind == "graph" and job.active for job in jobs):
            st.caption(":material/hub: The similarity graph is being built, see the side column.")
            return
        st.caption(
            ":material/hub: There is no similarity graph of these embeddings: steps of the "
            "threshold take longer, and the frontier and flip points are not known.",
            width="stretch",
        )
        if st.button("Build the graph", icon=":material/hub:"):
            opened.runner.submit([("graph", {})])
            say("The similarity graph is being built.")
            st.rerun()
