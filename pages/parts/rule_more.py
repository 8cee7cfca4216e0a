"""Strategy, weights of the score, filters, quotas and the place of pins."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from deita_core.errors import SelectionError
from deita_core.selection.rule_parts import CONDITION_COLUMNS, EACH, Condition, Quota
from deita_core.selection.strategies import STRATEGIES, find_strategy
from pages.parts import state
from pages.parts.resources import Opened, arrays
from pages.parts.rule_state import append


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
