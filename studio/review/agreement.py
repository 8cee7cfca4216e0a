"""How far the reviewers of a queue agree, where they differ, and who settles it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import streamlit as st

from deita_core.people import may
from deita_core.project.browse import table_of
from deita_core.project.clusters import clusters
from deita_core.project.graphs import load_clusters
from deita_core.project.queue_state import make_adjudication, said_of_row
from deita_core.project.queues import Queue, progress, queues
from deita_core.review.agreement import ReviewerAgreement, reviewer_agreement
from deita_core.review.answers import Answers, Rows, disagreeing
from deita_core.review.decision import VERDICTS
from studio.review.answered import (
    answers_of,
    explore_button,
    read_row,
    withheld_rows,
    words_withheld,
)
from studio.review.new_queue import free_name
from studio.review.queue_list import as_reviewed, open_queue
from studio.review.verdicts import verdicts_form
from studio.rows.conversation import page_chosen
from studio.rows.table import PAGE, lines_chosen
from studio.shell.person import reviewer_name, told
from studio.shell.resources import Opened, errors_shown, say
from studio.shell.text import escape, plural


def agreement_view(opened: Opened, queue: Queue) -> None:
    """Draw the agreement on each question, the rows that differ, and what the verdicts do."""
    with errors_shown():
        given = answers_of(opened, queue.queue)
        _agreement(opened, queue)
        _differing(opened, queue, given)
        if "verdict" in queue.asks and given.reviewers:
            verdicts_form(opened, queue, given)


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs={Opened: as_reviewed})
def _found(opened: Opened, queue: int, asks: tuple[str, ...]) -> list[ReviewerAgreement]:
    cluster = load_clusters(opened.project)
    return [reviewer_agreement(answers_of(opened, queue), ask, cluster) for ask in asks]


def _agreement(opened: Opened, queue: Queue) -> None:
    found = {one.ask: one for one in _found(opened, queue.queue, queue.asks)}
    if not any(one.rows for one in found.values()):
        _nothing_yet(queue, next(iter(found.values())))
        return
    ask = queue.asks[0]
    if len(found) > 1:
        chosen = st.segmented_control(
            "Agreement on",
            list(found),
            default=ask,
            format_func=str.capitalize,
            required=True,
            key="agreement_on",
            label_visibility="collapsed",
        )
        ask = str(chosen)
    one = found[ask]
    if not one.rows:
        st.caption(f"{escape(one.sentence())}.")
        return
    _figures(one)
    left, middle, right = st.columns([4, 3, 5])
    with left:
        _pairs(one)
    with middle:
        _each(one)
    with right:
        _clusters(opened, one)


def _nothing_yet(queue: Queue, one: ReviewerAgreement) -> None:
    said = "Agreement can be counted once two people have answered the same row."
    if one.answers:
        said += f" So far {plural(one.answers)} of this queue have one answer."
    if queue.adjudicates is None:
        said += " Where each row asks for one reviewer, ask more about some rows under Progress."
    st.info(said, icon=":material/handshake:")


def _figures(one: ReviewerAgreement) -> None:
    first, second, third, fourth = st.columns(4)
    first.metric(
        "Krippendorff's alpha",
        _number(one.alpha),
        border=True,
        help="1: all agree. 0: as much as chance would give. It asks for answers that differ "
        "somewhere; scores count by their order. Krippendorff asks for 0.80, and for 0.667 where "
        "tentative conclusions are enough.",
    )
    second.metric(
        "Raw agreement",
        _percent(one.raw),
        border=True,
        help="The share of equal ones among the pairs of answers to the same row.",
    )
    third.metric("Answered twice or more", f"{one.rows:,}", border=True)
    fourth.metric("Rows that differ", f"{len(one.differ):,}", border=True)
    if math.isnan(one.alpha):
        st.caption("Alpha is unknown, because all answers are the same.")


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0%}"


_SHARE = {
    "agree": st.column_config.NumberColumn(format="percent"),
    "alpha": st.column_config.NumberColumn(format="%.2f"),
}


def _pairs(one: ReviewerAgreement) -> None:
    st.markdown("**Pairs of reviewers**")
    table = pd.DataFrame(
        {
            "reviewers": [f"{pair.first} and {pair.second}" for pair in one.pairs],
            "rows": [pair.rows for pair in one.pairs],
            "agree": [_or_none(pair.raw) for pair in one.pairs],
            "alpha": [_or_none(pair.alpha) for pair in one.pairs],
        }
    )
    st.dataframe(table, hide_index=True, column_config=_SHARE, alt="Agreement of each pair")


def _each(one: ReviewerAgreement) -> None:
    st.markdown("**Answers**")
    given = [answer for answer in one.each if answer.given]
    table = pd.DataFrame(
        {
            "answer": [answer.answer for answer in given],
            "given": [answer.given for answer in given],
            "agree": [_or_none(answer.agreed) for answer in given],
        }
    )
    config = {
        "agree": st.column_config.NumberColumn(
            format="percent",
            help="Of the pairs of answers in which one says it: how many say it twice",
        )
    }
    st.dataframe(table, hide_index=True, column_config=config, alt="Agreement on each answer")


def _clusters(opened: Opened, one: ReviewerAgreement) -> None:
    st.markdown("**Clusters**")
    if not one.clusters:
        st.caption("There are no clusters yet: they are made once the pool is embedded.")
        return
    names = {cluster.cluster: cluster.name for cluster in clusters(opened.project)}
    table = pd.DataFrame(
        {
            "cluster": [cluster_label(part.cluster, names) for part in one.clusters],
            "rows": [part.rows for part in one.clusters],
            "agree": [_or_none(part.raw) for part in one.clusters],
            "alpha": [_or_none(part.alpha) for part in one.clusters],
        }
    )
    table = table.sort_values(["rows", "agree"], ascending=[False, True], kind="stable")
    st.dataframe(
        table, hide_index=True, column_config=_SHARE, alt="Agreement in each cluster", height=215
    )


def cluster_label(number: int, names: dict[int, str]) -> str:
    """The name of a cluster, or its number; "no cluster" below 0."""
    return names.get(number, f"cluster {number}") if number >= 0 else "no cluster"


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 2)


# where they differ


def _differing(opened: Opened, queue: Queue, given: Answers) -> None:
    rows = disagreeing(given)
    if not len(rows):
        return
    hidden = withheld_rows(opened, queue.queue)
    shown = np.array([row for row in rows.tolist() if row not in hidden], np.int64)
    st.subheader(f"Rows on which they differ · {len(rows):,}", anchor=False)
    st.caption("They differ in the verdict or the label, or by more than one point in a score.")
    if len(shown) < len(rows):
        st.caption(words_withheld(len(rows) - len(shown)))
    with st.container(horizontal=True, vertical_alignment="center"):
        explore_button(shown.tolist(), key="differ_explore")
        _adjudicate(opened, queue, len(rows))
        page = page_chosen(len(shown), PAGE, key="differ")
    _settled(opened, queue)
    part = shown[page * PAGE : (page + 1) * PAGE]
    if len(part):
        _table(opened, queue, given, part)


def _table(opened: Opened, queue: Queue, given: Answers, part: Rows) -> None:
    at = {row: place for place, row in enumerate(given.rows.tolist())}
    places = [at[row] for row in part.tolist()]
    table = pd.DataFrame(
        {
            "row": part,
            "first instruction": table_of(opened.project, part.tolist())["preview"],
        }
    )
    columns: dict[str, object] = {"first instruction": st.column_config.TextColumn(width="medium")}
    for line, name in enumerate(given.reviewers):  # a reviewer may be called "row"
        table[f"said_{line}"] = [_said(queue, given, line, place) for place in places]
        columns[f"said_{line}"] = st.column_config.TextColumn(name)
    if np.isfinite(given.adjudicated[places]).any():
        table["adjudicated"] = [_verdict(given.adjudicated[place]) for place in places]
    key = f"differ_{queue.queue}_{hash(tuple(part.tolist())):x}"
    alt = "Rows on which reviewers differ"
    for place in lines_chosen(table, key=key, alt=alt, columns=columns, height=245):
        row = int(part[place])
        with st.container(border=True):
            _all_said(opened, queue, row)
            read_row(opened, row, key="differ_row", queue=queue)


def _all_said(opened: Opened, queue: Queue, row: int) -> None:
    """A line for each person: their answers, reasons and notes."""
    by: dict[str, list[str]] = {}
    for one in said_of_row(opened.project, queue.queue, row):
        said = one.sentence().removeprefix(f"{one.author}: ")
        by.setdefault(one.author, []).append(said)
    lines = [f"**{escape(name)}**: {escape(', '.join(said))}" for name, said in by.items()]
    st.markdown("  \n".join(lines))


def _said(queue: Queue, given: Answers, line: int, place: int) -> str:
    """ "keep, quality 4": what one reviewer said of one row, all questions."""
    said = []
    for ask in queue.asks:
        value = given.of(ask)[line, place]
        if math.isnan(value):
            continue
        if ask in ("complexity", "quality"):
            said.append(f"{ask} {value:.0f}")
        else:
            said.append(given.words(ask)[int(value)])
    return ", ".join(said)


def _verdict(value: float) -> str:
    return "" if math.isnan(value) else VERDICTS[int(value)]


# who settles it


def _adjudicate(opened: Opened, queue: Queue, count: int) -> None:
    if not may("curator") or queue.adjudicates is not None:
        return
    known = queues(opened.project)
    # Another key once the queue is made, so that it closes.
    key = f"adjudicate_{len(known)}"
    with st.popover("New queue for an adjudicator", icon=":material/gavel:", key=key):
        st.markdown(
            f"{plural(count)}, each decided by one person, whose verdict settles it: it is what "
            "the rule “adjudicated” takes."
        )
        start = free_name(opened, f"{queue.name[:80]}: settled")
        wanted = st.text_input("Name", start, max_chars=100, key=f"{key}_name").strip()
        st.button(
            "Make the queue",
            type="primary",
            key="adjudicate_make",
            disabled=not wanted,
            on_click=told(_make),
            args=(opened, queue, wanted),
        )


def _make(opened: Opened, queue: Queue, name: str) -> None:
    _, rows = make_adjudication(opened.project, queue, name, author=reviewer_name())
    say(f"“{escape(name)}” is a queue of {plural(rows)} on which reviewers differ.")


def _settled(opened: Opened, queue: Queue) -> None:
    """How far each queue is that settles this one."""
    for one in queues(opened.project):
        if one.adjudicates == queue.queue:
            with st.container(horizontal=True, vertical_alignment="center"):
                said = progress(opened.project, one.queue).sentence()
                st.markdown(f"**{escape(one.name)}** settles them: {said}.")
                st.button(
                    "Open",
                    key=f"adjudicates_{one.queue}",
                    icon=":material/play_arrow:",
                    on_click=open_queue,
                    args=(one.queue, "review"),
                )
