"""A table of rows, paged, and the conversation of the row that is chosen in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from deita_core.project.browse import stored_row, table_of
from deita_core.project.scores import turn_scores
from studio.filters.found import excerpts, hits_in
from studio.filters.meaning import like_this_button
from studio.rows.conversation import RowHeader, TurnScore, conversation_view, page_chosen
from studio.shell.resources import Opened, arrays, scores
from studio.shell.text import escape, plural

PAGE = 50
# Not a flag of the text: it belongs to the embedder, which read only the beginning.
TRUNCATED = "embedded in part"


def row_table(
    opened: Opened,
    rows: Sequence[int] | NDArray[np.integer[Any]],
    *,
    key: str,
    aggregation: str = "sum",
    extra: dict[str, NDArray[Any]] | None = None,
    like: bool = False,
) -> None:
    """Draw the rows in their order, 50 a page, and the conversation of the row chosen.

    extra: more columns by name, (n,) over the whole pool, shown first. like: see
    `show_conversation`.
    """
    for row in rows_table(opened, rows, key=key, aggregation=aggregation, extra=extra).rows:
        with st.container(border=True):
            show_conversation(
                opened, row, key=f"{key}_conversation", aggregation=aggregation, like=like
            )


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rows chosen in a table. table: names the rows that stand in it."""

    table: str = ""
    rows: tuple[int, ...] = ()


def rows_table(
    opened: Opened,
    rows: Sequence[int] | NDArray[np.integer[Any]],
    *,
    key: str,
    aggregation: str = "sum",
    extra: dict[str, NDArray[Any]] | None = None,
    many: bool = False,
) -> Chosen:
    """The same without a conversation; with `many` more than one row can be chosen."""
    if not len(rows):
        st.caption("No rows.")
        return Chosen()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plural(len(rows)))
        page = page_chosen(len(rows), PAGE, key=key)
    shown = [int(r) for r in rows[page * PAGE : (page + 1) * PAGE]]
    # Named after its rows: what was chosen stays with them, not with their places.
    table = f"{key}_{page}_{hash(tuple(shown)):x}"
    chosen = lines_chosen(
        _table(opened, shown, aggregation, extra or {}),
        key=table,
        columns={
            "row": st.column_config.NumberColumn("row", format="%d"),
            "preview": st.column_config.TextColumn("first instruction", width="large"),
            "flags": st.column_config.ListColumn("flags"),
        },
        alt="Conversations",
        many=many,
    )
    return Chosen(table, tuple(shown[place] for place in chosen))


def lines_chosen(
    table: pd.DataFrame,
    *,
    key: str,
    alt: str,
    columns: dict[str, Any] | None = None,
    many: bool = False,
    height: int | Literal["auto"] = "auto",
) -> list[int]:
    """Draw a table in which one line (or `many`) can be ticked; the places of those that are.

    height: in pixels; the lines scroll within it.
    """
    event = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row" if many else "single-row",
        key=key,
        column_config=columns,
        alt=alt,
        height=height,
    )
    return [place for place in event.selection.rows if place < len(table)]


def _table(
    opened: Opened, shown: list[int], aggregation: str, extra: dict[str, NDArray[Any]]
) -> pd.DataFrame:
    table = table_of(opened.project, shown)
    if (around := excerpts(opened, shown)) is not None:
        table["preview"] = [
            text or said for text, said in zip(around, table["preview"], strict=True)
        ]
    cut = arrays(opened).truncated[shown]
    table["flags"] = [
        [*flags, TRUNCATED] if is_cut else list(flags)
        for flags, is_cut in zip(table["flags"], cut, strict=True)
    ]
    front: dict[str, Any] = {name: values[shown] for name, values in extra.items()}
    for name, values in scores(opened, aggregation).items():
        front[name] = np.round(values[shown], 2)
    for place, (name, values) in enumerate(front.items(), start=2):
        table.insert(place, name, values)
    return table.drop(columns="id")


def show_conversation(
    opened: Opened,
    row: int,
    *,
    key: str,
    aggregation: str = "sum",
    facts: RowHeader | None = None,
    like: bool = False,
) -> bool:
    """One conversation with its scores, facts and original record.

    like: offer to filter Explore to the rows like it; true when that was done just now.
    """
    stored = stored_row(opened.project, row)
    evol = float(scores(opened, aggregation)["evol score"][row])
    with st.container(horizontal=True, vertical_alignment="center"):
        where = f"**Row {row}** · {escape(stored.source)}, row {stored.position} of the file"
        st.markdown(where, width="stretch")
        filtered = like and like_this_button(opened, row, key=f"{key}_like")
    conversation_view(
        stored.conversation,
        key=key,
        scores=_turn_scores(opened, row, stored.turns),
        facts=replace(
            facts or RowHeader(),
            evol_score=None if np.isnan(evol) else evol,
            language=stored.language,
            flags=(*stored.flags, TRUNCATED) if arrays(opened).truncated[row] else stored.flags,
        ),
        original=stored.original,
        hits=hits_in(stored.conversation),
    )
    if stored.notes:
        st.caption("On import: " + escape("; ".join(stored.notes)))
    return filtered


def _turn_scores(opened: Opened, row: int, turns: int) -> list[TurnScore]:
    given: list[dict[str, Any]] = [{} for _ in range(turns)]
    for line in turn_scores(opened.project, row).itertuples():
        score = None if line.score != line.score else float(line.score)
        given[line.turn] |= {line.dimension: score, f"{line.dimension}_reason": line.reason}
    return [TurnScore(**one) for one in given]
