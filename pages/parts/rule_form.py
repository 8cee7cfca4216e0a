"""The controls of a selection rule; their values stand in the URL or stay in the session."""

from __future__ import annotations

import streamlit as st

from deita_core.errors import SelectionError
from deita_core.selection.evol import AGGREGATIONS
from deita_core.selection.rule import SelectionRule, threshold_to_distance
from deita_core.selection.strategies import STRATEGIES
from pages.parts import state
from pages.parts.resources import Opened, arrays, info


def rule_form(opened: Opened) -> SelectionRule | None:
    """Draw the controls; the rule they make, or None (with an error shown) when they make none."""
    with st.container(border=True):
        first, second, third = st.columns([2, 3, 3], vertical_alignment="top")
        with first:
            budget = _budget(opened)
        with second:
            threshold = _threshold()
        with third:
            aggregation = _aggregation()
        strategy, filters = _more(opened)
    try:
        return SelectionRule(
            strategy=strategy,
            threshold=threshold,
            budget=budget,
            aggregation=aggregation,
            include_no_response=st.session_state.get(state.NO_RESPONSE, False),
            languages=filters[0],
            sources=filters[1],
            excluded_flags=filters[2],
        )
    except SelectionError as error:
        st.error(str(error))
        return None


def load_rule(rule: SelectionRule) -> None:
    """Set every control to a saved rule; call it in a callback, before the form is drawn."""
    st.session_state[state.BUDGET] = rule.budget
    st.session_state[state.THRESHOLD] = rule.threshold
    st.session_state[state.AGGREGATION] = rule.aggregation
    st.session_state[state.STRATEGY] = rule.strategy
    st.session_state[state.NO_RESPONSE] = rule.include_no_response
    st.session_state[state.LANGUAGES] = list(rule.languages)
    st.session_state[state.SOURCES] = list(rule.sources)
    st.session_state[state.EXCLUDED_FLAGS] = list(rule.excluded_flags)


def _budget(opened: Opened) -> int | None:
    imported = info(opened).imported
    value = st.number_input(
        "Budget (conversations)",
        min_value=0,
        value=min(6000, max(1, imported // 4)),
        step=max(1, min(500, imported // 50)),
        key=state.BUDGET,
        bind="query-params",
        help="How many conversations to keep at most. Empty it for no limit.",
    )
    st.caption(f"of {imported:,}" if value is not None else f"no limit, of {imported:,}")
    return None if value is None else int(value)


def _threshold() -> float:
    value = st.slider(
        "Threshold (cosine similarity)",
        0.0,
        1.0,
        value=0.8,
        step=0.01,
        key=state.THRESHOLD,
        bind="query-params",
        help="A row is dropped when its similarity to a kept, better row is above this.",
    )
    distance = threshold_to_distance(value)
    st.caption(
        f"similarity {value:.2f} = distance {distance:.2f}. The paper's 0.9 belongs to LLaMA "
        "embeddings; MiniLM spreads rows out more, so lower values filter as much."
    )
    return float(value)


def _aggregation() -> str:
    value = st.segmented_control(
        "Turns count as",
        [one.name for one in AGGREGATIONS],
        default="sum",
        required=True,
        key=state.AGGREGATION,
        bind="query-params",
    )
    st.caption(next(one.explanation for one in AGGREGATIONS if one.name == value))
    return str(value)


def _more(opened: Opened) -> tuple[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]:
    pool = arrays(opened)
    labels = {one.name: one.label for one in STRATEGIES}
    with st.expander("Strategy and filters", icon=":material/tune:"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            strategy = st.selectbox(
                "Strategy",
                list(labels),
                format_func=lambda name: labels[name],
                key=state.STRATEGY,
                bind="query-params",
            )
            st.toggle(
                "Also rows without a response",
                key=state.NO_RESPONSE,
                persist_state="session",
                help="They have no quality; they rank by complexity x 1.",
            )
        columns = st.columns(3)
        files = tuple(dict.fromkeys(pool.source_names))
        picked = []
        for column, label, names, key in (
            (columns[0], "Only these languages", pool.language_names, state.LANGUAGES),
            (columns[1], "Only these files", files, state.SOURCES),
            (columns[2], "Without these flags", pool.flag_names, state.EXCLUDED_FLAGS),
        ):
            # A choice made on another project may name what this one does not have.
            if key in st.session_state:
                st.session_state[key] = [n for n in st.session_state[key] if n in names]
            picked.append(
                tuple(
                    column.multiselect(
                        label,
                        names,
                        key=key,
                        persist_state="session",
                        placeholder="all" if "Only" in label else "none",
                    )
                )
            )
    return strategy, (picked[0], picked[1], picked[2])
