"""The card on which one reviews: rows to the browser, decisions back.

The browser holds the next rows and shows them without asking. It sends every decision that it has
no receipt for, each with an id of its own, again and again until it has; so a lost message, a
reload or a server that starts anew costs nothing, and a repeat changes nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Final, TypedDict

import streamlit as st

from deita_core import people
from deita_core.conversation import Conversation, Message, without_surrogates
from deita_core.errors import DeitaError, ProjectError, ReviewError
from deita_core.project import Project
from deita_core.project.ledger import edit_row, row_text, tags
from deita_core.project.queue_state import leases
from deita_core.project.queues import (
    LEASE_MINUTES,
    Queue,
    answer,
    claim,
    progress,
    verdicts_of_others,
)
from deita_core.project.review_rows import (
    RowToReview,
    Said,
    last_answered,
    rows_to_review,
    said_in_queue,
)
from deita_core.project.selections import selections
from deita_core.review.decision import read_decisions
from deita_core.selection.rule import SelectionRule
from studio.charts import component
from studio.select.cache import outcome
from studio.shell import state
from studio.shell.person import REVIEWER_COOKIE
from studio.shell.resources import Opened, arrays, errors_shown, scores

AHEAD: Final = 20
MOST_CHARACTERS: Final = 60_000  # of one row; twenty of them wait in a browser
_MOST_LATER: Final = 200
_MOST_SENT: Final = 500
_MOST_TAGS: Final = 200
_SCRIPTS: Final = ("texts", "turns", "decisions", "keys", "outbox", "card")
_FILES: Final = ("card.html", "card.css", *(f"{name}.js" for name in _SCRIPTS))
_FOLDER: Final = Path(__file__).parent / "card_component"


class Handled(TypedDict):
    """What became of what a browser sent last.

    number: its number. taken: ids of what is in the ledger now. refused: client and why of what
    can never be. problem: why the rest is not kept yet, "" for nothing. later: how many rows the
    browser has put off.
    """

    number: int
    taken: list[str]
    refused: list[dict[str, str]]
    problem: str
    later: int


NOTHING: Final = Handled(number=0, taken=[], refused=[], problem="", later=0)


@st.fragment
def review_card(opened: Opened, queue: Queue, reviewer: str) -> None:
    """Draw the card for this reviewer; a part of the page that runs again by itself."""
    key = f"review-{opened.key}-{queue.queue}-{reviewer}"
    receipts: dict[str, Handled] = st.session_state.setdefault(state.READING, {})
    with errors_shown():
        component("deita_review_card", str(_FOLDER), *_FILES)(
            key=key,
            data=card_data(opened, queue, reviewer, receipts.get(key, NOTHING)),
            on_sent_change=partial(_take, opened.project, queue.queue, reviewer, key),
        )


# what the browser gets


def card_data(opened: Opened, queue: Queue, reviewer: str, handled: Handled) -> dict[str, Any]:
    """Rows claimed for the reviewer, and everything that the card says about them and the queue.

    handled: what became of what the browser sent last. `before` are the rows decided last, so that
    one can go back to them. Scores and others' answers are only there for rows that the reviewer
    has answered whole; scores from the start where the queue is not blind, and what an adjudicator
    decides upon.
    """
    project = opened.project
    claimed, problem = _claimed(project, queue.queue, reviewer, AHEAD + handled["later"])
    rows = rows_to_review(project, queue.queue, claimed, reviewer)
    decided = last_answered(project, queue.queue, reviewer)
    answered = [
        one
        for one in rows_to_review(project, queue.queue, decided, reviewer)
        if {said.slot for said in one.own} >= set(queue.asks)
    ]
    facts = _facts(opened, [*([] if queue.blind else claimed), *(one.row for one in answered)])
    judged: Mapping[int, list[Said]] = {}
    if queue.adjudicates is not None:
        judged = said_in_queue(project, queue.adjudicates, claimed)
    return {
        "storage": f"deita-review:{project.path.stem}:{queue.queue}:{queue.made}:{reviewer}",
        "reviewer": reviewer,
        "cookie": "" if _logged_in() else REVIEWER_COOKIE,
        "asks": list(queue.asks),
        "labels": list(queue.labels),
        "guidelines": queue.guidelines,
        "blind": queue.blind,
        "minutes": LEASE_MINUTES,
        "more": bool(problem) or len(claimed) >= AHEAD + handled["later"],
        "rows": [_row(one, facts.get(one.row, []), judged.get(one.row, ())) for one in rows],
        "before": [_row(one, [], ()) for one in answered],
        "after": [
            {
                "row": one.row,
                "facts": facts.get(one.row, []),
                "others": _others(project, queue.queue, one.row, reviewer),
            }
            for one in answered
        ],
        "receipt": {
            **{name: handled[name] for name in ("number", "taken", "refused")},
            "problem": handled["problem"] or problem,
        },
        "tags": [one.tag for one in tags(project)[:_MOST_TAGS]],
        **_progress(project, queue.queue, reviewer),
    }


def _claimed(project: Project, queue: int, reviewer: str, most: int) -> tuple[list[int], str]:
    """Rows claimed; or those still held, and why no more can be (the disk is full, say)."""
    try:
        return claim(project, queue, reviewer, most), ""
    except ProjectError as error:
        name = people.reviewer(reviewer)
        return [one.row for one in leases(project, queue) if one.reviewer == name], str(error)


def _logged_in() -> bool:
    person = people.current_person()
    return person is not None and bool(person.email)


def _progress(project: Project, queue: int, reviewer: str) -> dict[str, Any]:
    found = progress(project, queue)
    mine = next((one for one in found.reviewers if one.reviewer == reviewer), None)
    pace = math.nan if mine is None else mine.per_hour
    return {
        "own": 0 if mine is None else mine.rows,
        "done": found.done,
        "total": found.rows,
        "pace": None if math.isnan(pace) else round(pace),
    }


def _row(one: RowToReview, facts: list[str], judged: Iterable[Said]) -> dict[str, Any]:
    about = [one.source, one.language or "", *(flag.replace("_", " ") for flag in one.flags)]
    messages, left = _messages(one.text)
    original = None if one.original is None else _messages(one.original)[0]
    return {
        "row": one.row,
        "version": one.version,
        "about": [text for text in about if text],
        "messages": messages,
        "left": left,
        "original": original,
        "tags": list(one.tags),
        "own": {said.slot: said.value or said.kind for said in one.own},
        "facts": facts,
        "judged": [said.sentence() for said in judged],
    }


def _messages(text: Conversation) -> tuple[list[dict[str, str]], int]:
    """Role and text of each message, and how many characters beyond the most were left out."""
    room, left, shown = MOST_CHARACTERS, 0, []
    for message in text.messages:
        content = message.content[:room]
        left += len(message.content) - len(content)
        room -= len(content)
        thought = (message.reasoning or "")[:room]
        room -= len(thought)
        texts = {"text": without_surrogates(content), "reasoning": without_surrogates(thought)}
        shown.append({"role": message.role, **texts})
    return shown, left


def _facts(opened: Opened, rows: Sequence[int]) -> dict[int, list[str]]:
    """Scores of these rows, and what a saved selection did with them and why: the current one,
    or the newest."""
    if not rows:
        return {}
    known, count = scores(opened), len(arrays(opened))
    found = {
        row: [
            f"{name} {values[row]:.2f}"
            for name, values in known.items()
            if not math.isnan(values[row])
        ]
        for row in rows
        if row < count
    }
    saved = selections(opened.project)
    if saved:
        chosen = next((one for one in saved if one.current), saved[0])
        with suppress(DeitaError):  # a selection of before may not fit the pool of now
            result = outcome(opened, SelectionRule.from_json(chosen.rule))
            for row, facts in found.items():
                facts.append(f"{chosen.name}: {result.why(row)}")
    return found


def _others(project: Project, queue: int, row: int, reviewer: str) -> list[str]:
    """What others decided, for who has decided."""
    found = verdicts_of_others(project, queue, row, reviewer)
    return [f"{one.why}: {one.kind}{f' {one.value}' if one.value else ''}" for one in found]


# what the browser sends


def _take(project: Project, queue: int, reviewer: str, key: str) -> None:
    sent = st.session_state[key].get("sent")
    st.session_state[state.READING][key] = take_sent(project, queue, reviewer, sent)


def take_sent(project: Project, queue: int, reviewer: str, sent: object) -> Handled:
    """Keep what a browser sent: {"number", "later", "items": decisions and edits in order}.

    Nothing about `sent` is taken on trust. What can never be kept is refused, with the reason; what
    could not be kept for another cause is neither taken nor refused, so it will come again.
    """
    given = sent if isinstance(sent, dict) else {}
    items = _items(given.get("items"))
    handled = Handled(
        number=_whole(given.get("number"), 2**53),
        taken=[],
        refused=[],
        problem="",
        later=_whole(given.get("later"), _MOST_LATER),
    )
    try:
        for is_edit, run in groupby(items, key=lambda item: item.get("kind") == "edit"):
            if is_edit:
                for item in run:
                    _keep(project, queue, reviewer, [item], handled)
            else:
                _keep(project, queue, reviewer, list(run), handled)
    except DeitaError as error:
        handled["problem"] = str(error)
    return handled


def _items(sent: object) -> list[dict[str, Any]]:
    """What has a row and an id of its own; anything else has no receipt that could be sent."""
    return [
        item
        for item in (sent if isinstance(sent, list) else [])[:_MOST_SENT]
        if isinstance(item, dict)
        and isinstance(item.get("client"), str)
        and item["client"]
        and type(item.get("row")) is int
    ]


def _whole(value: object, most: int) -> int:
    return min(max(value, 0), most) if type(value) is int else 0


def _keep(
    project: Project, queue: int, reviewer: str, items: list[dict[str, Any]], handled: Handled
) -> None:
    """All at once, or one by one where one of them cannot be kept."""
    try:
        if items[0].get("kind") == "edit":
            _edit(project, queue, reviewer, items[0])
        else:
            answer(project, queue, read_decisions(items), reviewer=reviewer)
    except ReviewError as error:
        if len(items) == 1:
            handled["refused"].append({"client": items[0]["client"], "why": str(error)})
            return
        for one in items:
            _keep(project, queue, reviewer, [one], handled)
    else:
        handled["taken"] += [one["client"] for one in items]


def _edit(project: Project, queue: int, reviewer: str, item: dict[str, Any]) -> None:
    """Keep a corrected text: {row, client, of: the version corrected, texts: of its messages}."""
    row, of, texts = item["row"], item.get("of"), item.get("texts")
    if (
        not isinstance(of, int)
        or not isinstance(texts, list)
        or not all(isinstance(text, str) for text in texts)
    ):
        raise ReviewError(f"an edit has row, of and texts, got {json.dumps(item)[:200]}")
    inside = "SELECT count(*) FROM queue_rows WHERE queue = ? AND row = ?"
    if not project.number(inside, queue, row):
        raise ReviewError(f"row {row} is not in this queue: choose a row that it has")
    _, newest = row_text(project, row)
    if len(texts) != len(newest.messages):
        raise ReviewError(
            f"an edit of row {row} has {len(newest.messages)} texts, got {len(texts)}: "
            "read it again"
        )
    if _messages(newest)[1]:
        raise ReviewError(
            f"row {row} has more than the {MOST_CHARACTERS:,} characters that are shown: "
            "correct it in the file and import that"
        )
    pairs = zip(newest.messages, texts, strict=True)
    messages = tuple(Message(one.role, text, one.reasoning) for one, text in pairs)
    changed = Conversation(messages, newest.tools)
    edit_row(project, row, changed, of=of, author=reviewer, client=item["client"])
