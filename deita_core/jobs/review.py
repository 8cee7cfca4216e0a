"""From a project to a queue by rule, and from its answers to what they say about the scorers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from deita_core.conversation import Conversation
from deita_core.errors import ReviewError
from deita_core.jobs.kinds.select_rows import selection_input
from deita_core.jobs.outputs import output_file
from deita_core.project import Project
from deita_core.project.graphs import load_clusters
from deita_core.project.models import active_model
from deita_core.project.pool import load_pool_table
from deita_core.project.queues import people_scores
from deita_core.project.scores import paired_scores, scorers
from deita_core.project.selections import SavedSelection, find_selection, selections
from deita_core.review.answers import Rows, Values
from deita_core.review.calibration import Calibration, calibration, cost_of_errors
from deita_core.review.decision import Dimension
from deita_core.review.queue_rule import QueueInput, QueueRule, choose_rows
from deita_core.scoring.agreement import agreement
from deita_core.scoring.protocol import DIMENSIONS
from deita_core.selection.analysis.changes import Changes
from deita_core.selection.outcome import select
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule


def rows_of_rule(
    project: Project,
    rule: QueueRule,
    *,
    selection: str | None = None,
    within: Sequence[int] | None = None,
) -> Rows:
    """The rows of a queue by rule, in its order: (k,) int64.

    selection: the saved one that "top" and "boundary" look at; None: the project's current one.
    within: only these rows. Raises ReviewError or SelectionError, saying what is missing.
    """
    given = None if within is None else np.array(within, np.int64)
    if rule.kind in ("top", "boundary"):
        saved = SelectionRule.from_json(_selection(project, selection).rule)
        table = selection_input(project, rule=saved)
        return choose_rows(rule, table, QueueInput(outcome=select(saved, table)), given)
    table = _pool(project)
    if rule.kind == "low-mass":
        return choose_rows(rule, table, QueueInput(mass=_least_mass(project)), given)
    if rule.kind == "disagree":
        apart = _rank_difference(project, rule.dimension)
        return choose_rows(rule, table, QueueInput(rank_difference=apart), given)
    return choose_rows(rule, table, None, given)


def _selection(project: Project, name: str | None) -> SavedSelection:
    if name is not None:
        return find_selection(project, name)
    current = next((one for one in selections(project) if one.current), None)
    if current is None:
        raise ReviewError("this looks at a selection, and none is the current one: name one")
    return current


def _pool(project: Project, table: PoolTable | None = None) -> PoolTable:
    """The pool with its clusters, where there are any."""
    table = load_pool_table(project) if table is None else table
    return replace(table, cluster=load_clusters(project))


def _least_mass(project: Project) -> Values:
    found = project.arrays(
        "SELECT s.row, min(s.mass) AS mass FROM scores s JOIN models m ON m.model = s.scorer "
        "WHERE m.active AND s.mass IS NOT NULL AND NOT isnan(s.mass) GROUP BY s.row"
    )
    mass = np.full(project.number("SELECT count(*) FROM conversations"), np.nan)
    mass[found["row"]] = found["mass"]
    return mass


def _rank_difference(project: Project, dimension: Dimension) -> Values:
    """The largest of any turn, of the active scorer and any other of the dimension."""
    apart = np.full(project.number("SELECT count(*) FROM conversations"), np.nan)
    active = active_model(project, dimension)
    for other in scorers(project):
        if other.dimension != dimension or other.scorer == active:
            continue
        scores = paired_scores(project, active, other.scorer)
        found = agreement(scores.first, scores.second, most=len(scores.row))
        both = np.isfinite(scores.first) & np.isfinite(scores.second)
        apart[scores.row[both]] = np.fmax(apart[scores.row[both]], 0.0)
        np.fmax.at(apart, scores.row[found.differ], np.abs(found.rank_difference))
    return apart


# what answers say about the scorers


def calibrations(
    project: Project, queue: int | None = None, table: PoolTable | None = None
) -> list[Calibration]:
    """Every scorer that is active against people's scores, and the others after them.

    queue: only what was answered in it. table: the pool, where it is loaded already. Dimensions
    that nobody scored are left out. Scores outside 1 to 6 (a length, a rank) are compared all the
    same; look at Spearman alone there.
    """
    table, found = _pool(project, table), []
    known = sorted(scorers(project), key=lambda one: not one.active)
    for dimension in DIMENSIONS:
        people = people_scores(project, dimension, queue)
        if np.isnan(people).all():
            continue
        for one in known:
            if one.dimension == dimension:
                scores = _row_scores(project, one.scorer, len(table))
                found.append(
                    calibration(people, scores, table, dimension=dimension, scorer=one.model)
                )
    return found


def _row_scores(project: Project, scorer: int, rows: int) -> Values:
    """The mean of a scorer over the turns of each row: (n,) float64, NaN for none."""
    found = project.arrays(
        "SELECT row, avg(score) AS score FROM scores WHERE scorer = ? AND score IS NOT NULL "
        "GROUP BY row",
        scorer,
    )
    scores = np.full(rows, np.nan)
    scores[found["row"]] = found["score"]
    return scores


def cost_for(project: Project, selection: str | None = None, queue: int | None = None) -> Changes:
    """What a saved selection (None: the current one) would be with people's scores for scorers'."""
    rule = SelectionRule.from_json(_selection(project, selection).rule)
    table = selection_input(project, rule=rule)
    people = {dimension: people_scores(project, dimension, queue) for dimension in DIMENSIONS}
    return cost_of_errors(rule, table, people)


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """What was written for training. left_out: scored rows of several turns or of none."""

    rows: int
    left_out: int

    def sentence(self) -> str:
        """The counts in words."""
        left = f"; {self.left_out:,} rows of several turns or of none left out"
        return f"{self.rows:,} labelled rows{left if self.left_out else ''}"


_LABELLED = """
WITH scored AS (
    SELECT row, version, avg(value::INTEGER) FILTER (slot = 'complexity') AS complexity,
           avg(value::INTEGER) FILTER (slot = 'quality') AS quality,
           count(DISTINCT author) AS reviewers
    FROM standing WHERE slot IN ('complexity', 'quality') AND kind <> 'withdraw'
      AND ($queue IS NULL OR queue = $queue)
    GROUP BY row, version QUALIFY version = max(version) OVER (PARTITION BY row))
"""
_LABELLED_ROWS = f"""
{_LABELLED}
SELECT c.row, c.id, s.version, s.complexity, s.quality, s.reviewers,
       coalesce(e.value, c.messages), c.tools
FROM scored s JOIN conversations c USING (row)
LEFT JOIN decisions e ON e.row = s.row AND e.slot = 'edit' AND e.version = s.version
WHERE c.turns = 1 ORDER BY s.row
"""  # noqa: S608 - only text of ours goes in
_LABELLED_COUNTS = f"""
{_LABELLED}
SELECT count(*) FILTER (c.turns = 1), count(*) FILTER (c.turns <> 1)
FROM scored s JOIN conversations c USING (row)
"""  # noqa: S608 - only text of ours goes in


def labelled_counts(project: Project, queue: int | None = None) -> LabelledFile:
    """What `write_labelled` would write."""
    with project.reading() as cursor:
        found = cursor.execute(_LABELLED_COUNTS, {"queue": queue}).fetchall()
    return LabelledFile(*found[0])


@dataclass(frozen=True, slots=True)
class ScoredTurn:
    """A row of one turn that people scored: its text as they saw it, and the mean of each score."""

    row: int
    id: str
    version: int
    instruction: str
    response: str | None
    complexity: float | None
    quality: float | None
    reviewers: int


def scored_turns(project: Project, queue: int | None = None) -> list[ScoredTurn]:
    """What people scored, in row order; queue: only there. See `labelled_counts` for the rest."""
    with project.reading() as cursor:
        found = cursor.execute(_LABELLED_ROWS, {"queue": queue}).fetchall()
    turns = []
    for row, identity, version, complexity, quality, reviewers, messages, tools in found:
        (turn,) = Conversation.from_json(messages, tools).turns
        texts = turn.instruction, turn.response
        turns.append(ScoredTurn(row, identity, version, *texts, complexity, quality, reviewers))
    return turns


def write_labelled(project: Project, out: Path, queue: int | None = None) -> LabelledFile:
    """Write people's scores as JSON Lines to train a scorer on: one object a row, in row order.

    id, version (of the text), instruction, response, complexity and quality (the mean of those
    who scored this version, null for none), reviewers (how many). A score of a conversation is not
    spread over its turns, so only rows of one turn are written.
    """
    with output_file(out) as partial, partial.open("w", encoding="utf-8") as file:
        for turn in scored_turns(project, queue):
            record = asdict(turn)
            del record["row"]
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return labelled_counts(project, queue)
