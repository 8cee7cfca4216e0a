"""Keys and passwords stay out of projects, logs, manifests, errors and pages."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from deita_core.errors import ModelError
from deita_core.evolving.plan import EvolvePlan
from deita_core.jobs import JobRunner
from deita_core.jobs.chains import score_chain
from deita_core.jobs.evolve_seeds import SeedChoice
from deita_core.jobs.kinds import PilotSpec, ScoreSpec
from deita_core.jobs.kinds.evolve import EvolveSpec
from deita_core.models.options import ModelOptions
from deita_core.project import Project
from tests.browser import ROOT
from tests.builders import imported_project, prepared_project
from tests.fake_endpoint import LOGPROBS, Fault, completion, said, serving

KEY, TOKEN, PASSWORD = "sk-planted-4711", "hf_planted4712", "planted-4713"
SECRETS = {"DEITA_ENDPOINT_KEY": KEY, "DEITA_OTHER_KEY": KEY, "HF_TOKEN": TOKEN}
ECHO = f'{{"error": {{"message": "{"x" * 291} {KEY} is no key, Bearer {KEY}"}}}}'.encode()
POOL = "".join(f'{{"instruction": "Count to {n}.", "output": "1, 2"}}\n' for n in range(10))

Answer = Callable[[dict[str, Any], int], dict[str, Any] | Fault]
PASSING: tuple[Fault | dict[str, Any], ...] = (
    Fault(500, ECHO, {"Retry-After": "0"}),
    Fault(422, ECHO),
    Fault(breaks=True, body=KEY.encode()),
    Fault(200, KEY.encode()),
    completion({**LOGPROBS, KEY: -9.0}),
)
ANSWERS: Mapping[str, Answer] = {
    "done": lambda _, number: PASSING[number % len(PASSING)],
    "failed": lambda *_: Fault(401, ECHO, {"WWW-Authenticate": f"Bearer {KEY}"}),
}


def left(folder: Path) -> str:
    """Every byte of every file in the folder, and the names."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return "\n".join(f"{path} {path.read_bytes().decode('latin-1')}" for path in files)


def ran(folder: Path, *arguments: str) -> str:
    """What a command says, and what it leaves behind."""
    done = subprocess.run(
        [sys.executable, "-m", "deita_core", *arguments],
        cwd=folder, env={**os.environ, **SECRETS, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"{done.stdout}{done.stderr}{left(folder)}"


def assert_clean(said: str) -> None:
    for secret in (KEY, KEY[:12], TOKEN, PASSWORD):
        assert secret not in said, said[max(0, said.index(secret) - 300) :][:400]


def test_no_failure_of_an_endpoint_brings_the_key_to_light(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    options = ModelOptions(attempts=1, timeout=5, key_variable="DEITA_OTHER_KEY")
    for state, answer in ANSWERS.items():
        path = imported_project(tmp_path / f"{state}.duckdb", POOL)
        with serving(answer) as server, Project.open(path) as project:
            runner = JobRunner(project)
            runner.start()
            spec = score_chain(None, f"endpoint:m@{server.url}", options={"quality": options})
            job = runner.submit(spec)[-1]
            while (record := runner.record(job)).active:
                time.sleep(0.02)
            runner.stop()
            assert server.keys[0] == f"Bearer {KEY}"
            assert record.state == state
            assert_clean(str(record))
    assert_clean(left(tmp_path))


CHATS: Mapping[str, Answer] = {
    "done": lambda *_: said(f"{KEY} is your key"),
    "failed": lambda *_: Fault(401, ECHO, {"WWW-Authenticate": f"Bearer {KEY}"}),
}


@pytest.mark.usefixtures("job_here")
def test_evolving_brings_no_key_to_light(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    options = ModelOptions(attempts=1, timeout=5, key_variable="DEITA_OTHER_KEY")
    for state, answer in CHATS.items():
        path = imported_project(tmp_path / f"{state}.duckdb", POOL)
        with serving(answer) as server, Project.open(path) as project:
            spec = EvolveSpec(
                name="run",
                plan=EvolvePlan(kind="complexity", rounds=1),
                seeds=SeedChoice(by="random", size=4),
                chat=f"m@{server.url}",
                options=options,
            )
            runner = JobRunner(project)
            runner.start()
            job = runner.submit([spec])[-1]
            while (record := runner.record(job)).active:
                time.sleep(0.02)
            runner.stop()
            assert server.keys[0] == f"Bearer {KEY}"
            assert record.state == state
            assert_clean(str(record))
    assert_clean(left(tmp_path))


@pytest.mark.parametrize(
    "url",
    [f"http://me:{PASSWORD}@localhost:1/v1", f"http://{PASSWORD}@localhost:1", f"me:{PASSWORD}@x",
     f"http://localhost:1/v1?key={PASSWORD}", f"http://x:{PASSWORD}", f"ftp://me:{PASSWORD}@x"],
)  # fmt: skip
def test_a_password_in_an_address_is_refused_and_stored_nowhere(url: str, tmp_path: Path) -> None:
    name = f"endpoint:m@{url}"
    for make in (
        lambda: ScoreSpec(complexity=name),
        lambda: ScoreSpec(quality=name),
        lambda: PilotSpec(dimension="quality", model=name),
        lambda: EvolveSpec(
            name="run", plan=EvolvePlan(kind="quality"), seeds=SeedChoice(size=4), chat=name[9:]
        ),
    ):
        with pytest.raises(ModelError) as raised:
            make()
        assert_clean(f"{raised.value} {raised.value.__cause__}")


def test_the_command_line_stores_no_password(tmp_path: Path) -> None:
    prepared_project(tmp_path / "p.duckdb")
    name = f"endpoint:m@http://me:{PASSWORD}@localhost:1/v1"
    said = ran(tmp_path, "score", "--quality", name, "--project", "p.duckdb", "--quiet")
    assert "must have no user, password" in said
    assert_clean(said)


def test_the_score_page_shows_and_keeps_no_key(
    projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    prepared_project(projects / "p.duckdb")
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.switch_page("pages/score.py").run()
    app.segmented_control(key="part").set_value("Run a model").run()
    app.selectbox(key="model_quality").set_value("endpoint").run()
    app.text_input(key="url_quality").set_value("http://localhost:1/v1")
    app.text_input(key="served_quality").set_value("m").run()
    app.text_input(key="key_variable_quality").set_value("DEITA_OTHER_KEY").run()
    assert not app.exception
    assert_clean(f"{app} {app.session_state._state.filtered_state} {left(projects)}")
