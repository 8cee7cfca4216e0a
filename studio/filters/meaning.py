"""Filters by closeness in meaning: to a text, to examples of a task, to a row; and their order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.filtering.filter import MOST_EXAMPLES, USUAL_MOST, Filter, Near
from deita_core.project.browse import id_of
from studio.filters.current import current_filter, put_in_filter
from studio.filters.masks import nearest_rows
from studio.shell import state
from studio.shell.person import told
from studio.shell.resources import Opened, arrays

EXAMPLES_HELP: Final = (
    f"At most {MOST_EXAMPLES}. Where examples have several lines themselves, write a line of three "
    "dashes (`---`) between them; with a backslash before it such a line belongs to its example."
)
_RULE = re.compile(r"^-{3,}[^\S\n]*$", re.MULTILINE)
_LIKE_A_RULE = re.compile(r"^(\\*-{3,}[^\S\n]*)$", re.MULTILINE)
_TAKEN_AS_IT_IS = re.compile(r"^\\(\\*-{3,}[^\S\n]*)$", re.MULTILINE)


def by_meaning(place: str) -> None:
    """Draw what filters to the rows closest in meaning to a text, or to examples of a task."""
    text = st.text_area(
        "About, or like these examples",
        key=f"{place}_near",
        height=150,
        placeholder="questions about baking bread\n\n… or 5 to 50 prompts of your task, one a line",
        help=f"One line is a search by meaning. Of several, each names the rows closest to it in "
        f"turn. {EXAMPLES_HELP}",
    )
    left, right = st.columns(2, vertical_alignment="bottom")
    most = left.number_input(
        "The closest", 1, None, USUAL_MOST, key=f"{place}_most", placeholder="any number of"
    )
    least = right.number_input(
        "Similarity at least", -1.0, 1.0, None, 0.05, key=f"{place}_least", placeholder="any"
    )
    examples = parse_examples(text)
    label = f"Rows like these {len(examples)}" if len(examples) > 1 else "Rows about this"
    st.button(
        label,
        key=f"{place}_near_do",
        type="primary",
        icon=":material/join_inner:",
        disabled=not examples or (most is None and least is None),
        on_click=told(_put_near),
        args=(examples, most, least, place),
    )
    if place == state.FILTER:
        st.caption("Each conversation that you read here has a button for the rows like it.")


def _put_near(examples: tuple[str, ...], most: int | None, least: float | None, place: str) -> None:
    part = Near(texts=examples, most=most, least=least)
    put_in_filter(part, instead_of=lambda one: isinstance(one, Near), place=place)


def like_this_button(opened: Opened, row: int, *, key: str) -> bool:
    """Offer to filter Explore to the rows closest in meaning to this one; true if just done."""
    has_vector = arrays(opened).has_vector
    if has_vector is None or not has_vector[row]:
        return False
    return st.button(
        "Rows like this one",
        key=key,
        icon=":material/join_inner:",
        help=f"The {USUAL_MOST} conversations closest in meaning, the closest first.",
        on_click=told(_put_like),
        args=(opened, row),
    )


def _put_like(opened: Opened, row: int) -> None:
    part = Near(ids=(id_of(opened.project, row),))
    put_in_filter(part, instead_of=lambda one: isinstance(one, Near))


def closest_first(
    opened: Opened, rows: NDArray[np.int64], place: str = state.FILTER
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """The rows by the first closeness of a place's filter, the closest first, and that closeness.

    rows: some that pass the filter. The closeness is of the whole pool, (n,) float64, NaN for rows
    that do not pass. None where the filter asks for no closeness.
    """
    near = [part for part in current_filter(place).parts if isinstance(part, Near)]
    if not near:
        return None
    found = nearest_rows(opened, Filter(parts=(near[0],)).to_text())
    closeness = np.full(len(arrays(opened)), np.nan)
    closeness[found.rows] = found.closeness
    return found.rows[np.isin(found.rows, rows)], closeness


# examples as one types them: one a line, or apart by lines of dashes


def parse_examples(text: str) -> tuple[str, ...]:
    """The examples, without blanks around them, each once and in their order."""
    parts = _RULE.split(text) if _RULE.search(text) else text.splitlines()
    plain = (_TAKEN_AS_IT_IS.sub(r"\1", part.strip()) for part in parts)
    return tuple(dict.fromkeys(part for part in plain if part))


def written_examples(examples: Sequence[str]) -> str:
    """The text that `parse_examples` reads back."""
    plain = [_LIKE_A_RULE.sub(r"\\\1", one) for one in examples]
    if any(len(one.splitlines()) > 1 for one in plain):
        return "".join(f"{one}\n---\n" for one in plain)
    return "\n".join(plain)
