"""Fixtures that several test files share."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from deita_core.project import Project

if TYPE_CHECKING:
    from streamlit.runtime.pages_manager import PagesManager

# The same examples every time where a run decides something; new ones on a developer's machine.
# No deadline: the first example may wait for an import, or for a busy machine.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# Modules and models stay, and looking through all of them for what may go took a tenth of the time
# of page tests.
gc.set_threshold(20_000, 50, 50)

POOLS = Path(__file__).parents[2] / "shared" / "data" / "pools"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project of its own."""
    from tests.builders import empty_project

    with Project.open(empty_project(tmp_path / "test.duckdb")) as made:
        yield made


@pytest.fixture
def projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of projects for the app alone; whatever it opened is closed at the end."""
    import streamlit as st

    monkeypatch.setenv("DEITA_PROJECTS_DIR", str(tmp_path / "projects"))
    monkeypatch.setenv("DEITA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("streamlit.testing.v1.app_test.PagesManager", _pages_of_the_frame())
    found = _components_installed()
    monkeypatch.setattr(
        "streamlit.components.v2.manifest_scanner.scan_component_manifests", lambda: found
    )
    yield tmp_path / "projects"
    st.cache_resource.clear()
    st.cache_data.clear()


@cache
def _components_installed() -> list[Any]:
    """What each AppTest would look for among all packages again."""
    from streamlit.components.v2.manifest_scanner import scan_component_manifests

    return list(scan_component_manifests())


def _pages_of_the_frame() -> type[PagesManager]:
    """Without it AppTest runs a file of `pages/` alone, which a server does at its start only."""
    from streamlit.runtime.pages_manager import PagesManager

    class Framed(PagesManager):
        def __init__(self, *args: Any, **options: Any) -> None:
            PagesManager.uses_pages_directory = False
            super().__init__(*args, **options)

    return Framed


@pytest.fixture
def job_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of this test run in threads: for tests of what jobs do, not of how they are run."""
    from tests.workers import work_in_threads

    work_in_threads(monkeypatch)


@pytest.fixture(scope="module")
def jobs_here() -> Iterator[None]:
    """The same for all tests of a file."""
    from tests.workers import work_in_threads

    with pytest.MonkeyPatch.context() as patch:
        work_in_threads(patch)
        yield


@pytest.fixture(params=[True, False], ids=["bf16 screen", "fp32 screen"])
def either_screen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fast product of pairs in bfloat16, and in float32, whatever this machine would take."""
    from deita_core.models.device import Device
    from deita_core.similarity import screen

    device = Device("cpu", bf16=request.param, threads=2, label="")
    monkeypatch.setattr(screen, "pick_device", lambda: device)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Tiny models are no faster on more threads, and much slower beside other programs."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


@pytest.fixture(scope="session")
def running(chromium: str) -> Iterator[Any]:
    """One Chromium for all browser tests."""
    from tests.browser import browser

    with browser(chromium) as made:
        yield made


@pytest.fixture(scope="session")
def app_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the app of the browser tests runs: with projects/ and data/ as it makes them.

    There is a project already, or a first start would prepare the sample project.
    """
    from tests.builders import prepared_project

    folder = tmp_path_factory.mktemp("app")
    prepared_project(folder / "projects" / "topics.duckdb")
    return folder


@pytest.fixture(scope="session")
def app_address(app_folder: Path) -> Iterator[str]:
    """One app for all browser tests, opened from a folder that is not the repository's."""
    from tests.browser import served

    with served("deita_core", "app", port="--port", folder=app_folder) as address:
        yield address


# They take longest, and start first: else one of them runs alone at the end.
LONG_FILES = (
    "test_browser.py",
    "test_score_browser.py",
    "test_jobs.py",
    "test_embedding_minilm.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with browser tests come last: Playwright's event loop stays with its thread.

    `make test` hands out whole files in this order.
    """
    browser = {item.path for item in items if item.get_closest_marker("browser") is not None}
    items.sort(key=lambda item: (item.path in browser, item.path.name not in LONG_FILES))
