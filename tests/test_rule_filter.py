"""A filter and closeness in a rule: settled on a project, carried by the rule, replayed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deita_core.cli import main
from deita_core.errors import FilterError, SelectionError
from deita_core.filtering import PoolColumns, settled
from deita_core.filtering.settling import for_rule
from deita_core.jobs.kinds.select_rows import select_and_save, selection_input
from deita_core.project import Project
from deita_core.project.ledger import tag_rows
from deita_core.project.models import ModelIdentity, register_model
from deita_core.project.selections import find_selection
from deita_core.project.vectors import add_embeddings
from deita_core.selection import Closeness, PoolTable, SelectionRule, select
from deita_core.selection.filters import packed_rows, rule_scores, unpacked_rows
from deita_core.selection.status import FILTERED
from tests.builders import conversation, prepared_project, vector_table
from tests.fakes import HashEmbedder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.open(prepared_project(tmp_path / "topics.duckdb"))


def test_rows_that_do_not_pass_the_filter_are_filtered_and_say_by_what(project: Project) -> None:
    rule = SelectionRule(threshold=1.0, filter="turns=2..")
    outcome = select_and_save(project, rule, "long")
    assert set(outcome.kept.tolist()) <= set(range(0, 60, 5))
    assert outcome.trace.status[7] == FILTERED
    assert outcome.why(7) == "filtered: turns=2.."
    assert "48 rows were filtered out (turns=2..)" in outcome.sentence()


def test_a_saved_rule_keeps_the_rows_that_passed_when_it_was_saved(project: Project) -> None:
    tag_rows(project, [3, 4, 8], "good", author="eva")
    first = select_and_save(project, SelectionRule(threshold=1.0, filter="tag=good"), "good")
    tag_rows(project, [20], "good", author="eva")
    saved = SelectionRule.from_json(find_selection(project, "good").rule)
    again = select(saved, selection_input(project))
    assert sorted(first.kept) == sorted(again.kept) == [3, 4, 8]
    assert PoolColumns(project)["status.good"].texts()[20] == "filtered"
    anew = settled(replace(saved, passing=""), PoolColumns(project))
    assert sorted(select(anew, selection_input(project)).kept) == [3, 4, 8, 20]


def test_a_filter_that_is_not_applied_yet_is_an_error_not_ignored(project: Project) -> None:
    with pytest.raises(SelectionError, match="not applied to a project yet: use settled"):
        select(SelectionRule(filter="turns=2.."), selection_input(project))
    with pytest.raises(FilterError, match="no column 'length'"):
        select_and_save(project, SelectionRule(filter="length=2.."), "bad")


@pytest.mark.parametrize("rows", [0, 1, 8, 1001])
def test_rows_that_pass_come_back_from_their_text(rows: int) -> None:
    mask = np.random.default_rng(rows).random(rows) < 0.3
    assert unpacked_rows(packed_rows(mask)).tolist() == mask.tolist()


@pytest.mark.parametrize("text", ["", "5", "5:", "x:eJw=", "3:%%%", "-1:eJw="])
def test_what_are_no_rows_that_pass_is_said(text: str) -> None:
    with pytest.raises(SelectionError, match="cannot be read"):
        unpacked_rows(text)


def test_rows_imported_later_do_not_pass_and_a_smaller_pool_is_refused(project: Project) -> None:
    table = selection_input(project)
    rule = SelectionRule(threshold=1.0, filter="all", passing=packed_rows(np.ones(10, np.bool_)))
    assert select(rule, table).kept.max() < 10
    larger = replace(rule, passing=packed_rows(np.ones(99, np.bool_)))
    with pytest.raises(SelectionError, match="a pool of 99 rows, and this one has 60"):
        select(larger, table)


def test_a_rule_without_them_has_the_json_it_always_had() -> None:
    written = json.loads(SelectionRule().to_json())
    assert {"filter", "passing", "closeness"} & written.keys() == set()
    full = SelectionRule(filter="turns=2..", passing="5:x", closeness=Closeness(("a", "b"), 0.5))
    assert SelectionRule.from_json(full.to_json()) == full


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"closeness": {"examples": []}}', "takes 1 to 50 examples"),
        ('{"closeness": {"examples": ["a"], "weight": 0}}', "weight of closeness must be above 0"),
        ('{"closeness": {"weight": 1}}', "a closeness lacks 'examples'; it has examples, weight"),
        ('{"closeness": 3}', "a closeness must be a JSON object"),
        ('{"filter": 3}', "filter must be a name"),
        ('{"passing": "5:x"}', "rows that pass, but no filter"),
        ('{"complexity_weight": 0, "quality_weight": 0}', "not both 0"),
    ],
)
def test_bad_parts_are_named(text: str, words: str) -> None:
    with pytest.raises(SelectionError, match=words):
        SelectionRule.from_json(text)


# closeness


def close_to(project: Project, rule: SelectionRule) -> PoolTable:
    """The pool with closeness by the test's embedder, which row 59 has no vector of."""
    embedder = HashEmbedder()
    identity = ModelIdentity(id=embedder.id, revision=embedder.revision, width=8)
    number = register_model(project, "embedding", identity)
    texts = [conversation(row).text for row in range(59)]
    add_embeddings(project, number, vector_table(embedder.embed(texts).vectors))
    table = selection_input(project)
    return for_rule(table, rule, PoolColumns(project, table, load=lambda record: embedder))


def test_closeness_is_a_factor_of_the_score_with_its_weight(project: Project) -> None:
    rule = SelectionRule(closeness=Closeness(("about bread", "taxes"), 0.5))
    table = close_to(project, rule)
    assert table.closeness is not None
    plain, found = rule_scores(SelectionRule(), table), rule_scores(rule, table)
    for row in range(59):
        factor = max(float(table.closeness[row]), 0.0) ** 0.5
        np.testing.assert_allclose(found[row], plain[row] * factor, rtol=1e-12)
    assert found[59] == 0


def test_with_both_weights_at_0_rows_rank_by_closeness_alone(project: Project) -> None:
    rule = SelectionRule(
        strategy="top_score",
        budget=5,
        complexity_weight=0,
        quality_weight=0,
        closeness=Closeness(("about bread",)),
    )
    table = close_to(project, rule)
    assert table.closeness is not None
    closest = np.argsort(-np.nan_to_num(table.closeness), kind="stable")[:5]
    assert select(rule, table).kept.tolist() == closest.tolist()


def test_a_pool_without_the_closeness_that_a_rule_asks_for_is_refused(project: Project) -> None:
    rule = SelectionRule(closeness=Closeness(("about bread",)))
    with pytest.raises(SelectionError, match="came without it"):
        select(rule, selection_input(project))
    table = close_to(project, rule)
    with pytest.raises(SelectionError, match="came without it"):
        select(SelectionRule(closeness=Closeness(("about tax",))), table)


# the command line


@pytest.mark.usefixtures("job_here")
def test_a_filter_of_the_command_line_and_its_rows_are_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"instruction": f"Explain {word} in {n} words.", "output": f"{word}, {n} of it. " * n}
        for word in ("rivers", "bread", "taxes")
        for n in range(1, 6)
    ]
    (tmp_path / "pool.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "wanted.txt").write_text("What is bread?\nHow is bread made?\n")
    out, project = tmp_path / "a.json", ["--project", str(tmp_path / "a.duckdb"), "--quiet"]
    given = ("--search", "bread", "--where", "row % 2 = 0", "--where", "characters=30..")
    close = ("--close-to", str(tmp_path / "wanted.txt"), "--closeness-weight", "2")
    run = ["run", str(tmp_path / "pool.jsonl"), "--out", str(out), "--embedder", "minilm"]
    assert main([*run, "--no-map", *given, *close, *project]) == 0, capsys.readouterr().err
    chosen = json.loads(out.read_text())
    assert 1 <= len(chosen) <= 3
    assert all("bread" in json.dumps(one) for one in chosen)
    manifest = json.loads(Path(f"{out}.manifest.json").read_text())
    parameters = manifest["selection"]["parameters"]
    assert parameters["filter"] == "where=row % 2 \\= 0;search=bread"
    assert unpacked_rows(parameters["passing"]).tolist() == [i in (6, 8) for i in range(15)]
    again = ["replay", f"{out}.manifest.json", "--out", str(tmp_path / "b.json"), "--quiet"]
    assert main(again) == 0
    assert "the same file, byte for byte" in capsys.readouterr().out
    assert "the manifest has them" in Path(f"{out}.card.md").read_text()


def test_a_filter_that_cannot_be_read_is_told_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pool.jsonl").write_text('{"instruction": "a", "output": "b"}')
    run = ["run", str(tmp_path / "pool.jsonl"), "--out", str(tmp_path / "a.json")]
    assert main([*run, "--search", "/(/", "--quiet"]) == 1
    assert not (tmp_path / "a.duckdb").exists()
    assert "/(/" in capsys.readouterr().err


def test_mig_over_tags_reads_the_tags_of_the_project(project: Project) -> None:
    with pytest.raises(SelectionError, match="no row has one: tag rows first"):
        select_and_save(project, SelectionRule("mig_tags", budget=3), "early")
    tag_rows(project, list(range(20)), "first", author="eva")
    tag_rows(project, [21, 22], "second", author="eva")
    kept = select_and_save(project, SelectionRule("mig_tags", budget=6), "spread").kept
    assert {21, 22} & set(kept)
    assert set(kept) <= {*range(20), 21, 22}
