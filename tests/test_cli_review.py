"""cli.review: tag, queue, decisions and agreement as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deita_core.cli import main
from deita_core.project import Project
from deita_core.project.ledger import rows_with_tag
from deita_core.project.pins import pins
from tests.builders import conversation, prepared_project, with_graph


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(with_graph(prepared_project(tmp_path / "topics.duckdb")))


class Typed:
    """Types commands on one project, and reads what they say."""

    def __init__(self, path: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self._capsys = path, capsys

    def says(self, *arguments: str, status: int = 0) -> str:
        assert main([*arguments, "--project", self.path]) == status
        found = self._capsys.readouterr()
        return found.err if status else found.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.says(*arguments, "--json"))


@pytest.fixture
def typed(path: str, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(path, capsys)


def review(
    typed: Typed, folder: Path, queue: str, name: str, said: dict[int, dict[str, str]]
) -> str:
    """One reviewer's answers out of a file of JSON Lines."""
    file = folder / f"{name}.jsonl"
    lines = [
        {"row": row, "kind": kind, "value": value, "client": f"{queue}-{name}-{row}-{kind}"}
        for row, answers in said.items()
        for kind, value in answers.items()
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return typed.says("decisions", "--queue", queue, "--reviewer", name, "--add", str(file))


def test_rows_get_and_lose_tags(typed: Typed, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("\n".join(conversation(row).id for row in (3, 5, 8)))
    assert typed.says("tag", "hard", "--id", f"@{ids}") == (
        "3 of 3 rows got the tag hard (entry 1)\n"
    )
    typed.says("select", "--name", "first", "--budget", "4")
    assert typed.json("tag", "short", "--selection", "first")["lines"] == 4
    typed.says("tag", "hard", "--id", conversation(5).id, "--remove")
    assert typed.json("tag") == [{"tag": "short", "rows": 4}, {"tag": "hard", "rows": 2}]
    assert "undone" not in typed.says("decisions", "--take-back", "1")
    with Project.open(Path(typed.path)) as project:
        assert rows_with_tag(project, "hard") == []


def test_a_whole_review_is_typed(typed: Typed, tmp_path: Path) -> None:
    guide = tmp_path / "guide.md"
    guide.write_text("# Keep what teaches")
    typed.says("select", "--name", "first", "--budget", "20", "--threshold", "0.95")
    made = typed.json(
        *("queue", "edge", "--by", "boundary", "--rows", "6", "--selection", "first"),
        *("--guidelines", str(guide), "--ask", "verdict", "--ask", "quality", "--reviewers", "2"),
    )
    assert made == {"queue": 1, "name": "edge", "rows": 6}
    claimed = typed.says("queue", "edge", "--claim-rows", "6", "--reviewer", "Ada").splitlines()
    rows = [json.loads(line)["row"] for line in claimed]
    assert json.loads(claimed[0])["messages"] == json.loads(conversation(rows[0]).to_json())
    keep, drop = {"keep": "", "quality": "5"}, {"drop": "", "quality": "2"}
    ada = dict(zip(rows, [keep, keep, drop, drop, keep, drop], strict=True))
    assert "12 decisions of Ada appended (entry 1)" in review(typed, tmp_path, "edge", "Ada", ada)
    again = review(typed, tmp_path, "edge", "Ada", ada)
    assert again == "0 decisions of Ada appended, 12 were there before\n"
    review(typed, tmp_path, "edge", "Bob", {**ada, rows[0]: drop})
    assert typed.says("queue", "edge").startswith("edge: 6 of 6 rows done, 12 of 12 answers\n  Ada")

    found = typed.json("agreement", "edge", "--selection", "first")
    verdict, quality = found["agreement"]
    assert (verdict["ask"], verdict["rows"], verdict["raw"]) == ("verdict", 6, pytest.approx(5 / 6))
    assert verdict["differ"] == [conversation(rows[0]).id]
    assert quality["alpha"] == verdict["alpha"]
    assert found["calibration"][0]["whole"]["rows"] == 6
    assert found["cost"]["selection"] == "first"
    assert "Krippendorff's alpha" in typed.says("agreement", "edge")

    assert typed.json("queue", "judge", "--by", "rows", "--id", conversation(1).id)["rows"] == 1
    assert "1 rows on which" in typed.says("queue", "edge", "--adjudicate", "last word")
    review(typed, tmp_path, "last word", "Cem", {rows[0]: {"drop": ""}})
    assert typed.json("queue", "edge", "--apply", "adjudicated")["undecided"] == 0
    with Project.open(Path(typed.path)) as project:
        by_hand = {pin.row: pin.kind for pin in pins(project)}
    wanted = {row: "pinned" if said is keep else "excluded" for row, said in ada.items()}
    assert by_hand == {**wanted, rows[0]: "excluded"}


def test_the_ledger_and_labelled_rows_are_written_to_files(typed: Typed, tmp_path: Path) -> None:
    rows = [conversation(row).id for row in (1, 2, 5)]
    ids = [part for one in rows for part in ("--id", one)]
    typed.says("queue", "all", "--by", "rows", "--ask", "quality", *ids)
    said = {1: {"quality": "2"}, 2: {"quality": "6", "note": "fine"}, 5: {"quality": "3"}}
    review(typed, tmp_path, "all", "Ada", said)
    out = tmp_path / "ledger.jsonl"
    assert typed.says("decisions", "--out", str(out)) == f"{out}: 4 decisions\n"
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(line["row"], line["kind"], line["value"]) for line in lines] == [
        (1, "quality", "2"),
        (2, "quality", "6"),
        (2, "note", "fine"),
        (5, "quality", "3"),
    ]
    table = out.with_suffix(".csv")
    assert typed.says("decisions", "--out", str(table)) == f"{table}: 4 decisions\n"
    assert len(table.read_text().splitlines()) == 5
    assert "must end in .jsonl or .csv" in typed.says("decisions", "--out", f"{out}.txt", status=1)
    labelled = tmp_path / "labelled.jsonl"
    assert typed.says("decisions", "--labelled", str(labelled)) == (
        f"{labelled}: 2 labelled rows; 1 rows of several turns or of none left out\n"
    )
    first = json.loads(labelled.read_text().splitlines()[0])
    assert first == {
        "id": rows[0],
        "version": 0,
        "instruction": "Tell me about rivers, item 1.",
        "response": "Here is what matters about rivers: it is number 1.",
        "complexity": None,
        "quality": 2.0,
        "reviewers": 1,
    }
    assert typed.json("decisions", "--kind", "note")[0]["value"] == "fine"
    assert "in all: row 5 quality 3" in typed.says("decisions", "--last", "1")


def test_more_reviewers_are_asked_where_the_verdict_is_not_clear(
    typed: Typed, tmp_path: Path
) -> None:
    typed.says("queue", "some", "--by", "random", "--rows", "3", "--per-cluster", "1")
    rows = [
        json.loads(x)["row"]
        for x in typed.says("queue", "some", "--claim-rows", "9").split("\n")[:-1]
    ]
    assert typed.says("queue", "some", "--give-back") == "3 rows given back\n"
    said = {rows[0]: {"unsure": ""}, rows[1]: {"keep": ""}, rows[2]: {"keep": ""}}
    review(typed, tmp_path, "some", "Ada", said)
    assert typed.says("queue", "some", "--more", "1") == (
        "1 rows without a clear verdict ask for 1 more\n"
    )
    assert typed.json("queue")[0]["rule"]["per_cluster"] == 1
    assert typed.says("queue") == "some: 2 of 3 rows done, 3 of 4 answers\n"


@pytest.mark.parametrize(
    ("arguments", "words", "status"),
    [
        (["tag", "hard"], "no rows to tag", 1),
        (["tag", "hard", "--id", "nothing"], "1 of 1 ids are not in this project", 1),
        (["tag", "two\nlines", "--id", conversation(1).id], "visible characters", 1),
        (["queue", "--by", "random"], "name the queue", 2),
        (["queue", "a", "--by", "random", "--apply", "any"], "one of --by", 2),
        (["queue", "a", "--by", "top"], "none is the current one: name one", 1),
        (["queue", "a", "--by", "low-mass"], "score with a language model", 1),
        (["queue", "a", "--by", "disagree"], "no two scorers of quality", 1),
        (["queue", "a", "--by", "flagged", "--flag", "odd"], "has the flag 'odd'", 1),
        (["queue", "a", "--by", "random", "--guidelines", "none.md"], "cannot be read", 1),
        (["queue", "a"], "there is no queue 'a' (there are: none yet)", 1),
        (["agreement", "a"], "there is no queue 'a'", 1),
        (["decisions", "--add", "none.jsonl"], "there is no file none.jsonl", 1),
        (["decisions", "--take-back", "4"], "no entry 4", 1),
        (["decisions", "--add", "a", "--out", "b"], "one of --out", 2),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    typed: Typed, arguments: list[str], words: str, status: int
) -> None:
    assert words in typed.says(*arguments, status=status)
    assert typed.json("queue") == []
    assert typed.json("decisions") == []
    assert typed.says("tag") == "no row has a tag\n"


def test_nobody_differs_so_there_is_nothing_to_adjudicate(typed: Typed) -> None:
    typed.says("queue", "a", "--by", "random", "--rows", "2")
    assert "nobody differs in 'a'" in typed.says("queue", "a", "--adjudicate", "b", status=1)
