"""Kill -9 at a random moment of each stage, go on, and compare with a run that nobody disturbed.

Each trial starts from the same copy of a project before its stage. Afterwards the same command is
given again; every table, the graph's arrays and the exported bytes must be those of the undisturbed
run, and nothing else may lie in the folder.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[2]
PROJECT, OUT = "faults.duckdb", "out.json"
STAGES: Mapping[str, tuple[str, ...]] = {
    "import": ("import", "{pool}"),
    "score": ("score",),
    "embed": ("embed",),
    "graph": ("graph",),
    "map": ("map",),
    "select": ("select", "--budget", "60", "--threshold", "0.8", "--name", "best", "--replace"),
    "export": (
        "export",
        "--selection",
        "best",
        "--out",
        OUT,
        "--force",
    ),
}
VICTIMS = ("command", "worker", "both")
# When something was done is not what was done, nor is how often a selection was replaced.
_TIMES = ("selection", "added", "made", "scored", "embedded", "started", "finished")


def contents(folder: Path) -> dict[str, str]:
    """A digest of every table but those of what was done, of the graph and other files, by name."""
    found = {}
    with duckdb.connect(str(folder / PROJECT), read_only=True) as connection:
        for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            if table in ("jobs", "log", "meta"):
                continue
            columns = [
                name
                for name, *_ in connection.execute(f"DESCRIBE {table}").fetchall()
                if name not in _TIMES
            ]
            rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
            found[table] = _digest(sorted(map(repr, rows)))
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".npy" and ".graph" in name:
            found[f"graph/{path.name}"] = _digest([repr(np.load(path).tolist())])
        elif path.is_file() and ".graph" not in name and not name.startswith(PROJECT):
            text = path.read_bytes() if path.name == OUT else b""
            found[name] = hashlib.sha256(text).hexdigest()
    return found


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass
class Trial:
    """What became of one disturbance.

    what: who was killed, or what was short. moment: seconds after the start, or how much there
    was. wrong: "" when all is well.
    """

    stage: str
    what: str
    moment: float
    wrong: str


class Stages:
    """The project before each stage, and what the stage makes of it when nobody disturbs it."""

    def __init__(self, folder: Path, pool: Path) -> None:
        self._folder = folder
        self._pool = pool
        self.taken: dict[str, float] = {}
        self._wanted: dict[str, dict[str, str]] = {}

    def prepare(self, stages: Iterable[str] = STAGES) -> None:
        """Runs every stage undisturbed and keeps what was there before it."""
        now = self._folder / "now"
        now.mkdir(parents=True)
        for stage in stages:
            shutil.copytree(now, self.before(stage))
            started = time.monotonic()
            if said := self.run(stage, now):
                raise RuntimeError(f"{stage} failed undisturbed: {said}")
            self.taken[stage] = time.monotonic() - started
            self._wanted[stage] = contents(now)

    def before(self, stage: str) -> Path:
        """The folder as it is before the stage."""
        return self._folder / stage

    def differing(self, stage: str, folder: Path) -> str:
        """What in `folder` is not as after the undisturbed stage; "" if nothing."""
        found, wanted = contents(folder), self._wanted[stage]
        names = [k for k in {**found, **wanted} if found.get(k) != wanted.get(k)]
        return f"differing: {names}" if names else ""

    def run(self, stage: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
        """Runs a stage to its end; the end of what it said when it failed, else ""."""
        running = self.start(stage, folder, environment)
        try:
            _, said = running.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            for process in _family(psutil.Process(running.pid)):
                process.kill()
            return "it did not end"
        return said[-500:] or "nothing said" if running.returncode else ""

    def start(
        self, stage: str, folder: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Starts a stage. environment: variables beside those of this process."""
        arguments = [part.format(pool=self._pool) for part in STAGES[stage]]
        return subprocess.Popen(
            [sys.executable, "-m", "deita_core", *arguments, "--project", PROJECT, "--quiet"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


class Kills(Stages):
    """Kills a stage at a moment, as often as one likes."""

    def kills(self, kills: int, seed: int, stages: list[str]) -> Iterator[Trial]:
        """`kills` kills of each stage, the moments and victims drawn by seed."""
        draw = random.Random(seed)
        for stage in stages:
            for _ in range(kills):
                yield self._trial(stage, draw.choice(VICTIMS), draw.random() * self.taken[stage])

    def _trial(self, stage: str, victim: str, moment: float) -> Trial:
        folder = self._folder / "trial"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.before(stage), folder)
        self._kill(stage, victim, moment, folder)
        if said := self.run(stage, folder):
            return Trial(stage, victim, moment, f"the command failed then: {said}")
        return Trial(stage, victim, moment, self.differing(stage, folder))

    def _kill(self, stage: str, victim: str, moment: float, folder: Path) -> None:
        """Starts the stage, kills, and waits until none of its processes is left."""
        running = self.start(stage, folder)
        command = psutil.Process(running.pid)
        time.sleep(moment)
        with_children = _family(command)
        first = 1 if victim == "worker" else 0
        doomed = with_children[first : 1 if victim == "command" else None]
        for process in doomed:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        running.communicate(timeout=300)
        _, alive = psutil.wait_procs(with_children, timeout=60)
        for process in alive:
            process.kill()
        if alive:
            raise RuntimeError(f"{stage}: {alive} went on after its command was gone")


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]
