"""The fuzz targets survive their seeds, whole, cut and doubled, and what once broke them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deita_core.project import Project
from deita_core.project.columns import numeric_columns
from tests.builders import imported_project
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_survives_its_seeds_and_what_once_broke_it(name: str):
    target = TARGETS[name]
    for seed in target.seeds:
        for data in (seed, seed[: len(seed) // 2], seed[1:] + seed):
            target.run(data)


def test_a_field_without_a_name_is_a_column_like_others(tmp_path: Path):
    pool = '{"instruction": "a", "output": "b", "": 4, "*": 5, "a/~b": 6}'
    with Project.open(imported_project(tmp_path / "p.duckdb", pool)) as project:
        found = {one.name: one.lowest for one in numeric_columns(project)}
    assert found == {"": 4.0, "*": 5.0, "a/~b": 6.0}
