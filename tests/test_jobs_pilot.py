"""jobs.pilot: a few rows first; what it tells of the rest, and that nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from deita_core.jobs import JobRunner
from deita_core.jobs.chains import pilot_chain
from deita_core.jobs.kinds.pilot import PilotFacts
from deita_core.project import Project
from deita_core.project.models import (
    ModelIdentity,
    activate_model,
    active_model,
    pilots,
    reading_left,
    reading_of,
    register_model,
    write_pilot_rows,
)
from deita_core.project.scores import scorers
from deita_core.project.vectors import embedders
from tests.builders import prepared_project
from tests.test_jobs_score import finished

pytestmark = pytest.mark.usefixtures("jobs_here")

FAKES = {"complexity": "tests.fakes:MassScorer", "embedder": "tests.fakes:HashEmbedder"}


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[Project]:
    """60 conversations, all scored and embedded by other models."""
    with Project.open(prepared_project(tmp_path / "p.duckdb")) as project:
        yield project


@pytest.fixture
def runner(prepared: Project) -> Iterator[JobRunner]:
    made = JobRunner(prepared)
    made.start()
    yield made
    made.stop()


def test_a_pilot_tells_rates_and_what_is_left(prepared: Project, runner: JobRunner):
    record = finished(runner, runner.submit(pilot_chain(**FAKES, rows=20)))
    assert (record.state, record.error) == ("done", None)
    embedding, complexity = (PilotFacts.model_validate(p.facts) for p in pilots(prepared))
    assert (complexity.dimension, embedding.dimension) == ("complexity", "embedding")
    for facts in (complexity, embedding):
        assert (facts.rows, facts.left_rows) == (20, 40)
        assert min(facts.rows_per_second, facts.tokens_per_second, facts.left_seconds) > 0
        assert facts.memory is not None
    assert complexity.health == (
        "98 % of the probability is on the digits 1 to 6, scores from 1.0 to 5.0",
    )


def test_the_scores_of_a_pilot_are_kept_and_the_next_one_takes_others(
    prepared: Project, runner: JobRunner
):
    steps = pilot_chain(complexity="tests.fakes:MassScorer", rows=40)
    finished(runner, runner.submit(steps))
    finished(runner, runner.submit(steps))
    second, first = (p.facts for p in pilots(prepared))
    assert (first["rows"], second["rows"], second["left_rows"]) == (40, 20, 0)
    assert second["left_seconds"] == 0
    record = finished(runner, runner.submit(steps))
    assert (record.state, len(pilots(prepared))) == ("done", 2)
    assert "it has done all rows" in record.message


def test_a_pilot_does_not_change_what_selection_uses(prepared: Project, runner: JobRunner):
    before = (active_model(prepared, "complexity"), active_model(prepared, "embedding"))
    finished(runner, runner.submit(pilot_chain(**FAKES, rows=5)))
    assert (active_model(prepared, "complexity"), active_model(prepared, "embedding")) == before
    assert len(embedders(prepared)) == 2
    new = next(s for s in scorers(prepared) if s.model == "tests/mass")
    activate_model(prepared, new.scorer)
    assert active_model(prepared, "complexity") == new.scorer
    assert active_model(prepared, "quality") is not None


def test_a_pilot_of_a_hopeless_scorer_says_so_without_failing(
    prepared: Project, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DEITA_TEST_MASS", "0.01")
    finished(runner, runner.submit(pilot_chain(quality="tests.fakes:MassScorer", rows=60)))
    facts = PilotFacts.model_validate(pilots(prepared)[0].facts)
    assert facts.health_level in ("look", "hopeless")
    assert "puts 1 % of its probability" in facts.health[0]


def test_the_sample_is_seeded_and_spread_over_all_lengths(prepared: Project, tmp_path: Path):
    number = register_model(
        prepared, "quality", ModelIdentity(id="new", revision="1"), activate=False
    )

    def sample(seed: int) -> list[int]:
        out = tmp_path / f"{seed}.parquet"
        assert write_pilot_rows(prepared, "quality", number, 10, seed, out) == 10
        return pq.read_table(out)["row"].to_pylist()

    assert sample(1) == sample(1) != sample(2)
    tokens = prepared.cursor().execute("SELECT tokens FROM conversations ORDER BY row").fetchnumpy()
    chosen = np.sort(tokens["tokens"][sample(1)])
    everything = np.sort(tokens["tokens"])
    assert (chosen[0] <= everything[5], chosen[-1] >= everything[-6]) == (True, True)


def test_what_is_left_is_counted_in_the_characters_a_model_reads(prepared: Project):
    number = register_model(
        prepared, "complexity", ModelIdentity(id="new", revision="1"), activate=False
    )
    rows, characters = reading_left(prepared, "complexity", number)
    assert rows == 60
    assert characters == reading_of(prepared, "complexity", range(60))
    assert reading_of(prepared, "quality", range(60)) > characters
    assert reading_of(prepared, "complexity", [0]) < characters / 30


def test_the_cost_follows_from_the_price_per_hour():
    facts = PilotFacts(
        dimension="quality",
        model="m",
        rows=200,
        seconds=1,
        rows_per_second=1,
        tokens_per_second=1,
        load_seconds=1,
        memory=None,
        gpu_memory=None,
        left_rows=100,
        left_seconds=7200,
        health_level="good",
        health=(),
    )
    assert facts.cost(2.5) == pytest.approx(5.0)
