"""project.ledger_text: the same decisions as JSON Lines and as CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from deita_core.project import Project
from deita_core.project.ledger import decide, ledger_lines, tag_rows
from deita_core.project.ledger_text import ledger_text, line_record
from deita_core.review.decision import Decision
from tests.builders import prepared_project

RISKY = '=cmd("x"),\n"y"'


def test_csv_and_json_lines_have_the_same_lines_and_fields(tmp_path: Path) -> None:
    with Project.open(prepared_project(tmp_path / "topics.duckdb", rows=12)) as project:
        decide(project, [Decision(3, "keep", why="good")], author="Ada")
        tag_rows(project, [4, 5], "löng", author="Bob")
        decide(project, [Decision(3, "note", RISKY)], author="Ada")
        lines = ledger_lines(project)[::-1]
    told = [json.loads(line) for line in ledger_text(lines, "jsonl").splitlines()]
    assert told == [line_record(line) for line in lines]
    assert told[0]["made"].endswith("Z")
    table = list(csv.DictReader(io.StringIO(ledger_text(lines, "csv"))))
    as_text = [
        {name: "" if value is None else str(value) for name, value in one.items()} for one in told
    ]
    # A spreadsheet would run what begins with "=".
    assert as_text[-1]["value"] == RISKY
    as_text[-1]["value"] = f"'{RISKY}"
    assert table == as_text
