"""How far a queue is: each reviewer's pace, who holds what, what waits, and whom else to ask."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from deita_core.people import may
from deita_core.people import reviewer as reviewer_label
from deita_core.project.browse import table_of
from deita_core.project.queue_state import Lease, end_leases, leases
from deita_core.project.queues import Queue, QueueProgress, ask_more, progress, release
from deita_core.review.answers import Answers, answered_once, disagreeing, uncertain
from studio.review.answered import answers_of, read_row
from studio.rows.conversation import page_chosen
from studio.rows.table import PAGE, lines_chosen
from studio.shell.person import reviewer_name, told
from studio.shell.resources import Opened, errors_shown, say
from studio.shell.text import duration, escape, plural

Rows = NDArray[np.int64]


def progress_view(opened: Opened, queue: Queue) -> None:
    """Draw the figures of the queue, its reviewers, the rows that wait, and what to do about it."""
    with errors_shown():
        st.fragment(_live, run_every="10s")(opened, queue)
        given, held = answers_of(opened, queue.queue), leases(opened.project, queue.queue)
        _give_back(opened, queue, held)
        if may("curator"):
            _more(opened, queue, given)
        _waiting(opened, queue, given, held)


def _live(opened: Opened, queue: Queue) -> None:
    """What is drawn again every few seconds, while others review."""
    found, held = progress(opened.project, queue.queue), leases(opened.project, queue.queue)
    open_to = _open_to(queue, found, answers_of(opened, queue.queue))
    _figures(found, open_to, held)
    st.subheader("Reviewers", anchor=False)
    if found.reviewers:
        _reviewers(found, open_to, held)
    else:
        st.caption("Nobody has answered or claimed a row yet.")


def _open_to(queue: Queue, found: QueueProgress, given: Answers) -> list[int]:
    """How many rows each reviewer could still answer: theirs not yet, and asking for another."""
    whole = given.whole(queue.asks)
    asking = whole.sum(axis=0) < given.needed
    own = dict(zip(given.reviewers, whole, strict=True))
    nothing = np.zeros(len(given.rows), np.bool_)
    return [int((asking & ~own.get(one.reviewer, nothing)).sum()) for one in found.reviewers]


def _time_left(found: QueueProgress, open_to: list[int]) -> str:
    """The answers that are missing, at the pace of those who can give them."""
    missing = found.needed - found.answers
    if not missing:
        return "done"
    able = zip(found.reviewers, open_to, strict=True)
    paces = [one.per_hour for one, rows in able if rows and math.isfinite(one.per_hour)]
    return duration(3600 * missing / sum(paces)) if paces else "–"


def _figures(found: QueueProgress, open_to: list[int], held: list[Lease]) -> None:
    st.progress(found.done / max(found.rows, 1), f"{found.sentence()}")
    one, two, three, four = st.columns(4)
    one.metric("Rows that wait", f"{found.rows - found.done:,}", border=True)
    two.metric("Claimed now", f"{len({lease.row for lease in held}):,}", border=True)
    paces = [one.per_hour for one in found.reviewers if math.isfinite(one.per_hour)]
    three.metric(
        "Rows an hour",
        f"{sum(paces):,.0f}" if paces else "–",
        border=True,
        help="All reviewers together. Breaks of more than five minutes do not count.",
    )
    four.metric(
        "Time left",
        _time_left(found, open_to),
        border=True,
        help="The answers that are missing, when everybody who has rows left goes on at their "
        "pace.",
    )


def _reviewers(found: QueueProgress, open_to: list[int], held: list[Lease]) -> None:
    until = {lease.reviewer: _time(lease.until) for lease in held}
    lines = []
    for one, rows in zip(found.reviewers, open_to, strict=True):
        known = math.isfinite(one.per_hour)
        lines.append(
            {
                "reviewer": one.reviewer,
                "rows": one.rows,
                "unsure": one.unsure,
                "rows an hour": f"{one.per_hour:,.0f}" if known else "–",
                "open to them": rows,
                "would take": duration(3600 * rows / one.per_hour) if known and rows else "",
                "last answer": "" if one.last is None else f"{one.last:%Y-%m-%d %H:%M} UTC",
                "claimed": one.held,
                "until": until.get(one.reviewer, ""),
            }
        )
    st.dataframe(
        pd.DataFrame(lines),
        hide_index=True,
        column_config={
            "rows an hour": st.column_config.TextColumn(alignment="right"),
            "open to them": st.column_config.NumberColumn(
                help="Rows that ask for another answer and have none of theirs"
            ),
        },
        alt="Reviewers with their rows, pace and claimed rows",
    )


# leases


def _give_back(opened: Opened, queue: Queue, held: list[Lease]) -> None:
    """A button for one's own claimed rows, and for those of others where one may."""
    counts = Counter(lease.reviewer for lease in held)
    own = reviewer_label(reviewer_name())
    able = [name for name in counts if may("curator") or (may("reviewer") and name == own)]
    if not able:
        return
    st.caption(
        "Claimed rows come back by themselves when their time is over; give them back now where "
        "somebody has left."
    )
    with st.container(horizontal=True):
        for place, name in enumerate(able):
            st.button(
                f"Give back {plural(counts[name])} of {escape(name)}",
                key=f"release_{place}",
                icon=":material/lock_open:",
                on_click=told(_release),
                args=(opened, queue.queue, name, name == own),
            )


def _release(opened: Opened, queue: int, name: str, own: bool) -> None:
    given = release if own and not may("curator") else end_leases
    count = given(opened.project, queue, name)
    say(f"{plural(count)} of {escape(name)} given back.")


# asking more reviewers


def _more(opened: Opened, queue: Queue, given: Answers) -> None:
    """Rows with few or uncertain answers, counted, and the button that asks more people."""
    verdicts = "verdict" in queue.asks
    kinds = {"once": ("One answer alone", answered_once(given, queue.asks))}
    if verdicts:
        kinds["uncertain"] = ("No clear verdict", uncertain(given))
    kinds["differ"] = ("Reviewers differ", disagreeing(given))
    if not any(len(rows) for _, rows in kinds.values()):
        return
    st.subheader("Ask more reviewers", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        start = next(kind for kind, (_, rows) in kinds.items() if len(rows))
        kind = st.segmented_control(
            "About which rows",
            list(kinds),
            default=start,
            format_func=lambda kind: f"{kinds[kind][0]} · {len(kinds[kind][1]):,}",
            required=True,
            key="more_kind",
            help="No clear verdict: answered as often as asked, and fewer than two thirds keep, or "
            "drop. They differ: in verdict or label, or by more than a point in a score.",
        )
        number = st.number_input("Further reviewers", 1, 20, 1, key="more_number", width=150)
        rows = kinds[str(kind)][1]
        st.button(
            f"Ask {number} more about {plural(len(rows))}",
            key="more_ask",
            icon=":material/group_add:",
            disabled=not len(rows),
            on_click=told(_ask),
            args=(opened, queue.queue, rows.tolist(), int(number)),
        )


def _ask(opened: Opened, queue: int, rows: list[int], more: int) -> None:
    count = ask_more(opened.project, queue, rows, more)
    say(f"{plural(count)} ask for {more} more.")


# rows that wait


def _waiting(opened: Opened, queue: Queue, given: Answers, held: list[Lease]) -> None:
    counts = given.whole(queue.asks).sum(axis=0)
    places = np.flatnonzero(counts < given.needed)
    st.subheader(f"Rows that wait · {len(places):,}", anchor=False)
    if not len(places):
        st.caption("None: every row has as many answers as it asks for.")
        return
    by: dict[int, list[Lease]] = {}
    for lease in held:
        by.setdefault(lease.row, []).append(lease)
    page = page_chosen(len(places), PAGE, key="waiting")
    shown = places[page * PAGE : (page + 1) * PAGE]
    rows = given.rows[shown].tolist()
    table = pd.DataFrame(
        {
            "row": rows,
            "first instruction": table_of(opened.project, rows)["preview"],
            "answers": [
                f"{have} of {need}"
                for have, need in zip(counts[shown], given.needed[shown], strict=True)
            ],
            "claimed by": [", ".join(map(_holder, by.get(row, []))) for row in rows],
        }
    )
    columns = {"first instruction": st.column_config.TextColumn(width="large")}
    key = f"waiting_{queue.queue}_{hash(tuple(rows)):x}"
    for place in lines_chosen(table, key=key, alt="Rows that wait for answers", columns=columns):
        with st.container(border=True):
            read_row(opened, rows[place], key="waiting_row", queue=queue)


def _holder(lease: Lease) -> str:
    return f"{lease.reviewer} until {_time(lease.until)}"


def _time(at: datetime) -> str:
    return f"{at:%H:%M} UTC"
