"""Exports that carry decisions: fields beside the rows, corrected texts, what the card tells."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

from deita_core.cli import main
from deita_core.conversation import Conversation
from deita_core.errors import ExportError
from deita_core.formats.manifest import read_manifest
from deita_core.formats.read import PoolRow, read
from deita_core.formats.write.export_format import DECISION_FIELDS
from deita_core.jobs.kinds import ExportSpec
from deita_core.jobs.kinds.export import card_path, manifest_path
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.jobs.replay import replay_manifest
from deita_core.project import Project
from deita_core.project.ledger import edit_row, tag_rows
from deita_core.project.pins import set_pins
from deita_core.project.queues import answer, make_queue
from deita_core.review.decision import Decision
from deita_core.selection import SelectionRule
from tests.builders import Channel, conversation, prepared_project

FORMATS = ("sharegpt", "openai", "parquet", "csv")
BETTER = Conversation(
    (conversation(1).messages[0], replace(conversation(1).messages[1], content="Better."))
)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Rows 1 to 4 selected: 1 edited and kept by two, 2 in dispute, 3 tagged, 4 pinned."""
    with Project.open(prepared_project(tmp_path / "topics.duckdb")) as made:
        ids = tuple(conversation(row).id for row in (1, 2, 3, 4))
        select_and_save(made, SelectionRule(budget=4, pinned=ids), "four")
        yield made


def decide(project: Project) -> None:
    queue = make_queue(project, "first", [1, 2], asks=["verdict"], reviewers=2)
    for name, verdicts in (("Ada", ("keep", "drop")), ("=Bea", ("keep", "unsure"))):
        said = [Decision(row, verdict) for row, verdict in enumerate(verdicts, 1)]  # type: ignore[arg-type]
        answer(project, queue, said, reviewer=name)
    edit_row(project, 1, BETTER, of=0, author="=Bea")
    tag_rows(project, [3], "good", author="Ada")
    set_pins(project, [4], "pinned")


def exported(project: Project, out: Path, **given: Any) -> Path:
    Channel(project, ExportSpec(selection="four", out=out, **given), out.parent / "job")
    return out


def records(path: Path, format: str) -> list[dict[str, Any]]:
    """The fields of each record; lists in a CSV are JSON."""
    if format == "parquet":
        return list(parquet.read_table(path).to_pylist())
    if format == "sharegpt":
        return list(json.loads(path.read_text("utf-8")))
    if format == "openai":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    with path.open(encoding="utf-8", newline="") as file:
        lists = ("tags", "reviewers")
        return [
            {k: json.loads(v) if k in lists else v for k, v in line.items()}
            for line in csv.DictReader(file)
        ]


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_has_the_decisions_beside_the_row(
    project: Project, tmp_path: Path, format: str
) -> None:
    decide(project)
    out = exported(project, tmp_path / "out", format=format, texts="corrected", with_decisions=True)
    found = records(out, format)
    assert [set(DECISION_FIELDS) <= set(one) for one in found] == [True] * 4
    by_tags = {tuple(one["tags"]) for one in found}
    assert by_tags == {(), ("good",)}
    edited = next(one for one in found if str(one["version"]) == "1")
    assert (str(edited["keep"]), str(edited["drop"])) == ("2", "0")
    assert edited["reviewers"] == ["=Bea", "Ada"]
    assert edited["edited_by"] == ("'=Bea" if format == "csv" else "=Bea")
    assert [one["choice"] for one in found].count("pinned") == 1


@pytest.mark.parametrize("format", FORMATS)
def test_corrected_texts_read_back_as_the_newest_versions(
    project: Project, tmp_path: Path, format: str
) -> None:
    decide(project)
    name = {"sharegpt": "a.json", "openai": "a.jsonl", "parquet": "a.parquet", "csv": "a.csv"}
    for texts, expected in (("original", conversation(1).id), ("corrected", BETTER.id)):
        out = tmp_path / texts / name[format]
        out.parent.mkdir()
        exported(project, out, format=format, texts=texts)
        back = {row.conversation.id for row in read(out) if isinstance(row, PoolRow)}
        assert back == {expected, *(conversation(row).id for row in (2, 3, 4))}
        assert read_manifest(manifest_path(out)).output.texts == texts


def test_original_texts_with_decisions_are_version_0(project: Project, tmp_path: Path) -> None:
    decide(project)
    out = exported(project, tmp_path / "a.json", format="sharegpt", with_decisions=True)
    assert {(one["version"], one["edited_by"]) for one in records(out, "sharegpt")} == {(0, None)}


@pytest.mark.parametrize("format", [*FORMATS, "original"])
def test_decisions_that_are_not_asked_for_leave_the_bytes_as_they_were(
    project: Project, tmp_path: Path, format: str
) -> None:
    before = exported(project, tmp_path / "a", format=format).read_bytes()
    manifest = json.loads(manifest_path(tmp_path / "a").read_text())
    assert "review" not in manifest
    assert {"texts", "with_decisions"} & manifest["output"].keys() == set()
    assert "What people made" not in card_path(tmp_path / "a").read_text()
    decide(project)
    assert exported(project, tmp_path / "a", format=format).read_bytes() == before


def test_the_card_tells_who_reviewed_and_how_far_they_agree(
    project: Project, tmp_path: Path
) -> None:
    decide(project)
    out = exported(project, tmp_path / "a.json", format="sharegpt", texts="corrected")
    review = read_manifest(manifest_path(out)).review
    assert review is not None
    assert (review.reviewed, review.reviewers, review.twice, review.edited) == (2, 2, 2, 1)
    assert review.raw == 0.5  # alike on one row of two
    said = card_path(out).read_text("utf-8")
    assert "2 of the rows selected were reviewed, by 2 people." in said
    assert "raw agreement 50%" in said
    assert "1 have a corrected text. Texts: corrected" in said


def test_original_records_take_neither(project: Project, tmp_path: Path) -> None:
    for more in ({"with_decisions": True}, {"texts": "corrected"}):
        with pytest.raises(ExportError, match="original records stay as they are"):
            exported(project, tmp_path / "a.jsonl", format="original", **more)


def test_a_replay_of_what_the_ledger_alone_holds_is_refused(
    project: Project, tmp_path: Path
) -> None:
    decide(project)
    out = exported(project, tmp_path / "a.json", format="sharegpt", with_decisions=True)
    with pytest.raises(ExportError, match="export it from that project again"):
        replay_manifest(manifest_path(out), None, [], run_jobs=lambda project, jobs: None)


def test_the_command_line_asks_for_both(tmp_path: Path) -> None:
    path = prepared_project(tmp_path / "topics.duckdb")
    with Project.open(path) as project:
        ids = tuple(conversation(row).id for row in (1, 2, 3, 4))
        select_and_save(project, SelectionRule(budget=4, pinned=ids), "four")
        decide(project)
    given = ["--selection", "four", "--out", str(tmp_path / "a.json"), "--project", str(path)]
    assert main(["export", *given, "--texts", "corrected", "--with-decisions", "--quiet"]) == 0
    found = records(tmp_path / "a.json", "sharegpt")
    assert sorted(one["version"] for one in found) == [0, 0, 0, 1]
    assert "Better." in json.dumps(found)
