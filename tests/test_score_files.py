"""Scores from elsewhere: columns of the pool and files in, every turn with a score or a reason."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deita_core.errors import FormatError, JobError, ProjectError
from deita_core.formats.read import PoolRow, Reject, read
from deita_core.formats.score_file import deita_record, read_scores, score_fields
from deita_core.jobs.chains import import_scores_spec
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import ExportScoresSpec
from deita_core.jobs.kinds.import_pool import rows_and_rejects
from deita_core.jobs.kinds.score_files import FIRST_TURN_ONLY, score_of, scores_of_turns
from deita_core.project import Project
from deita_core.project.columns import numeric_columns
from deita_core.project.models import active_model
from deita_core.project.pool import add_rows, add_source
from deita_core.project.scores import paired_scores, scorers, turn_scores
from tests.builders import Channel


def do(project: Project, spec: JobSpec, folder: Path) -> str:
    return Channel(project, spec, folder / "job").message


def chat(*said: str, **fields: object) -> dict[str, Any]:
    roles = ("human", "gpt")
    turns = [{"from": roles[i % 2], "value": text} for i, text in enumerate(said)]
    return {"conversations": turns, **fields}


RECORDS = [
    chat("one", "1", rating=4, nested={"Deita_Complexity": 2.5}, text="3.5"),
    chat("two", "2", "and", "22", rating=3.0, qualities=[1.5, 4], text="much"),
    chat("three", "3", "open", rating=None, qualities=[2, None], nested=None),
    chat("four", "4", rating="high", text=""),
]


@pytest.fixture
def pool(project: Project, tmp_path: Path) -> Project:
    path = tmp_path / "pool.json"
    path.write_text(json.dumps(RECORDS))
    rows = [row for row in read(path) if isinstance(row, PoolRow)]
    add_rows(
        project, add_source(project, "pool.json", str(path), None), *rows_and_rejects(list(rows))
    )
    return project


def stored(project: Project, dimension: str) -> list[list[tuple[float | None, str | None]]]:
    """(score, reason) of each turn of each conversation, of the active scorer."""
    found = project.cursor().execute(
        "SELECT list((score, reason) ORDER BY turn) FROM scores WHERE scorer = ? "
        "GROUP BY row ORDER BY row",
        [active_model(project, dimension)],
    )
    return [row[0] for row in found.fetchall()]


# what a value means


def test_one_number_stands_at_the_first_turn():
    assert scores_of_turns(4, 3) == [(4.0, None), (None, FIRST_TURN_ONLY), (None, FIRST_TURN_ONLY)]


def test_a_list_has_a_number_for_each_turn():
    assert scores_of_turns([1, "2.5", None], 3)[:2] == [(1.0, None), (2.5, None)]
    assert scores_of_turns("[1, 2]", 2) == [(1.0, None), (2.0, None)]
    assert scores_of_turns([1, 2], 3) == [(None, "2 values are given for 3 turns")] * 3


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no value"),
        ("", "no value"),
        (True, "not a number: true"),
        ("high", "not a number"),
        ({"a": 1}, "not a number"),
        (float("nan"), "not a finite"),
        ("inf", "not a finite"),
        (10**400, "not a number"),
        (1e39, "not a finite"),
    ],
)
def test_what_is_no_score_gets_a_reason(value: object, reason: str):
    score, said = score_of(value)
    assert score is None
    assert said is not None
    assert reason in said


# columns of the pool


def test_numeric_columns_are_listed_with_their_counts(pool: Project):
    found = {c.name: (c.numbers, c.lists, c.others) for c in numeric_columns(pool)}
    assert found == {
        "rating": (2, 0, 2),
        "qualities": (0, 2, 0),
        "nested.Deita_Complexity": (1, 0, 0),
        "text": (1, 0, 2),
    }


def test_columns_become_scores_of_every_turn(pool: Project, tmp_path: Path):
    do(pool, import_scores_spec("rating", "qualities"), tmp_path)
    no_list = [(None, "no value is given")]
    assert stored(pool, "complexity") == [
        [(4.0, None)],
        [(3.0, None), (None, FIRST_TURN_ONLY)],
        no_list * 2,
        [(None, 'not a number: "high"')],
    ]
    assert stored(pool, "quality") == [
        no_list,
        [(1.5, None), (4.0, None)],
        [(2.0, None), *no_list],
        no_list,
    ]
    assert [s.model for s in scorers(pool)] == ["column:rating", "column:qualities"]


def test_a_nested_column_is_read_and_the_revision_follows_the_values(pool: Project, tmp_path: Path):
    for column in ("nested.Deita_Complexity", "text"):
        do(pool, import_scores_spec(column), tmp_path)
    first, second = scorers(pool)
    assert first.scored == second.scored == 1
    assert len(first.revision) == 32
    assert first.revision != second.revision


def test_a_column_that_no_row_has_is_an_error(pool: Project, tmp_path: Path):
    with pytest.raises(ProjectError, match="'missing'"):
        do(pool, import_scores_spec("missing"), tmp_path)


# files


def write(path: Path, records: list[Any]) -> Path:
    path.write_text(json.dumps(records))
    return path


def test_the_files_of_the_reference_are_matched_by_content(pool: Project, tmp_path: Path):
    scored = [
        {"conversations": record["conversations"], "complexity_scores": [1.25, 2.5][:turns]}
        for record, turns in zip(RECORDS, (1, 2, 2, 1), strict=True)
    ]
    scored += [chat("elsewhere", "e", complexity_scores=[1]), scored[0], {"no": "scores"}]
    said = do(pool, import_scores_spec(file=write(tmp_path / "ref.json", scored)), tmp_path)
    assert stored(pool, "complexity")[1] == [(1.25, None), (2.5, None)]
    assert said == (
        "7 records read; 4 matched; 1 left out: no conversation of the pool is the same (first: "
        "record 5); 1 left out: its conversation has a value already (first: record 6); 1 left "
        "out: it has no field 'complexity_scores' (first: record 7); 0 conversations of the pool "
        "are not in it; complexity: 6 turns scored"
    )
    assert scorers(pool)[0].model == "import:ref.json#complexity_scores"


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_tables_are_matched_by_id_and_turn(pool: Project, tmp_path: Path, suffix: str):
    ids = [
        row[0]
        for row in pool.cursor().execute("SELECT id FROM conversations ORDER BY row").fetchall()
    ]
    rows = [(ids[0], 0, 5.5), (ids[1], 1, 2.0), (ids[1], 7, 1.0), ("0" * 32, 0, 1.0)]
    table = pa.table(
        dict(zip(("id", "turn", "quality"), map(list, zip(*rows, strict=True)), strict=True))
    )
    path = tmp_path / f"scores.{suffix}"
    if suffix == "csv":
        path.write_text("id,turn,quality\n" + "".join(f"{i},{t},{q}\n" for i, t, q in rows))
    elif suffix == "parquet":
        pq.write_table(table, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    said = do(pool, import_scores_spec(file=path), tmp_path)
    assert stored(pool, "quality")[:2] == [
        [(5.5, None)],
        [(None, "no value is given"), (2.0, None)],
    ]
    assert stored(pool, "quality")[3] == [(None, f"not in {path.name}")]
    assert "4 records read; 2 matched" in said
    assert "has no such turn" in said


def test_a_damaged_file_gives_what_can_be_read(pool: Project, tmp_path: Path):
    path = tmp_path / "broken.jsonl"
    good = json.dumps({**RECORDS[0], "quality": 3})
    path.write_text(f'{good}\n{{"conversations": [\n')
    assert "1 matched; 1 left out" in do(pool, import_scores_spec(file=path), tmp_path)


def test_a_file_about_another_pool_is_an_error(pool: Project, tmp_path: Path):
    path = write(tmp_path / "other.json", [chat("x", "y", quality=1)])
    with pytest.raises(JobError, match=r"nothing of other\.json belongs to this pool: 1 records"):
        do(pool, import_scores_spec(file=path), tmp_path)


def test_a_file_without_known_fields_names_those_it_has(tmp_path: Path):
    with pytest.raises(FormatError, match=r"its fields: conversations, stars"):
        score_fields(write(tmp_path / "a.json", [chat("x", "y", stars=1)]))
    with pytest.raises(FormatError, match="there is no file"):
        import_scores_spec(file=tmp_path / "none.json")
    with pytest.raises(FormatError, match="name the column"):
        import_scores_spec()


def test_a_turn_that_is_no_number_is_a_reject(tmp_path: Path):
    path = write(tmp_path / "a.json", [{"id": "a" * 32, "turn": "x", "quality": 1}])
    (row,) = read_scores(path, {"quality": "quality"})
    assert isinstance(row, Reject)
    assert row.reason == "turn must be a whole number from 0, got 'x'"


# export


@pytest.fixture
def scored(pool: Project, tmp_path: Path) -> Project:
    do(pool, import_scores_spec("rating", "qualities"), tmp_path)
    return pool


def test_scores_are_written_turn_by_turn(scored: Project, tmp_path: Path):
    out = tmp_path / "scores.parquet"
    do(scored, ExportScoresSpec(out=out, format="parquet"), tmp_path)
    rows = pq.read_table(out).to_pylist()
    assert [(r["position"], r["turn"], r["complexity"], r["quality"]) for r in rows] == [
        (0, 0, 4, None),
        (1, 0, 3, 1.5),
        (1, 1, None, 4),
        (2, 0, None, 2),
        (2, 1, None, None),
        (3, 0, None, None),
    ]
    assert rows[2]["complexity_reason"] == FIRST_TURN_ONLY


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_what_is_written_can_be_imported_again(scored: Project, tmp_path: Path, format: str):
    out = tmp_path / f"scores.{format}"
    do(scored, ExportScoresSpec(out=out, format=format), tmp_path)
    before = {d: active_model(scored, d) for d in ("complexity", "quality")}
    do(scored, import_scores_spec(file=out), tmp_path)
    for dimension, old in before.items():
        pairs = paired_scores(scored, old or 0, active_model(scored, dimension) or 0)
        assert pairs.first.tobytes() == pairs.second.tobytes()


def test_the_format_of_the_reference_pairs_by_position_and_leaves_out_what_it_cannot_say(
    scored: Project, tmp_path: Path
):
    do(scored, import_scores_spec(None, "rating"), tmp_path)
    out = tmp_path / "deita.json"
    said = do(scored, ExportScoresSpec(out=out, format="deita"), tmp_path)
    (row,) = json.loads(out.read_text())
    assert row["conversations"] == RECORDS[0]["conversations"]
    assert (row["complexity_scores"], row["quality_scores"]) == ([4.0], [4.0])
    assert said.startswith("1 conversations; 3 left out (a turn has no score), ")


def test_a_record_of_the_reference_has_two_messages_a_turn():
    said = [("system", "S"), ("user", "a"), ("user", "b"), ("assistant", "c"), ("user", "d")]
    messages = json.dumps([{"role": role, "content": text} for role, text in said])
    row = {"id": "x", "messages": messages, "complexity": [1.0, 2.0, 3.0], "quality": None}
    assert deita_record(row) == {
        "id": "x",
        "conversations": chat("a", "", "b", "c", "d")["conversations"],
        "system": "S",
        "complexity_scores": [1.0, 2.0, 3.0],
    }


def test_no_cell_of_a_csv_of_scores_is_a_formula(scored: Project, tmp_path: Path):
    with scored.transaction("admin", None) as cursor:
        cursor.execute("UPDATE sources SET name = '\n=cmd()'")
        cursor.execute("UPDATE scores SET reason = '@a' WHERE reason IS NOT NULL")
    out = tmp_path / "scores.csv"
    do(scored, ExportScoresSpec(out=out, format="csv"), tmp_path)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["source"] for row in rows} == {"'\n=cmd()"}
    assert {row["quality_reason"] for row in rows} == {"'@a", ""}


def test_infinite_scores_are_left_out_where_json_has_no_word_for_them(
    scored: Project, tmp_path: Path
):
    do(scored, import_scores_spec(None, "rating"), tmp_path)
    with scored.transaction("admin", None) as cursor:
        cursor.execute("UPDATE scores SET score = 'inf' WHERE score IS NOT NULL")
    out = tmp_path / "deita.json"
    said = do(scored, ExportScoresSpec(out=out, format="deita"), tmp_path)
    assert json.loads(out.read_text()) == []
    assert said.startswith("0 conversations; 4 left out")


def test_nothing_scored_is_nothing_to_export(pool: Project, tmp_path: Path):
    with pytest.raises(ProjectError, match="score the pool first"):
        do(pool, ExportScoresSpec(out=tmp_path / "a.csv", format="csv"), tmp_path)


def test_turn_scores_show_where_a_score_comes_from(scored: Project):
    assert set(turn_scores(scored, 0)["model"]) == {"column:rating", "column:qualities"}
