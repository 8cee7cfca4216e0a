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
from collections.abc import Iterator, Mapping
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
        if path.suffix == ".npy":
            found[f"graph/{path.name}"] = _digest([repr(np.load(path).tolist())])
        elif path.is_file() and ".graph" not in name and not name.startswith(PROJECT):
            text = path.read_bytes() if path.name == OUT else b""
            found[name] = hashlib.sha256(text).hexdigest()
    return found


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass
class Trial:
    """What became of one kill, `moment` seconds after the start; wrong: "" when all is well."""

    stage: str
    victim: str
    moment: float
    wrong: str


class Kills:
    """Prepares the project before each stage once; then `trials` kills as often as one likes."""

    def __init__(self, folder: Path, pool: Path) -> None:
        self._folder = folder
        self._pool = pool
        self._taken: dict[str, float] = {}
        self._wanted: dict[str, dict[str, str]] = {}

    def prepare(self) -> None:
        """Runs every stage undisturbed and keeps what was there before it."""
        now = self._folder / "now"
        now.mkdir(parents=True)
        for stage in STAGES:
            shutil.copytree(now, self._folder / stage)
            started = time.monotonic()
            if said := self._run(stage, now):
                raise RuntimeError(f"{stage} failed without a kill: {said}")
            self._taken[stage] = time.monotonic() - started
            self._wanted[stage] = contents(now)

    def trials(self, kills: int, seed: int, stages: list[str] | None = None) -> Iterator[Trial]:
        """`kills` kills of each stage, the moments and victims drawn by seed."""
        draw = random.Random(seed)
        for stage in stages or list(STAGES):
            for _ in range(kills):
                yield self._trial(stage, draw.choice(VICTIMS), draw.random() * self._taken[stage])

    def _trial(self, stage: str, victim: str, moment: float) -> Trial:
        folder = self._folder / "trial"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._folder / stage, folder)
        self._kill(stage, victim, moment, folder)
        if said := self._run(stage, folder):
            return Trial(stage, victim, moment, f"the command failed then: {said}")
        found, wanted = contents(folder), self._wanted[stage]
        differing = [k for k in {**found, **wanted} if found.get(k) != wanted.get(k)]
        return Trial(stage, victim, moment, f"differing: {differing}" if differing else "")

    def _kill(self, stage: str, victim: str, moment: float, folder: Path) -> None:
        """Starts the stage, kills, and waits until none of its processes is left."""
        running = self._start(stage, folder)
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

    def _run(self, stage: str, folder: Path) -> str:
        """Runs a stage to its end; the end of what it said when it failed, else ""."""
        running = self._start(stage, folder)
        _, said = running.communicate(timeout=300)
        return said[-500:] or "nothing said" if running.returncode else ""

    def _start(self, stage: str, folder: Path) -> subprocess.Popen[str]:
        arguments = [part.format(pool=self._pool) for part in STAGES[stage]]
        return subprocess.Popen(
            [sys.executable, "-m", "deita_core", *arguments, "--project", PROJECT, "--quiet"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]
