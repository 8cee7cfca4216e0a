"""Nothing is looked up or connected to but this machine, and no file left in the home folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.browser import ROOT, served
from tests.builders import prepared_project
from tests.test_origin import stream

# Loaded by every Python process below: notes who is asked for and connected to.
RECORDER = """
import os, sys
ASKED = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
SENT = ("socket.connect", "socket.sendto", "socket.sendmsg")
def note(event, given):
    if event in ASKED or event in SENT:
        what = given[0] if event in ASKED else given[-1]
        with open(os.environ["NETWORK_LOG"], "a") as log:
            log.write(f"{event} {what!r}\\n")
    if event == "import" and given[0] == "openvino":
        with open(os.environ["NETWORK_LOG"], "a") as log:
            log.write("openvino\\n")
sys.addaudithook(note)
"""
OURS = re.compile(r"socket\.\w+ (\('?(127\.0\.0\.1|::1)'|'(127\.0\.0\.1|localhost|::1)'|b?'/|None)")


@pytest.fixture
def recorded(tmp_path: Path) -> dict[str, str]:
    """Variables for a process in a new home, whose asking and connecting is noted."""
    for name in ("home", "recorder"):
        (tmp_path / name).mkdir()
    (tmp_path / "recorder" / "sitecustomize.py").write_text(RECORDER)
    (tmp_path / "log").touch()
    return {
        "HOME": str(tmp_path / "home"),
        # The embedder's conversion is kept here, as documented; made before, it takes no minute.
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path / "recorder"))),
        "NETWORK_LOG": str(tmp_path / "log"),
    }


def noted(tmp_path: Path) -> list[str]:
    return (tmp_path / "log").read_text().splitlines()


def left_behind(tmp_path: Path) -> list[str]:
    home = tmp_path / "home"
    return [str(path.relative_to(home)) for path in home.rglob("*")]


def test_the_main_job_asks_nobody(tmp_path: Path, recorded: dict[str, str]) -> None:
    rows = (ROOT / "sample" / "everyday.jsonl").read_text().splitlines()[:20]
    (tmp_path / "pool.jsonl").write_text("\n".join(rows))
    command = "run pool.jsonl --budget 5 --out out.json --quiet"
    subprocess.run(
        [sys.executable, "-m", "deita_core", *command.split()],
        cwd=tmp_path, env={**os.environ, **recorded}, check=True,
    )  # fmt: skip
    assert (tmp_path / "out.json").stat().st_size > 100
    assert set(noted(tmp_path)) == {"openvino"}, "it was imported, and nothing else happened"
    assert left_behind(tmp_path) == []


@pytest.mark.browser
def test_the_app_asks_nobody(tmp_path: Path, recorded: dict[str, str], running: Any) -> None:
    prepared_project(tmp_path / "projects" / "quiet.duckdb")
    outside: list[str] = []
    program = ("deita_core", "app")
    with served(*program, port="--port", folder=tmp_path, environment=recorded) as address:
        view = running.new_page(base_url=address)
        ours = (address, address.replace("http", "ws"), "data:", "blob:")
        view.context.on(
            "request", lambda r: None if r.url.startswith(ours) else outside.append(r.url)
        )
        for page in ("pool", "explore", "select"):
            view.goto(f"/{page}?project=quiet")
            view.get_by_role("heading", name=page.capitalize(), exact=True).wait_for()
        view.wait_for_selector('[data-testid="deita-map"][data-ready="1"]')
        view.close()
        # Streamlit by itself would ask a server on the net whether this one is its own.
        assert stream(address, Origin="http://198.51.100.7") == 403
    assert [line for line in noted(tmp_path) if not OURS.match(line)] == []
    assert outside == []
    assert left_behind(tmp_path) == []
