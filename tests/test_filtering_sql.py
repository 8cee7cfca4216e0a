"""filtering.sql: one condition over the pool, and nothing beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deita_core.errors import FilterError
from deita_core.filtering import PoolColumns
from deita_core.filtering.sql import where_mask
from deita_core.project import Project
from tests.builders import prepared_project, with_graph


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolColumns]:
    path = with_graph(prepared_project(tmp_path_factory.mktemp("sql") / "topics.duckdb"))
    with Project.open(path) as project:
        yield PoolColumns(project)


def rows(line: str, columns: PoolColumns) -> list[int]:
    return np.flatnonzero(where_mask(line, columns)).tolist()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("row < 3", [0, 1, 2]),
        ("WHERE row = 4", [4]),
        ("where\nrow = 4;", [4]),
        ("row = 4 -- and a comment", [4]),
        ("text LIKE '%bread, item 5.%'", [5]),
        ("preview ILIKE '%ITEM 7.'", [7]),
        ("original->>'$.id' = '9'", [9]),
        ("(original->>'$.id')::INTEGER IN (3, 11)", [3, 11]),
        ("regexp_matches(text, 'item [12]\\.')", [1, 2]),
        ("row = (SELECT max(row) FROM pool)", [59]),
        ("turns > 1 AND row < 11", [0, 5, 10]),
        ("len(flags) > 0", []),
        ("cluster = 4 AND row BETWEEN 1 AND 9", [4, 9]),
        ("file = 'topics.jsonl' AND language = 'en' AND decision = 'none' AND row = 1", [1]),
        ("quality IS NULL AND row = 3", []),
        ("false", []),
    ],
)
def test_a_condition_finds_these_rows(line: str, found: list[int], columns: PoolColumns):
    assert rows(line, columns) == found


@pytest.mark.parametrize("name", ["complexity", "quality", "evol_score", "nearest_similarity"])
def test_numbers_are_those_of_the_columns(name: str, columns: PoolColumns):
    values = columns[name].values
    middle = float(np.nanmedian(values))
    assert rows(f"{name} > {middle!r}", columns) == np.flatnonzero(values > middle).tolist()
    assert rows(f"{name} IS NULL", columns) == np.flatnonzero(np.isnan(values)).tolist()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "is empty"),
        ("quality >", r"at character 9 \(“>”\): syntax error"),
        ("quality > 4 and\n  or turns = 1", r"at character 19 \(“or turns = 1”\)"),
        ("qualty > 4", r"no column 'qualty' at character 1 .*it has row, id"),
        ("turns = 'two'", "at character 9 .*Could not convert string 'two'"),
        ("text > 4 AND length(turns, 2)", "cannot be used"),
        ("sum(turns) > 3", "cannot contain aggregates"),
        ("x" * 2001, "2,001 characters"),
    ],
)
def test_a_mistake_is_named_with_its_place(line: str, said: str, columns: PoolColumns):
    with pytest.raises(FilterError, match=said):
        where_mask(line, columns)


@pytest.mark.parametrize(
    "line",
    [
        "row = 1; DROP TABLE pool",
        "row = 1) OR (true",
        "row = 1 UNION SELECT 2",
        "row = 1 ORDER BY row",
        "row = 1 LIMIT 1",
        "row = 1 GROUP BY row",
        "true QUALIFY true",
        "row IN (SELECT 1 FROM read_text('/etc/passwd'))",
        "row IN (SELECT 1 FROM '/etc/passwd')",
        "row IN (FROM glob('/*'))",
        "row IN (SELECT 1 FROM duckdb_settings())",
        "row IN (SELECT 1 FROM information_schema.tables)",
        "row IN (SELECT 1 FROM range(1000000000000))",
        "row IN (SELECT 1 FROM sqlite_master)",
        "row IN (SELECT unnest(range(1000000000)))",
        "row IN (WITH RECURSIVE pool AS (SELECT 1 AS row UNION ALL FROM pool) FROM pool)",
        "current_setting('memory_limit') = ''",
        "getenv('HOME') = ''",
        "length(repeat('x', 3000000000)) = 1",
        "length(lpad('x', 3000000000, 'x')) = 1",
        "length(printf('%3000000000d', 1)) = 1",
        "len(list_transform(flags, lambda f: f)) = 1",
        "COLUMNS(*) > 1",
        "row = ?",
        "row = $1",
        "version() = ''",
        "nextval('a') = 1",
        "row IN (SELECT 1 FROM columns)",
    ],
)
def test_nothing_but_a_condition_on_the_pool_is_run(line: str, columns: PoolColumns):
    with pytest.raises(FilterError):
        where_mask(line, columns)


def test_the_sandbox_itself_reaches_nothing(tmp_path: Path):
    """What the check of the line might ever let through meets a closed door."""
    import duckdb

    from deita_core.filtering.sql import _sandbox

    (tmp_path / "secret").write_text("secret")
    with _sandbox() as sandbox:
        sandbox.execute("SET lock_configuration = true")
        for query in (
            f"SELECT * FROM read_text('{tmp_path / 'secret'}')",
            f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'",
            f"ATTACH '{tmp_path / 'new.duckdb'}'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET memory_limit = '100GB'",
            "SET enable_external_access = true",
            "SELECT * FROM tmp_path",
        ):
            with pytest.raises(duckdb.Error):
                sandbox.execute(query).fetchall()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret"]


def test_a_line_that_takes_too_long_is_stopped(columns: PoolColumns):
    crossed = ", ".join(f"pool p{n}" for n in range(8))
    with pytest.raises(FilterError, match=r"more than 0\.2 s"):
        where_mask(f"(SELECT count(*) FROM {crossed}) > 1", columns, seconds=0.2)


def test_no_thread_is_left_behind(columns: PoolColumns):
    before = threading.active_count()
    for _ in range(5):
        where_mask("true", columns)
    assert threading.active_count() == before


@pytest.mark.parametrize("line", ["1; DROP TABLE conversations", "true; SELECT 2"])
def test_more_than_one_statement_is_no_condition(line):
    with pytest.raises(FilterError, match="must be one condition"):
        where_mask(line, None)
