"""The Evolve page through app.py: a new run asked for, and a run looked at, corrected and used."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from deita_core.jobs import JobRunner
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import EvolveSpec, ImportSpec
from deita_core.project import Project
from deita_core.project.evolutions import begin_evolution
from deita_core.project.evolved_chains import chain_view
from studio.shell.resources import open_at
from tests.builders import prepared_project
from tests.test_evolutions import PLAN, SEEDS, commit_first_two
from tests.test_pages import APP, opened, texts


@pytest.fixture
def path(projects: Path) -> Path:
    projects.mkdir()
    return prepared_project(projects / "topics.duckdb")


@pytest.fixture
def run(path: Path) -> Path:
    """The project with a run of three chains: one complete, one ended early, one not begun."""
    with Project.open(path) as project:
        commit_first_two(project, begin_evolution(project, "first", PLAN, SEEDS))
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[JobSpec]:
    """The jobs that the page queues; none of them is run."""
    found: list[JobSpec] = []

    def submit(runner: JobRunner, chain: list[JobSpec]) -> list[int]:
        found.extend(chain)
        return []

    monkeypatch.setattr(JobRunner, "submit", submit)
    return found


def evolve(**address: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["project"] = "topics"
    for key, value in address.items():
        app.query_params[key] = value
    page = opened(app, "evolve")
    assert not page.exception, page.exception
    return page


def button(page: AppTest, label: str) -> object:
    return next(one for one in page.button if one.label == label)


def named_endpoint(page: AppTest) -> AppTest:
    page.text_input(key="evolve_url").set_value("http://localhost:9/v1")
    return page.text_input(key="evolve_served").set_value("m").run()


def test_without_a_model_the_page_says_what_is_needed_and_shows_the_seeds(path: Path) -> None:
    page = evolve()
    said = texts(page)
    assert "Evolving needs a chat model" in said
    assert "labels of your own and on reviews" in said
    assert "60 seeds" in said  # every row of the pool can evolve
    assert button(page, "Try 20 seeds first").disabled
    assert button(page, "Run all").disabled


def test_a_pilot_is_asked_for_with_what_was_chosen(path: Path, asked: list[JobSpec]) -> None:
    page = named_endpoint(evolve())
    page.slider(key="evolve_rounds").set_value(2)
    page.number_input(key="evolve_size").set_value(30)
    page.number_input(key="evolve_most_tokens").set_value(5000).run()
    button(page, "Try 20 seeds first").click().run()
    assert not page.exception, page.exception
    (spec,) = asked
    assert isinstance(spec, EvolveSpec)
    assert (spec.name, spec.chat, spec.first) == ("complexity", "m@http://localhost:9/v1", 20)
    assert (spec.plan.kind, spec.plan.rounds, spec.seeds.size) == ("complexity", 2, 30)
    assert spec.limit.most_tokens == 5000


def test_a_limit_in_money_without_prices_is_refused_in_words(path: Path) -> None:
    page = named_endpoint(evolve())
    page.number_input(key="evolve_most_money").set_value(3.0).run()
    assert "a limit in money needs the prices" in texts(page)


def test_a_run_opens_with_its_counts_and_the_rest_can_be_asked_for(run: Path) -> None:
    page = evolve()
    said = texts(page)
    assert "2 of 3 chains done, 1 of them to the last round, 1 ranked" in said
    assert "it by `deita evolve`" in said  # no job of it is known here
    assert "Chain 0" in said


def test_a_chain_of_the_address_shows_why_its_attempts_were_eliminated(run: Path) -> None:
    page = evolve(run="1", chain="1")
    said = texts(page)
    assert "Chain 1" in said
    assert "the chain ends here" in said
    assert "the same as its parent" in said
    assert [one.label for one in page.expander][:2] == [
        "Eliminated: copy (deepen)",
        "Eliminated: empty (concretise)",
    ]


def test_next_goes_to_the_next_chain_and_the_address_follows(run: Path) -> None:
    page = evolve(run="1")
    page.button(key="evolve_Next").click().run()
    assert "Chain 1" in texts(page)
    assert page.query_params["chain"] == "1"


def test_a_rank_is_corrected_by_hand_and_the_correction_undone(run: Path) -> None:
    page = evolve(run="1", chain="0")
    page.text_input(key="evolve_rank_1_0_2_why").set_value("it is plain")
    page.button(key="evolve_rank_1_0_2_4").click().run()
    assert not page.exception, page.exception
    view = chain_view(open_at(str(run)).project, 1, 0)
    assert (view.scores[2].score, view.edits[0].why) == (4.0, "it is plain")
    assert "before 5.5" in texts(page)
    page.button(key=f"evolve_undo_{view.edits[0].number}").click().run()
    assert chain_view(open_at(str(run)).project, 1, 0).scores[2].score == 5.5


def test_reasons_lead_to_their_chains(run: Path) -> None:
    page = evolve(run="1", evolved="eliminated")
    page.button(key="evolve_reason_copy").click().run()
    assert page.selectbox(key="evolve_reason").value == "copy"
    assert page.dataframe[0].value["chain"].tolist() == [1]


def test_variants_join_the_pool_by_an_import(
    run: Path, asked: list[JobSpec], tmp_path: Path
) -> None:
    page = evolve(run="1", evolved="use")
    assert "1 ranked chain becomes labelled turns" in texts(page)
    button(page, "Add to the pool").click().run()
    assert not page.exception, page.exception
    assert [type(spec) for spec in asked] == [ImportSpec]
