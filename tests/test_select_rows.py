"""kinds.select_rows: from a project to a selection and back into it, without a worker."""

from pathlib import Path

import pytest

from deita_core.errors import PathError, SelectionError
from deita_core.jobs.chains import preparation, register_files, register_hub, sample_files
from deita_core.jobs.kinds import EmbedSpec, ScoreSpec
from deita_core.jobs.kinds.select_rows import select_and_save, selection_input, with_pins
from deita_core.project import Project
from deita_core.project.browse import project_info
from deita_core.project.pins import set_pins
from deita_core.project.selections import (
    delete_selection,
    find_selection,
    rename_selection,
    selection_rows,
    selections,
)
from deita_core.selection.rule import Quota, SelectionRule
from tests.builders import conversation, prepared_project


@pytest.fixture
def prepared(tmp_path: Path) -> Project:
    return Project.open(prepared_project(tmp_path / "topics.duckdb"))


def test_a_selection_is_kept_in_its_order_with_its_scores(prepared: Project) -> None:
    outcome = select_and_save(prepared, SelectionRule(threshold=0.99, budget=10), "ten")
    rows, scores = selection_rows(prepared, find_selection(prepared, "ten").selection)
    assert rows == outcome.kept.tolist()
    assert scores == sorted(scores, reverse=True)


def test_a_saved_rule_gives_the_same_rows_again(prepared: Project) -> None:
    first = select_and_save(prepared, SelectionRule(threshold=0.9, budget=10), "one")
    rule = SelectionRule.from_json(find_selection(prepared, "one").rule)
    assert select_and_save(prepared, rule, "two").kept.tolist() == first.kept.tolist()


def test_selections_are_renamed_and_deleted(prepared: Project) -> None:
    select_and_save(prepared, SelectionRule(budget=3), "one")
    number = find_selection(prepared, "one").selection
    rename_selection(prepared, number, "two")
    assert [s.name for s in selections(prepared)] == ["two"]
    delete_selection(prepared, number)
    assert selections(prepared) == []


def test_a_rule_takes_the_choices_made_by_hand(prepared: Project) -> None:
    set_pins(prepared, [3, 4], "pinned")
    set_pins(prepared, [5, 6], "excluded")
    at = [conversation(row).id for row in range(8)]
    rule = with_pins(SelectionRule(pinned=(at[5], at[7]), excluded=(at[3],)), prepared)
    assert (rule.pinned, rule.excluded) == ((at[5], at[7], at[4]), (at[3], at[6]))
    kept = select_and_save(prepared, rule, "by hand").kept.tolist()
    assert {4, 5, 7} <= set(kept)
    assert not {3, 6} & set(kept)


def test_a_quota_of_a_source_the_pool_does_not_have_is_refused(prepared: Project) -> None:
    rule = SelectionRule(quotas=(Quota("source", "other.json", most=3),))
    with pytest.raises(SelectionError, match=r"no row of this pool has the source 'other\.json'"):
        select_and_save(prepared, rule, "none")


def test_an_empty_pool_cannot_be_selected_from(project: Project) -> None:
    with pytest.raises(SelectionError, match="import a file first"):
        selection_input(project)


def test_the_counts_of_a_project_add_up(prepared: Project) -> None:
    found = project_info(prepared)
    assert found.read == found.imported + found.duplicates + found.rejected == 62
    assert (found.scored, found.failed, found.unscored) == (59, 1, 0)
    assert (found.turns, found.truncated) == (72, 1)


def test_rows_are_scored_failed_or_still_to_do(prepared: Project) -> None:
    with prepared.transaction("admin", "test") as cursor:
        cursor.execute("DELETE FROM scores WHERE row IN (7, 8) AND scorer = 1")
    found = project_info(prepared)
    assert (found.scored, found.failed, found.unscored) == (57, 1, 2)


def test_a_missing_file_is_refused_before_anything_is_registered(
    project: Project, tmp_path: Path
) -> None:
    with pytest.raises(PathError, match="there is no file"):
        register_files(project, [tmp_path / "none.json"])
    assert project_info(project).files == 0


@pytest.mark.parametrize("name", ["", "a/b/c", "../x", "a b"])
def test_a_hub_name_has_the_form_owner_slash_name(project: Project, name: str) -> None:
    with pytest.raises(PathError, match="give owner/name"):
        register_hub(project, name)


def test_preparation_without_new_files_does_not_import() -> None:
    every = ["score", "embed", "graph", "map", "cluster"]
    assert [spec.kind for spec in preparation([])] == every
    assert [spec.kind for spec in preparation([0])] == ["import", *every]


def test_preparing_more_files_leaves_other_models_in_use() -> None:
    models = [spec for spec in preparation([0]) if isinstance(spec, ScoreSpec | EmbedSpec)]
    assert [spec.activate for spec in models] == [False, False]


def test_the_sample_pool_has_several_files_and_formats() -> None:
    assert {file.suffix for file in sample_files()} == {".json", ".jsonl"}
    assert len(sample_files()) >= 3
