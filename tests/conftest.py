"""Fixtures that several test files share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from deita_core.project import Project

# The same examples every time where a run decides something; new ones on a developer's machine.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

POOLS = Path(__file__).parents[2] / "shared" / "data" / "pools"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project of its own."""
    with Project.open(tmp_path / "test.duckdb", create=True) as made:
        yield made


@pytest.fixture(scope="session")
def pools() -> Path:
    """The folder of real pools; the test skips where it is absent."""
    if not POOLS.is_dir():
        pytest.skip("needs the real pools in ../shared/data/pools")
    return POOLS


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; without one browser tests skip, except where they are required."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if os.environ.get("DEITA_BROWSER_TESTS") == "required":
        pytest.fail("browser tests are required here, and no Chromium is installed")
    pytest.skip("no Chromium on this machine: browser tests skipped")
