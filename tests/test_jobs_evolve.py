"""Evolving as a job: seeds chosen once, chains kept as they finish, no answer paid for twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deita_core.errors import DeitaError, EvolvingError, JobCancelledError, SpendingCapError
from deita_core.evolving.plan import EvolvePlan, RankPlan
from deita_core.jobs.evolve_seeds import SeedChoice, chosen_seeds
from deita_core.jobs.evolved_rows import join_pool, lineage_sentence
from deita_core.jobs.handover import SPEC, Handover, Part
from deita_core.jobs.kinds.evolve import EvolveSpec
from deita_core.jobs.label_sources import chain_labels
from deita_core.models.spending import SpendingLimit
from deita_core.project import Project
from deita_core.project.evolutions import cost_left, evolutions, find_evolution
from deita_core.project.evolved_chains import chain_view, correct_rank
from deita_core.project.job_log import Progress
from tests.answering import plausible
from tests.builders import Channel, conversation, prepared_project, with_graph
from tests.fake_endpoint import Fault, Server, serving

PLAN = EvolvePlan(kind="complexity", rounds=3)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.open(prepared_project(tmp_path / "p.duckdb")) as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(plausible) as served:
        yield served


def evolve(server: Server, **other: object) -> EvolveSpec:
    given: dict[str, object] = {"name": "run", "plan": PLAN, "chat": f"m@{server.url}"}
    return EvolveSpec.model_validate({**given, "seeds": SeedChoice(size=6), **other})


class Killed(BaseException):
    """What no worker can catch."""


@dataclass
class Worker:
    """A worker in a folder of the project, which its owner may kill after some reports.

    cancel: the owner asks it to stop instead. A worker that was killed hands over nothing more.
    """

    project: Project
    spec: EvolveSpec
    job: int
    reports: int = 1 << 30
    cancel: bool = False

    def run(self) -> Progress:
        handover = Handover(self.project.folder / f"job-{self.job}")
        handover.create(self.spec.kind, self.spec.to_json())
        spec = EvolveSpec.read(handover.told(SPEC)[1])  # type: ignore[index]
        self.folder, self.told, self.dead = handover.input, Progress(), False
        spec.check(self.project)
        self.total = spec.prepare(self.project, {}, self.folder)
        spec.work(self)  # type: ignore[arg-type]
        return self.told

    def get_input(self) -> tuple[Path, int]:
        return self.folder, self.total

    def put(self, part: Part) -> None:
        if self.dead:
            raise Killed
        self.spec.commit(self.project, {}, part)

    def check(self) -> None:
        """Nothing to be checked between reports."""

    def report(self, progress: Progress) -> None:
        self.told = progress
        self.reports -= 1
        if self.reports <= 0:
            self.dead = not self.cancel
            raise Killed if self.dead else JobCancelledError("cancelled")


def times_asked(server: Server) -> int:
    """How often the request was asked that was asked most often."""
    return max(Counter(json.dumps(one, sort_keys=True) for one in server.asked).values())


def test_chains_evolve_are_ranked_and_stand_in_the_project(
    project: Project, server: Server
) -> None:
    told = Worker(project, evolve(server), 1).run()
    run = find_evolution(project, "run")
    assert (run.chains, run.done, run.complete, run.ranked) == (6, 6, 6, 6)
    assert (run.kept, run.requests) == (18, len(server.asked)) == (18, 24)
    assert told.sentence().startswith("18 variants, 0 eliminated, 6 chains ranked; 24 requests")
    view = chain_view(project, run.evolution, 2)
    assert view.variants[0].instruction == conversation(view.line.row).turns[0].instruction
    assert [one.method is not None for one in view.variants] == [False, True, True, True]
    assert sorted(one.score for one in view.scores.values()) == [1, 2, 3, 4]  # type: ignore[type-var]


def test_the_same_run_again_asks_for_nothing_and_another_plan_is_refused(
    project: Project, server: Server
) -> None:
    Worker(project, evolve(server), 1).run()
    before, asked = evolutions(project), len(server.asked)
    Worker(project, evolve(server), 2).run()
    assert (evolutions(project), len(server.asked)) == (before, asked)
    with pytest.raises(DeitaError, match="begun with another plan"):
        evolve(server, seeds=SeedChoice(size=7)).check(project)
    with pytest.raises(EvolvingError, match="no method 'nosuch'"):
        evolve(server, plan=EvolvePlan(kind="complexity", methods=("nosuch",))).check(project)


def test_more_passes_under_another_name_pay_for_the_new_ranks_alone(
    project: Project, server: Server
) -> None:
    Worker(project, evolve(server), 1).run()
    Worker(project, evolve(server, name="twice", rank=RankPlan(passes=2)), 2).run()
    twice, once = evolutions(project)
    assert (twice.requests, once.requests) == (6, 24)


def test_a_worker_killed_again_and_again_never_pays_for_an_answer_twice(
    project: Project, server: Server
) -> None:
    seeds = SeedChoice(size=20)
    for reports in (3, 9, 6):
        with pytest.raises(Killed):
            Worker(project, evolve(server, seeds=seeds), 1, reports).run()
    Worker(project, evolve(server, seeds=seeds), 1).run()
    assert find_evolution(project, "run").done == 20
    assert times_asked(server) == 1


def test_what_a_killed_job_was_answered_serves_another_job(
    project: Project, server: Server
) -> None:
    with pytest.raises(Killed):
        Worker(project, evolve(server), 1, 3).run()
    assert find_evolution(project, "run").done == 0
    Worker(project, evolve(server), 2).run()
    assert times_asked(server) == 1
    assert find_evolution(project, "run").requests == len(server.asked)


def test_a_cancel_keeps_what_is_finished(project: Project, server: Server) -> None:
    slow = evolve(server, seeds=SeedChoice(size=30))
    with pytest.raises(JobCancelledError):
        Worker(project, slow, 1, 20, cancel=True).run()
    run = find_evolution(project, "run")
    assert 0 < run.done < 30
    assert run.requests == len(server.asked)
    Worker(project, slow, 2).run()
    assert find_evolution(project, "run").done == 30
    assert times_asked(server) == 1


def test_a_pilot_runs_the_first_chains_and_says_what_the_rest_costs(
    project: Project, server: Server
) -> None:
    size = SeedChoice(size=30)
    Worker(project, evolve(server, seeds=size, first=5), 1).run()
    run = find_evolution(project, "run")
    assert (run.chains, run.done) == (30, 5)
    left = cost_left(project, run.evolution, price_in=1.0, price_out=1.0)
    assert left.chains == 25
    whole = left.prompt_tokens + left.answer_tokens
    assert whole == pytest.approx(5 * (run.prompt_tokens + run.answer_tokens), abs=2)
    Worker(project, evolve(server, seeds=size), 2).run()
    assert find_evolution(project, "run").done == 30
    assert times_asked(server) == 1


def test_chains_whose_requests_failed_can_be_done_again(project: Project) -> None:
    down = {"yes": True}

    def sometimes(body: dict[str, Any], number: int) -> dict[str, Any] | Fault:
        refused = down["yes"] and "rivers" in body["messages"][-1]["content"]
        return Fault(status=400, body=b"{}") if refused else plausible(body, number)

    with serving(sometimes) as server:
        Worker(project, evolve(server, seeds=SeedChoice(size=20)), 1).run()
        run = find_evolution(project, "run")
        assert (run.done, run.complete) == (20, 16)
        down["yes"] = False
        asked = len(server.asked)
        Worker(project, evolve(server, seeds=SeedChoice(size=20), again=True), 2).run()
        assert find_evolution(project, "run").complete == 20
        assert len(server.asked) - asked == 4 * 4


def test_seeds_are_spread_over_clusters_and_their_order_does_not_hang_on_their_number(
    tmp_path: Path,
) -> None:
    with Project.open(with_graph(prepared_project(tmp_path / "p.duckdb"))) as project:
        few = chosen_seeds(project, SeedChoice(size=10), PLAN).seeds
        many = chosen_seeds(project, SeedChoice(size=20), PLAN).seeds
        other = chosen_seeds(project, SeedChoice(size=10, seed=1), PLAN).seeds
    assert Counter(row % 5 for row, _ in few) == dict.fromkeys(range(5), 2)
    assert many[:10] == few != other


def test_seeds_can_be_ids_or_rows_that_pass_a_filter(project: Project) -> None:
    ids = tuple(conversation(row).id for row in (7, 3))
    assert chosen_seeds(project, SeedChoice(ids=ids), PLAN).seeds == [(7, 0), (3, 0)]
    two_turns = chosen_seeds(project, SeedChoice(filter="turns=2.."), PLAN).seeds
    assert {row % 5 for row, _ in two_turns} == {0}
    with pytest.raises(EvolvingError, match="1 of 1 ids are not in this project"):
        chosen_seeds(project, SeedChoice(ids=("nosuch",)), PLAN)


def test_rows_that_cannot_evolve_are_passed_over_and_counted(
    project: Project, server: Server
) -> None:
    short = EvolvePlan(kind="complexity", rounds=1, most_tokens=16)
    found = chosen_seeds(project, SeedChoice(size=60), short)
    assert len(found.seeds) + sum(found.unfit.values()) == 60
    Worker(project, evolve(server, seeds=SeedChoice(size=60), plan=short), 1).run()
    assert find_evolution(project, "run").unfit == found.unfit


def test_a_run_gives_labelled_turns_by_seed_with_ranks_by_hand(
    project: Project, server: Server
) -> None:
    Worker(project, evolve(server), 1).run()
    run = find_evolution(project, "run").evolution
    correct_rank(project, run, 0, 2, 5.5)
    labels = chain_labels(project, "run")
    assert len(labels) == 24
    assert len({one.group for one in labels}) == 6
    seed = chain_view(project, run, 0).variants[0].instruction
    assert 5.5 in [one.score for one in labels if one.group == seed]
    assert labels[0].instruction == labels[0].group == seed


def test_evolved_variants_join_the_pool_with_their_lineage(
    project: Project, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEITA_DATA_DIR", str(tmp_path / "data"))
    plan = EvolvePlan(kind="complexity", rounds=2, answer_instructions=True)
    Worker(project, evolve(server, plan=plan), 1).run()
    run = find_evolution(project, "run")
    joined = join_pool(project, run, "all")
    assert joined.rows == run.kept == 12
    assert joined.spec is not None
    Channel(project, joined.spec, tmp_path / "import")
    row = project.number("SELECT max(row) FROM conversations")
    (messages, original), *_ = project.rows(
        "SELECT messages, original FROM conversations WHERE row = ?", row
    )
    assert [one["role"] for one in json.loads(messages)] == ["user", "assistant"]
    lineage: dict[str, Any] = json.loads(original)["lineage"]
    assert (lineage["evolution"], lineage["round"], lineage["parent"]) == ("run", 2, 1)
    assert lineage["seed"] in {conversation(row).id for row in range(60)}
    said = lineage_sentence(original)
    assert said is not None
    assert "round 2 of chain" in said
    assert said.endswith("from round 1.")
    assert lineage_sentence('{"lineage": "of another kind"}') is None
    assert join_pool(project, run, "all").spec is None


def test_the_limit_holds_over_all_jobs_of_a_run(project: Project, server: Server) -> None:
    plan = EvolvePlan(kind="complexity", rounds=3, most_tokens=64)
    for job in (1, 2):
        limited = evolve(server, plan=plan, limit=SpendingLimit(most_tokens=5500))
        with pytest.raises(SpendingCapError, match="5,500 tokens"):
            Worker(project, limited, job).run()
    run = find_evolution(project, "run")
    assert 0 < run.prompt_tokens + run.answer_tokens <= 5500
    Worker(project, evolve(server, plan=plan), 3).run()
    assert find_evolution(project, "run").done == 6
    assert times_asked(server) == 1
