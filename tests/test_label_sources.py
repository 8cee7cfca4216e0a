"""Labels from reviews and from ranked chains, up to a scorer that was trained on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deita_core.errors import ModelError
from deita_core.jobs.kinds import TrainSpec
from deita_core.jobs.label_sources import labels_of_chains, labels_of_reviews
from deita_core.jobs.trained import find_trained
from deita_core.project import Project
from deita_core.project.queues import answer, make_queue
from deita_core.review.decision import Decision
from tests.answering import plausible
from tests.builders import Channel, prepared_project
from tests.fake_endpoint import serving
from tests.test_jobs_evolve import Worker, evolve


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.open(prepared_project(tmp_path / "p.duckdb")) as opened:
        yield opened


def reviewed(project: Project, rows: range, reviewer: str, add: int = 0) -> int:
    """A queue of these rows, the quality of each scored by one person."""
    queue = make_queue(project, f"of {reviewer}", rows, asks=("verdict", "quality"), reviewers=2)
    for row in rows:
        score = str(min(1 + (row + add) % 6, 6))
        answer(project, queue, [Decision(row, "quality", score)], reviewer=reviewer)
    return queue


def test_people_s_scores_are_labels_for_rows_of_one_turn(project: Project) -> None:
    first = reviewed(project, range(10, 20), "Ada")
    reviewed(project, range(10, 12), "Bob", add=2)
    found = labels_of_reviews(project, "quality", None)
    assert len(found.labels.turns) == 8
    assert found.labels.rejected == {"of several turns or of none": 2}
    of = {turn.instruction: turn for turn in found.labels.turns}
    eleventh = of["Tell me about rivers, item 11."]
    assert eleventh.score == (6 + 2) / 2
    assert eleventh.group == eleventh.instruction
    only = labels_of_reviews(project, "quality", first)
    assert only.said == "reviews in the queue of Ada"
    assert {t.score for t in only.labels.turns if t.instruction == eleventh.instruction} == {6.0}
    assert labels_of_reviews(project, "complexity", None).labels.rejected["no score"] == 8


def test_a_scorer_is_trained_on_reviews(project: Project, tmp_path: Path) -> None:
    reviewed(project, range(1, 41), "Ada")
    spec = TrainSpec(name="mine", dimension="quality", labels="reviews", held_out=0.4)
    spec.check(project)
    Channel(project, spec, tmp_path / "job")
    facts = find_trained(project, "mine").facts
    assert facts is not None
    assert (facts.learnt + facts.held_out, facts.source) == (32, "reviews")


def test_a_scorer_is_trained_on_ranked_chains_and_no_seed_is_on_both_sides(
    project: Project, tmp_path: Path
) -> None:
    with serving(plausible) as server:
        Worker(project, evolve(server), 1).run()
    with pytest.raises(ModelError, match="were ranked by complexity"):
        labels_of_chains(project, "run", "quality")
    spec = TrainSpec(name="mine", dimension="complexity", labels="chains", run="run")
    spec.check(project)
    Channel(project, spec, tmp_path / "job")
    found = find_trained(project, "mine")
    assert found.facts is not None
    assert found.report is not None
    assert (found.facts.learnt, found.facts.held_out) == (20, 4)
    assert (found.report.groups_learnt, found.report.groups_held_out) == (5, 1)
    assert found.report.pairs_within == "group"
    assert not found.facts.beats_length
