"""CSV: cells that a spreadsheet would run, and the conversation that stays exact."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from export_samples import PLAIN, chat, row

from deita_core.conversation import Conversation
from deita_core.formats.read import read
from deita_core.formats.write import write


def cells(conversation: Conversation, out: Path) -> dict[str, str]:
    write([row(conversation)], "csv", out)
    with out.open(newline="", encoding="utf-8") as file:
        (record,) = csv.DictReader(file)
    return record


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r="])
def test_no_cell_begins_like_a_formula(start: str, tmp_path: Path):
    asked = chat(("user", f"{start}1+1"), ("assistant", f"{start}cmd()"))
    out = tmp_path / "out.csv"
    record = cells(asked, out)
    assert record["instruction"] == f"'{start}1+1"
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in record.values())
    assert [found.conversation.id for found in read(out)] == [asked.id]


def test_other_cells_stay_as_they_are(tmp_path: Path):
    record = cells(PLAIN, tmp_path / "out.csv")
    assert record["instruction"] == "Why is the sky blue?"
    assert record["response"] == "Rayleigh scattering."


def test_tools_that_begin_like_a_formula_are_refused(tmp_path: Path):
    asked = chat(("user", "a"), ("assistant", "b"), tools="=1+1")
    report = write([row(asked)], "csv", tmp_path / "out.csv")
    assert report.rows_written == 0
    assert "begin like a formula" in report.skipped[0][1]
