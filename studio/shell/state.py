"""Every session and address key of the app, named once, and the choices that stand in the address.

Keys that stand in the address are short words, because people read and share them. The session
holds choices; data is in the project file.

Streamlit's own `bind="query-params"` writes what is on the screen into the address. That is right
for numbers and for names that are shown as they are. A choice whose options have labels goes
through `bound_choice`, which writes the option's key instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any, Literal, ParamSpec, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from deita_core.selection.evol import AGGREGATIONS
from studio.shell.text import escape

# In the address, so that a link shows the same view again.
PROJECT = "project"
THRESHOLD = "threshold"
BUDGET = "budget"
AGGREGATION = "turns"
STRATEGY = "strategy"
UNIT = "unit"
COMPLEXITY_WEIGHT = "a"
QUALITY_WEIGHT = "b"
SEED = "seed"
NO_RESPONSE = "unanswered"
LANGUAGES = "language"
SOURCES = "file"
EXCLUDED_FLAGS = "without"
CONDITIONS = "where"
QUOTAS = "quota"
PIN_PLACE = "pins"
RULE_FILTER = "only"
EXAMPLES = "examples"
CLOSENESS_WEIGHT = "c"
SELECT_VIEW = "view"
COLOUR = "colour"
FILTER = "filter"
SCORE_VIEW = "part"
COMPARE_A = "one"
COMPARE_B = "other"
COMPARE_VIEW = "compared"
REVIEW_QUEUE = "queue"
REVIEW_VIEW = "doing"
EXPLORE_VIEW = "shown"
DISTRIBUTIONS = "spread"
TRAIN_VIEW = "make"
TRAINED = "scorer"
TRAIN_DIMENSION = "learns"
TRAIN_METHOD = "method"
TRAIN_LABELS = "labels"
TRAIN_RUN = "ranked"
REPORT_VIEW = "report"
DUPLICATES_BY = "alike"
ORDER = "order"
EVOLUTION = "run"
CHAIN = "chain"
EVOLVE_VIEW = "evolved"
EXPLORE_SPLIT = "wide"
SELECT_SPLIT = "split"

# In the session, kept across pages.
OPENED = "opened_project"
EXPLORE_MAP = "explore_map"
SELECT_MAP = "select_map"
COMPARE_MAP = "compare_map"
JOBS_ASKED = "jobs_asked"
SEARCH = "search_text"
SELECT_SEARCH = "select_search"
FOCUS = "row_in_focus"
HISTORY = "rule_history"
AUTHOR = "author"
NEXT_QUEUE = "next_queue"
NEXT_RUN = "next_run"
BULK = "last_bulk"
MARKED = "queries_in_view"
READING = "reading"
NOTICE = "notice"
PROBLEM = "problem"
WANTED_PAGE = "wanted_page"
NEXT_PROJECT = "next_project"
DIALOG = "dialog_is_open"
IN_TRAINING = "scorer_in_training"

_P = ParamSpec("_P")
_Choice = TypeVar("_Choice", bound=str)


def address_decides(key: str) -> bool:
    """True where the address is newer than the session.

    So it is when this session meets the key for the first time (a link was opened), and after the
    browser's Back and Forward.
    """
    context = get_script_run_ctx()
    return key not in st.session_state or (context is not None and context.is_history_navigation)


def put_in_address(key: str, value: str | None) -> None:
    """Let the address say `value`, or nothing of this key; the page does not run again for it."""
    if value is None:
        st.query_params.pop(key, None)
    elif st.query_params.get(key) != value:
        st.query_params[key] = value


def bound_choice(
    label: str,
    options: Mapping[_Choice, str],
    *,
    key: str,
    default: _Choice | None = None,
    kind: Literal["segments", "list", "radio"] = "segments",
    captions: Mapping[_Choice, str] | None = None,
    show_label: bool = True,
    help: str | None = None,
    on_change: Callable[[], None] | None = None,
) -> _Choice:
    """Draw a choice of one; its key stands in the address, its label on the screen.

    options: label by key. default: chosen at first and left out of the address; None for the
    first option. kind: a row of segments, a list that drops down, or one below the other, each
    with its caption in Markdown. An address that asks for what is not among the options is told so,
    and gets the default.
    """
    usual = next(iter(options)) if default is None else default
    if address_decides(key):
        asked = st.query_params.get(key, usual)
        if asked not in options:
            st.toast(f"The address asks for {key}={escape(asked)}; there are {', '.join(options)}.")
            asked = usual
        st.session_state[key] = asked
    elif st.session_state[key] not in options:
        st.session_state[key] = usual
    draw: Callable[..., Any] = partial(st.segmented_control, required=True)
    if kind == "list":
        draw = st.selectbox
    elif kind == "radio":
        draw = partial(st.radio, captions=[(captions or {}).get(one, "") for one in options])
    value: _Choice = draw(
        label,
        list(options),
        format_func=options.__getitem__,
        key=key,
        persist_state="session",
        label_visibility="visible" if show_label else "collapsed",
        help=help,
        on_change=on_change,
    )
    put_in_address(key, None if value == usual else value)
    return value


def aggregation_control() -> str:
    """How turns count: the control and the explanation of what is chosen."""
    explanations = {one.name: one.explanation for one in AGGREGATIONS}
    names = {name: name for name in explanations}
    chosen = bound_choice("Turns count as", names, key=AGGREGATION, default="sum")
    st.caption(explanations[chosen])
    return chosen


def dialog(
    title: str, *, width: Literal["small", "medium", "large"] = "small"
) -> Callable[[Callable[_P, None]], Callable[_P, None]]:
    """`st.dialog` that tells `dialog_is_open`, because a run of the page would close it."""

    def decorated(draw: Callable[_P, None]) -> Callable[_P, None]:
        @wraps(draw)
        def noted(*args: _P.args, **kwargs: _P.kwargs) -> None:
            st.session_state[DIALOG] = True
            draw(*args, **kwargs)

        return st.dialog(title, width=width, on_dismiss="rerun")(noted)

    return decorated


def dialog_is_open() -> bool:
    """True from the drawing of a dialog to the next run of the page, which closes it."""
    return bool(st.session_state.get(DIALOG))
