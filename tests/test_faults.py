"""The short form of `make faults`, on the stage that is quickest: the import."""

from __future__ import annotations

import shutil

import pytest

from tests.faults.__main__ import Faults, pool
from tests.faults.shortages import can_mount

STAGE = ["import"]


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Faults:
    folder = tmp_path_factory.mktemp("faults")
    pool(folder / "pool.jsonl", 60, seed=0)
    made = Faults(folder / "work", folder / "pool.jsonl")
    made.prepare(STAGE)
    return made


def test_a_kill_loses_and_doubles_nothing(faults: Faults) -> None:
    assert [trial.wrong for trial in faults.kills(1, 1, STAGE)] == [""]


@pytest.mark.skipif(not can_mount(), reason="mounting a small disk takes root")
def test_a_full_disk_is_one_line_and_loses_nothing(faults: Faults) -> None:
    assert [trial.wrong for trial in faults.disks(1, 2, STAGE)] == [""]


@pytest.mark.skipif(not can_mount(), reason="mounting a read-only disk takes root")
def test_a_read_only_folder_is_one_line(faults: Faults) -> None:
    assert [trial.wrong for trial in faults.read_only(STAGE)] == [""]


@pytest.mark.skipif(shutil.which("cc") is None, reason="the jumping clock takes a C compiler")
def test_a_clock_that_jumps_changes_nothing(faults: Faults) -> None:
    assert [trial.wrong for trial in faults.clocks(1, 3, STAGE)] == [""]
