"""What comparisons found that took long: computed by a job, kept by what it was made from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deita_core.errors import JobError, PathError
from deita_core.jobs.compare_sets import (
    compare_named,
    comparison_table,
    file_record,
    kept_match,
    key_of_name,
    match_file,
    measures_key,
    named_sets,
    read_measured,
    read_stability,
    saved_set,
    stability_key,
    stability_of,
)
from deita_core.jobs.kinds import MatchSpec, MeasuresSpec, StabilitySpec
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.progress import finish
from deita_core.project import Project, measured
from deita_core.project.ledger import tag_rows
from deita_core.project.measured import keep_measures, kept_measures, kept_stability
from deita_core.project.models import ModelIdentity, activate_model, register_model
from deita_core.project.selections import delete_selection, find_selection
from deita_core.project.vectors import add_embeddings
from deita_core.selection import SelectionRule
from tests.builders import Channel, conversation, prepared_project, vector_table, with_graph


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """60 rows with a graph, and the selections `top` and `apart` of 10 rows."""
    path = with_graph(prepared_project(tmp_path / "topics.duckdb"))
    with Project.open(path) as opened:
        select_and_save(opened, SelectionRule("top_score", budget=10), "top")
        select_and_save(opened, SelectionRule(threshold=0.5, budget=10), "apart")
        yield opened


def number(project: Project, name: str) -> int:
    return find_selection(project, name).selection


def key_of(project: Project, a: str, b: str) -> str:
    named = named_sets(project, a, b)
    return measures_key(project, named.table, named.sets, named.scores)


def key_of_stability(project: Project, name: str) -> str:
    saved = find_selection(project, name)
    rows = saved_set(project, saved).rows
    return stability_key(project, saved, comparison_table(project), rows)


def test_the_rows_of_a_file_are_kept_until_the_file_or_the_pool_changes(
    project: Project, tmp_path: Path
):
    messages = [{"role": m.role, "content": m.content} for m in conversation(4).messages]
    other = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    file = tmp_path / "theirs.jsonl"
    file.write_text("\n".join(json.dumps({"messages": m}) for m in (messages, other)), "utf-8")
    table = comparison_table(project)
    assert kept_match(project, table, file) is None
    Channel(project, MatchSpec(file=file), tmp_path / "job")
    kept, found = kept_match(project, table, file), match_file(table, file)
    assert kept is not None
    assert file_record(kept) == file_record(found)
    assert kept.found.rows.tolist() == [4]
    assert kept_match(project, replace(table, ids=table.ids[::-1]), file) is None  # type: ignore[index]
    file.write_text("", "utf-8")
    assert kept_match(project, table, file) is None


def test_a_file_that_is_gone_is_told_before_the_job_and_after(project: Project, tmp_path: Path):
    gone = tmp_path / "gone.jsonl"
    with pytest.raises(PathError, match="there is no file"):
        MatchSpec(file=gone).check(project)
    with pytest.raises(PathError, match="choose another file"):
        kept_match(project, comparison_table(project), gone)


@pytest.mark.parametrize("other", ["apart", "pool", "random"])
def test_the_job_keeps_the_measures_of_the_two_sets(project: Project, tmp_path: Path, other: str):
    keys = (key_of_name(project, name) for name in ("top", other))
    Channel(project, MeasuresSpec(**dict(zip("ab", keys, strict=True))), tmp_path / "job")
    kept = kept_measures(project, key_of(project, "top", other))
    assert kept is not None
    assert read_measured(kept.found) == finish(compare_named(project, "top", other)).measured


def test_measures_are_found_again_until_something_they_are_made_from_changes(project: Project):
    before = key_of(project, "top", "apart")
    tag_rows(project, [3], "seen", author="Ada")
    assert key_of(project, "top", "apart") == before
    second_embedder(project, active=True)
    assert key_of(project, "top", "apart") != before


def test_other_sets_and_the_other_way_round_have_keys_of_their_own(project: Project):
    asked = [("top", "apart"), ("apart", "top"), ("top", "pool"), ("top", "random")]
    assert len({key_of(project, *pair) for pair in asked}) == len(asked)


def test_measures_kept_longest_give_way(project: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(measured, "MOST_KEPT", 2)
    for key in ("first", "second", "third"):
        keep_measures(project, key, {"of": key})
    found = [kept_measures(project, key) for key in ("first", "second", "third")]
    assert [one and one.found for one in found] == [None, {"of": "second"}, {"of": "third"}]


def second_embedder(project: Project, *, active: bool) -> None:
    other = register_model(
        project, "embedding", ModelIdentity(id="tests/other", revision="1", width=8)
    )
    vectors = np.random.default_rng(9).normal(size=(60, 8)).astype(np.float32)
    add_embeddings(project, other, vector_table(vectors))
    activate_model(project, other if active else other - 1)


def test_the_job_keeps_the_stability_with_the_selection(project: Project, tmp_path: Path):
    second_embedder(project, active=False)
    Channel(project, StabilitySpec(selection=number(project, "apart")), tmp_path / "job")
    kept = kept_stability(project, number(project, "apart"))
    assert kept is not None
    assert kept.key == key_of_stability(project, "apart")
    lines = read_stability(kept.found)
    assert lines == finish(stability_of(project, "apart"))
    assert "embedder tests/other" in [one.change for one in lines]


def test_a_strategy_of_clusters_is_tried_with_others(project: Project, tmp_path: Path):
    select_and_save(project, SelectionRule("car", budget=10), "spread")
    Channel(project, StabilitySpec(selection=number(project, "spread")), tmp_path / "job")
    kept = kept_stability(project, number(project, "spread"))
    assert kept is not None
    assert "clusters" in [one.kind for one in read_stability(kept.found)]


def test_stability_has_another_key_once_there_is_another_embedder(project: Project):
    before = key_of_stability(project, "apart")
    second_embedder(project, active=False)
    assert key_of_stability(project, "apart") != before


def test_the_stability_goes_with_the_selection(project: Project, tmp_path: Path):
    selection = number(project, "top")
    Channel(project, StabilitySpec(selection=selection), tmp_path / "job")
    delete_selection(project, selection)
    assert kept_stability(project, selection) is None


def test_a_selection_that_is_not_there_is_refused_before_the_job_is_queued(project: Project):
    with pytest.raises(JobError, match="no selection 99"):
        StabilitySpec(selection=99).check(project)
