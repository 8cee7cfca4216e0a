"""Groups of near-duplicates, one row of each kept: by meaning, by text, dropped and taken back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_core.cli import main
from deita_core.errors import ProjectError, SelectionError
from deita_core.jobs.kinds import TextDuplicatesSpec
from deita_core.project import Project
from deita_core.project.duplicates import (
    copies_left_out,
    drop_duplicates,
    droppable,
    duplicates_by_meaning,
    duplicates_by_text,
    last_dropped,
    restore_duplicates,
    visiting_order,
)
from deita_core.project.pins import pins, set_pins
from deita_core.similarity.definition import cosines
from deita_core.similarity.duplicates import DuplicateGroups, groups_by_meaning, groups_by_text
from deita_core.similarity.graph_build import build_graph
from tests.builders import Channel, imported_project, prepared_project, with_graph


def naive(similar, order, threshold):
    """Each row in order joins the closest kept row above the threshold, or is kept."""
    keeper, kept = {}, []
    for row in order:
        near = [(similar[row, k], -place) for place, k in enumerate(kept)]
        best = max(near, default=(-2.0, 0))
        keeper[row] = kept[-best[1]] if best[0] > threshold else row
        if keeper[row] == row:
            kept.append(row)
    return keeper


@settings(deadline=None)  # the first example compiles
@given(st.integers(0, 10_000), st.integers(1, 25), st.sampled_from([0.5, 0.8, 0.95]))
def test_groups_by_meaning_are_those_of_a_visit_row_by_row(seed, rows, threshold):
    rng = np.random.default_rng(seed)
    vectors = np.unique(rng.normal(size=(rows, 3)).astype(np.float32), axis=0)
    order = rng.permutation(len(vectors))[: max(1, len(vectors) - 2)]
    everything = np.arange(len(vectors))
    found = groups_by_meaning(build_graph(vectors, 0.4), everything, order, threshold)
    wanted = naive(cosines(vectors, everything, everything), order.tolist(), threshold)
    assert {row: found.keeper[row] for row in order.tolist()} == wanted
    assert (found.keeper[np.setdiff1d(everything, order)] == -1).all()


def test_every_dropped_row_is_as_close_to_the_kept_one_as_is_said():
    vectors = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    everything = np.arange(300)
    found = groups_by_meaning(build_graph(vectors, 0.8), everything, everything, 0.9)
    dropped = found.dropped
    assert len(dropped) > 50
    near = cosines(vectors, everything, everything)[dropped, found.keeper[dropped]]
    np.testing.assert_allclose(found.similarity[dropped], near, atol=1e-11)
    assert (near > 0.9).all()


def test_copies_are_one_group_led_by_the_first_visited():
    vectors = np.array([[1, 0], [0, 1], [2, 0], [1, 0]], np.float32)
    found = groups_by_meaning(build_graph(vectors, 0.5), np.arange(4), np.array([2, 0, 1, 3]), 0.9)
    assert [group.tolist() for group in found.groups()] == [[2, 0, 3]]


def test_at_a_threshold_of_one_nothing_is_a_near_duplicate():
    vectors = np.ones((3, 2), np.float32)
    found = groups_by_meaning(build_graph(vectors, 0.5), np.arange(3), np.arange(3), 1.0)
    assert found.groups() == []


def some_groups() -> DuplicateGroups:
    """Rows 1, 2 and 4 belong to 0, row 5 to 3; row 6 was left out."""
    keeper = np.array([0, 0, 0, 3, 0, 3, -1], np.int32)
    return DuplicateGroups(keeper, np.array([1.0, 0.9, 0.8, 1.0, 0.7, 0.95, np.nan]))


def test_groups_within_rows_are_those_whose_kept_row_is_among_them():
    found = some_groups().within(np.array([1, 1, 0, 0, 1, 1, 1], np.bool_))
    assert [group.tolist() for group in found.groups()] == [[0, 1, 4]]
    assert found.keeper.tolist() == [0, 0, -1, -1, 0, 5, -1]
    assert found.similarity[5] == 1.0


def test_another_row_can_be_kept_of_its_group():
    found = some_groups().keeping(2)
    assert found.dropped.tolist() == [0, 1, 4, 5]
    assert found.keeper[[0, 1, 2, 4]].tolist() == [2, 2, 2, 2]
    assert (found.similarity[0], found.similarity[2]) == (0.8, 1.0)
    assert np.isnan(found.similarity[1])


@pytest.mark.parametrize(("threshold", "said"), [(0.4, "choose a higher"), (1.5, "from 0 to 1")])
def test_thresholds_that_cannot_be_are_refused(threshold, said):
    graph = build_graph(np.eye(4, dtype=np.float32), 0.5)
    with pytest.raises(SelectionError, match=said):
        groups_by_meaning(graph, np.arange(4), np.arange(4), threshold)


# by text

SENTENCE = "the quick brown fox jumps over the lazy dog and then it goes home to sleep until dawn"


def jaccard(first: str, second: str) -> float:
    one, two = (
        {tuple(t.split()[i : i + 3]) for i in range(len(t.split()) - 2)} for t in (first, second)
    )
    return len(one & two) / len(one | two)


def test_texts_with_most_runs_in_common_are_grouped_with_their_exact_share():
    changed = SENTENCE.replace("dawn", "noon")
    other = "completely different words stand in this sentence about bread and its many friends"
    found = groups_by_text([SENTENCE, other, changed], np.array([0, 1, 2]), 3, 0.8)
    assert found.keeper.tolist() == [0, 1, 0]
    assert found.similarity[2] == pytest.approx(jaccard(SENTENCE, changed))


def test_the_first_given_is_kept_whatever_its_number():
    found = groups_by_text([SENTENCE, SENTENCE], np.array([5, 2]), 7, 0.9)
    assert [group.tolist() for group in found.groups()] == [[5, 2]]
    assert found.keeper[0] == -1


def test_wording_without_spaces_is_compared_by_characters():
    first = "人工智能正在改变我们的生活方式和工作方式以及学习方式，很多人每天都在使用它来写作和翻译"
    found = groups_by_text([first, first + "。", "今天天气很好"], np.arange(3), 3, 0.9)
    assert found.keeper.tolist() == [0, 0, 2]


def test_texts_without_words_are_nobodys_duplicates():
    assert groups_by_text(["!?", "", "..."], np.arange(3), 3, 0.9).groups() == []


def test_candidates_miss_hardly_any_pair_at_the_lowest_threshold():
    rng = np.random.default_rng(1)
    texts = []
    for _ in range(300):
        said = [f"w{n}" for n in rng.integers(0, 10**6, 40)]
        twin = list(said)
        twin[20] = "other"
        texts += [" ".join(said), " ".join(twin)]
    found = groups_by_text(texts, np.arange(600), 600, 0.7)
    assert len(found.dropped) >= 297


def test_a_threshold_at_which_too_many_would_be_missed_is_refused():
    with pytest.raises(SelectionError, match=r"from 0\.7 on, got 0\.5"):
        groups_by_text(["a"], np.arange(1), 1, 0.5)


# in a project


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return with_graph(prepared_project(tmp_path / "topics.duckdb"))


def test_rows_are_visited_pinned_first_then_by_score_and_excluded_ones_never(pool: Path):
    with Project.open(pool) as project:
        before = visiting_order(project).tolist()
        set_pins(project, [before[-1]], "pinned")
        set_pins(project, [before[0]], "excluded")
        assert visiting_order(project).tolist() == [before[-1], *before[1:-1]]


def test_dropping_excludes_all_but_one_of_each_group_and_is_taken_back_in_one_step(pool: Path):
    with Project.open(pool) as project:
        set_pins(project, [7], "excluded", note="by hand")
        groups = duplicates_by_meaning(project, 0.9)
        dropped = drop_duplicates(project, groups, 0.9, "meaning")
        assert set(dropped.rows) == set(groups.dropped.tolist())
        assert duplicates_by_meaning(project, 0.9).groups() == []
        assert {pin.note for pin in pins(project)} == {"by hand", dropped.note}
        assert set(restore_duplicates(project).rows) == set(dropped.rows)
        assert [pin.row for pin in pins(project)] == [7]
        with pytest.raises(ProjectError, match="nothing to take back"):
            restore_duplicates(project)


def test_a_pinned_row_is_never_dropped(pool: Path):
    with Project.open(pool) as project:
        group = duplicates_by_meaning(project, 0.9).groups()[0].tolist()
        set_pins(project, group, "pinned")
        dropped = drop_duplicates(project, duplicates_by_meaning(project, 0.9), 0.9, "meaning")
        assert not set(group) & set(dropped.rows)


def test_a_group_whose_kept_row_was_excluded_since_is_left_alone(pool: Path):
    with Project.open(pool) as project:
        groups = duplicates_by_meaning(project, 0.9)
        first = groups.groups()[0]
        set_pins(project, [int(first[0])], "excluded")
        dropped = drop_duplicates(project, groups, 0.9, "meaning")
        assert not set(first.tolist()) & set(dropped.rows)


def test_without_a_graph_it_is_said_how_to_make_one(tmp_path: Path):
    with (
        Project.open(prepared_project(tmp_path / "p.duckdb")) as project,
        pytest.raises(ProjectError, match="make it first"),
    ):
        duplicates_by_meaning(project, 0.9)


def text_pool() -> str:
    texts = [SENTENCE, "short and different", "a" + SENTENCE[3:], "another one here"]
    return "".join(json.dumps({"instruction": t, "output": "Well."}) + "\n" for t in texts)


def test_groups_by_text_are_found_by_a_job_and_are_stale_once_rows_came(tmp_path: Path):
    with Project.open(imported_project(tmp_path / "p.duckdb", text_pool())) as project:
        assert duplicates_by_text(project) is None
        run = Channel(project, TextDuplicatesSpec(threshold=0.8), tmp_path / "job")
        assert run.message == "1 near-duplicates by text, in 1 groups"
        found = duplicates_by_text(project, 0.8)
        assert found is not None
        assert [group.tolist() for group in found.groups()] == [[0, 2]]
        assert duplicates_by_text(project, 0.9) is None
        with project.transaction("curator", None) as cursor:
            cursor.execute("DELETE FROM conversations WHERE row = 3")
        assert duplicates_by_text(project) is None


def test_the_command_shows_drops_and_takes_back(pool: Path, capsys: pytest.CaptureFixture[str]):
    target = ["duplicates", "--project", str(pool)]
    assert main([*target, "--threshold", "0.9", "--drop", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    others = [other["row"] for group in found["groups"] for other in group["others"]]
    assert sorted(others) == sorted(found["excluded"])
    assert len(others) == found["near_duplicates"] > 0
    assert main([*target, "--undo"]) == 0
    assert capsys.readouterr().out == f"{len(others)} rows are back\n"
    assert main([*target, "--show", "1"]) == 0
    said = capsys.readouterr().out
    assert f"{len(others)} near-duplicates above 0.9, in {len(found['groups'])} groups" in said
    assert "keep " in said
    assert f"and {len(found['groups']) - 1} more groups" in said


def test_what_would_be_dropped_is_what_is_dropped_then(pool: Path):
    with Project.open(pool) as project:
        groups = duplicates_by_meaning(project, 0.9)
        set_pins(project, [int(groups.dropped[0])], "pinned")
        wanted = droppable(project, groups)
        assert set(groups.dropped.tolist()) - set(wanted) == {int(groups.dropped[0])}
        assert last_dropped(project) is None
        assert drop_duplicates(project, groups, 0.9, "meaning").rows == wanted
        last = last_dropped(project)
        assert last is not None
        assert last.rows == wanted


def test_only_the_rows_asked_for_are_grouped(pool: Path):
    with Project.open(pool) as project:
        order = visiting_order(project)
        some = duplicates_by_meaning(project, 0.9, order[order < 30])
        assert (some.keeper[:30] >= 0).all()
        assert set(np.unique(some.keeper[30:])) <= {-1}


def test_copies_left_out_at_import_are_told_by_row(pool: Path):
    with Project.open(pool) as project:
        (found,) = copies_left_out(project)
        assert (found.row, found.copies, found.files) == (0, 1, ("topics.jsonl",))
