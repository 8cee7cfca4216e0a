"""What people made of the rows of a selection, in figures for its manifest and card."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deita_core.project.store import Project
from deita_core.review.agreement import alpha, raw_agreement
from deita_core.review.answers import Values
from deita_core.review.decision import VERDICTS

_VERDICTS = """
SELECT author, row, list_position(?, kind) - 1 FROM (
    FROM decisions WHERE slot = 'verdict' AND row IN (
        SELECT row FROM selection_rows WHERE selection = ?)
    AND queue NOT IN (SELECT queue FROM queues WHERE adjudicates IS NOT NULL)
    QUALIFY number = max(number) OVER (PARTITION BY row, author))
WHERE kind <> 'withdraw' ORDER BY author, row
"""
_ANSWERED = """
SELECT count(DISTINCT row), count(DISTINCT author) FROM standing
WHERE NOT shared AND slot <> 'note' AND kind <> 'withdraw'
  AND row IN (SELECT row FROM selection_rows WHERE selection = ?)
"""
_EDITED = """
SELECT count(*) FROM standing WHERE slot = 'edit'
  AND row IN (SELECT row FROM selection_rows WHERE selection = ?)
"""


@dataclass(frozen=True, slots=True)
class SelectionReview:
    """Figures over the rows of a selection.

    reviewed: rows with an answer of a reviewer. reviewers: people who gave one. twice: rows with
    verdicts of two people or more, whichever queue they are from; what adjudicators decided does
    not count. alpha: Krippendorff's, and raw: share of equal pairs; NaN where unknown. edited:
    rows with a corrected text.
    """

    reviewed: int
    reviewers: int
    twice: int
    alpha: float
    raw: float
    edited: int


def review_of(project: Project, selection: int) -> SelectionReview | None:
    """What was reviewed of a selection; None where nothing was, and nothing was edited."""
    ((reviewed, reviewers),) = project.rows(_ANSWERED, selection)
    edited = project.number(_EDITED, selection)
    if not reviewed and not edited:
        return None
    values = _verdicts(project, selection)
    twice = int((np.isfinite(values).sum(axis=0) >= 2).sum())
    agreement = alpha(values), raw_agreement(values)
    return SelectionReview(reviewed, reviewers, twice, *agreement, edited)


def _verdicts(project: Project, selection: int) -> Values:
    """The last verdict of each person on each row: (r, u) float64, NaN for none."""
    said = project.rows(_VERDICTS, list(VERDICTS), selection)
    authors = {name: at for at, name in enumerate(dict.fromkeys(one for one, *_ in said))}
    places = {row: at for at, row in enumerate(dict.fromkeys(row for _, row, _ in said))}
    values = np.full((len(authors), len(places)), np.nan)
    for author, row, verdict in said:
        values[authors[author], places[row]] = verdict
    return values
