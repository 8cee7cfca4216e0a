"""Runs of the evolving in a project: begun, gone on with, looked at, corrected by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from deita_core.errors import ProjectError
from deita_core.evolving.variant import Ranking, Variant
from deita_core.project import Project
from deita_core.project.check import check_project
from deita_core.project.evolutions import (
    CostLeft,
    EvolutionPlan,
    add_chains,
    begin_evolution,
    cost_left,
    eliminations,
    evolutions,
    find_evolution,
    ranking_table,
    same_evolution,
    seed_rows,
    seeds_left,
    variant_table,
)
from deita_core.project.evolved_chains import (
    ChainFilter,
    chain_lines,
    chain_view,
    correct_rank,
    count_chains,
    scores_of,
    undo_correction,
)
from tests.builders import conversation, prepared_project

PLAN = EvolutionPlan("complexity", "m@http://localhost/v1", "1-abc", 2, "{}")
SEEDS = [(4, 0), (5, 1), (9, 0)]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.open(prepared_project(tmp_path / "p.duckdb")) as opened:
        yield opened


def variant(chain: int, round: int, **other: object) -> Variant:
    given: dict[str, object] = {"attempt": 0, "parent": None, "method": None, "response": None}
    if round:
        given |= {"parent": round - 1, "method": "deepen", "request": f"{chain}-{round}-a"}
    given |= {"instruction": f"text {chain} {round}", "prompt_tokens": 10, "answer_tokens": 30}
    return Variant(chain, round, **given | other)  # type: ignore[arg-type]


def answers(keys: list[str]) -> pa.Table:
    n = len(keys)
    return pa.table(
        {
            "key": keys,
            "text": ["said"] * n,
            "reason": pa.nulls(n, pa.string()),
            "prompt_tokens": [10] * n,
            "answer_tokens": [30] * n,
            "seconds": [0.5] * n,
            "cut": [False] * n,
        }
    )


def commit_first_two(project: Project, run: int) -> None:
    """Chain 0 is complete and ranked twice; chain 1 ends after a copy and an empty answer."""
    variants = [variant(0, 0), variant(0, 1), variant(0, 2), variant(1, 0)]
    variants.append(variant(1, 1, eliminated="copy", detail="the same as its parent"))
    failed = {"attempt": 1, "method": "concretise", "request": "1-1-b"}
    variants.append(variant(1, 1, eliminated="empty", detail="nothing", **failed))
    ranks = [
        Ranking(0, 0, (2, 0, 1), {0: 1.0, 1: 3.0, 2: 6.0}, requests=("r0",)),
        Ranking(0, 1, (1, 0, 2), {0: 2.0, 1: 3.0, 2: 5.0}, requests=("r1",)),
        Ranking(0, 2, (0, 1, 2), {}, reason="two variants share a rank", requests=("r2",)),
    ]
    keys = ["0-1-a", "0-2-a", "1-1-a", "1-1-b", "r0", "r1", "r2"]
    add_chains(project, run, [0, 1], variant_table(variants), ranking_table(ranks), answers(keys))


@pytest.fixture
def run(project: Project) -> int:
    number = begin_evolution(project, "first", PLAN, SEEDS)
    commit_first_two(project, number)
    return number


def test_a_run_keeps_its_seeds_with_their_texts(project: Project) -> None:
    run = begin_evolution(project, "first", PLAN, SEEDS)
    seeds = seeds_left(project, run)
    assert [(one.chain, one.row, one.turn) for one in seeds] == [(0, 4, 0), (1, 5, 1), (2, 9, 0)]
    assert seeds[1].instruction == conversation(5).turns[1].instruction == "And then?"
    assert seeds[1].response == "Then it goes on."
    assert seed_rows(project, run).tolist() == [4, 5, 9]
    assert seeds_left(project, run, below=1) == seeds[:1]


def test_the_same_name_with_the_same_plan_goes_on_and_with_another_is_refused(
    project: Project,
) -> None:
    assert same_evolution(project, "first", PLAN) is None
    run = begin_evolution(project, "first", PLAN, SEEDS)
    assert same_evolution(project, "first", PLAN) == run
    other = EvolutionPlan("complexity", "another", "1-abc", 3, "{}")
    with pytest.raises(ProjectError, match=r"another plan \(model, rounds differ\)"):
        same_evolution(project, "first", other)
    with pytest.raises(ProjectError, match="already"):
        begin_evolution(project, "first", PLAN, SEEDS)
    with pytest.raises(ProjectError, match="needs seeds"):
        begin_evolution(project, "second", PLAN, [])


def test_finished_chains_are_counted_and_not_handed_out_again(project: Project, run: int) -> None:
    assert [one.chain for one in seeds_left(project, run)] == [2]
    found = find_evolution(project, "first")
    assert (found.chains, found.done, found.complete, found.ranked) == (3, 2, 1, 1)
    assert (found.kept, found.eliminated, found.requests) == (2, 2, 7)
    assert (found.prompt_tokens, found.answer_tokens) == (70, 210)
    assert "2 of 3 chains done, 1 of them to the last round" in found.sentence()
    with pytest.raises(ProjectError, match="there is no evolution 'second'"):
        find_evolution(project, "second")


def test_a_batch_that_comes_twice_changes_nothing(project: Project, run: int) -> None:
    before = evolutions(project), chain_view(project, run, 0), chain_view(project, run, 1)
    commit_first_two(project, run)
    again = evolutions(project), chain_view(project, run, 0), chain_view(project, run, 1)
    assert again == before


def test_an_answer_that_another_run_paid_for_is_not_paid_again(project: Project, run: int) -> None:
    second = begin_evolution(project, "second", PLAN, SEEDS)
    nothing = variant_table([]), ranking_table([])
    add_chains(project, second, [0], *nothing, answers(["0-1-a", "new"]))
    assert [one.requests for one in evolutions(project)] == [1, 7]


def test_chains_are_listed_by_page_and_by_what_became_of_them(project: Project, run: int) -> None:
    lines = chain_lines(project, run)
    assert [(one.chain, one.done, one.last, one.kept) for one in lines] == [
        (0, True, 2, 2),
        (1, True, 0, 0),
        (2, False, None, 0),
    ]
    assert lines[1].reasons == ("copy", "empty")
    assert (lines[0].passes, lines[0].refused) == (2, 1)
    assert lines[0].preview.startswith("Tell me about taxes")
    assert [one.chain for one in chain_lines(project, run, limit=1, offset=1)] == [1]

    def numbers(**which: object) -> list[int]:
        found = chain_lines(project, run, ChainFilter(**which))  # type: ignore[arg-type]
        assert count_chains(project, run, ChainFilter(**which)) == len(found)  # type: ignore[arg-type]
        return [one.chain for one in found]

    assert numbers(eliminated="empty") == [1]
    assert numbers(eliminated="refusal") == []
    assert numbers(complete=True) == [0]
    assert numbers(complete=False) == [1, 2]
    assert numbers(ranked=True) == [0]


def test_one_chain_has_every_attempt_every_pass_and_the_scores(project: Project, run: int) -> None:
    view = chain_view(project, run, 0)
    assert [one.round for one in view.kept] == [0, 1, 2]
    assert view.variants[1] == variant(0, 1)
    assert view.rankings[2].reason == "two variants share a rank"
    assert view.rankings[0].order == (2, 0, 1)
    assert [view.scores[n].score for n in range(3)] == [1.5, 3.0, 5.5]
    assert [view.scores[n].spread for n in range(3)] == [1.0, 0.0, 1.0]
    assert scores_of(project, run)[0] == view.scores
    with pytest.raises(ProjectError, match="numbered from 0 to 2"):
        chain_view(project, run, 3)


def test_eliminations_are_counted_by_reason_and_method(project: Project, run: int) -> None:
    found = [(one.reason, one.method, one.variants) for one in eliminations(project, run)]
    assert found == [("copy", "deepen", 1), ("empty", "concretise", 1)]


def test_what_is_left_is_priced_by_what_is_done(project: Project, run: int) -> None:
    left = cost_left(project, run, price_in=1.0, price_out=2.0)
    # Seven answers of 10 and 30 tokens for two chains; one is left.
    assert left == CostLeft(1, 2, 35, 105, (35 + 2 * 105) / 1e6, None)
    assert cost_left(project, run).money is None
    new = begin_evolution(project, "new", PLAN, SEEDS)
    assert "unknown" in cost_left(project, new).sentence()


def test_a_rank_can_be_corrected_by_hand_and_taken_back(project: Project, run: int) -> None:
    first = correct_rank(project, run, 0, 1, 4.5, why="harder than that", author="Ada")
    score = chain_view(project, run, 0).scores[1]
    assert (score.score, score.mean) == (4.5, 3.0)
    edit = chain_view(project, run, 0).edits[0]
    assert (edit.before, edit.replaces, edit.author, edit.why) == (
        3.0,
        None,
        "Ada",
        "harder than that",
    )
    second = correct_rank(project, run, 0, 1, 5.0)
    with pytest.raises(ProjectError, match=f"replaced by {second}"):
        undo_correction(project, first)
    undo_correction(project, second)
    assert chain_view(project, run, 0).scores[1].score == 4.5
    correct_rank(project, run, 0, 1, None)
    assert scores_of(project, run)[0][1].score == 3.0
    assert len(chain_view(project, run, 0).edits) == 4


def test_a_project_with_a_run_is_well_and_a_chain_of_none_is_found(
    project: Project, run: int
) -> None:
    assert check_project(project) == []
    with project.transaction("admin", None) as cursor:
        cursor.execute("DELETE FROM chains WHERE chain = 0")
    said = [one.sentence for one in check_project(project)]
    assert said == ["variants: 3 variants are of no chain", "rankings: 3 rankings are of no chain"]


def test_a_correction_of_nothing_is_refused(project: Project, run: int) -> None:
    for chain, round, score, why in (
        (0, 3, 2.0, "kept are 0, 1, 2"),
        (1, 1, 2.0, "kept are 0"),
        (0, 1, 7.0, "a rank is 1 to 6"),
        (0, 1, None, "no correction to take back"),
    ):
        with pytest.raises(ProjectError, match=why):
            correct_rank(project, run, chain, round, score)
    assert chain_view(project, run, 0).edits == ()
