"""A full disk, no memory, a clock that jumps, a folder that is read-only.

A stage that is short of something ends with one line that says so; given what it lacked, the same
command ends as if nothing had been. Disks are small tmpfs mounts, which take root.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.kills import Stages, Trial

HERE = Path(__file__).parent
_ROOMY = 256 << 20
# Bytes of address space that a worker gets. With less, libraries do not load: OpenBLAS asks for
# memory for ever then.
MEMORY = (1000 << 20, 1200 << 20, 1400 << 20, 1600 << 20)
WITH_MODELS = ("score", "embed", "graph", "map")


def can_mount() -> bool:
    """May this process mount a tmpfs? Root in a container may not."""
    if os.geteuid() or shutil.which("mount") is None:
        return False
    try:
        with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder) / "disk"):
            return True
    except subprocess.CalledProcessError:
        return False


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """`folder` is a disk of its own meanwhile, with room enough until `resize`."""
    folder.mkdir(parents=True)
    _mount("-t", "tmpfs", "-o", f"size={_ROOMY}", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def resize(folder: Path, size: int = _ROOMY, *, writable: bool = True) -> None:
    """Give the disk another size in bytes, or make it read-only."""
    _mount("-o", f"remount,{'rw' if writable else 'ro'},size={size}", str(folder))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


class Shortages(Stages):
    """Runs stages short of something, and again without."""

    def disks(self, times: int, seed: int, stages: list[str]) -> Iterator[Trial]:
        """Fill the disk at `times` places; what is left free is drawn by seed."""
        draw = random.Random(seed)
        for place in range(times):
            stage = stages[place % len(stages)]
            yield self._disk(stage, draw.random())

    def _disk(self, stage: str, share: float) -> Trial:
        folder = self._folder / "disk"
        with small_disk(folder):
            shutil.copytree(self.before(stage), folder, dirs_exist_ok=True)
            before = shutil.disk_usage(folder).used
            resize(folder, before + int(share * 1_500_000) // 4096 * 4096)
            said = self.run(stage, folder)
            wrong = self._then(stage, folder, said, "no space left on the disk of ", resize)
        shutil.rmtree(folder)
        return Trial(stage, "disk", share, wrong)

    def memory(self, stages: list[str]) -> Iterator[Trial]:
        """Give the workers too little memory."""
        for stage in (stage for stage in stages if stage in WITH_MODELS):
            for limit in MEMORY:
                folder = self._copy(stage)
                environment = {"FAULTS_MEMORY": str(limit), "PYTHONPATH": _path()}
                said = self.run(stage, folder, environment)
                wrong = self._then(stage, folder, said, "memory ran out")
                yield Trial(stage, "memory", limit / 1e6, wrong)

    def clocks(self, times: int, seed: int, stages: list[str]) -> Iterator[Trial]:
        """Let the clock jump ten years to and fro at each look."""
        library = self._folder / "clock.so"
        source = str(HERE / "clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), source], check=True)
        for number in range(seed, seed + times):
            for stage in stages:
                folder = self._copy(stage)
                jumps = {"LD_PRELOAD": str(library), "FAULTS_CLOCK": str(number)}
                said = self.run(stage, folder, jumps)
                wrong = f"failed: {said}" if said else self.differing(stage, folder)
                yield Trial(stage, "clock", number, wrong)

    def read_only(self, stages: list[str]) -> Iterator[Trial]:
        """Make the folder read-only."""
        for stage in stages:
            folder = self._folder / "disk"
            with small_disk(folder):
                shutil.copytree(self.before(stage), folder, dirs_exist_ok=True)
                resize(folder, writable=False)
                said = self.run(stage, folder)
                wrong = self._then(stage, folder, said, "", resize) if said else "it did not fail"
            shutil.rmtree(folder)
            yield Trial(stage, "read-only", 0, wrong)

    def _copy(self, stage: str) -> Path:
        folder = self._folder / "trial"
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(self.before(stage), folder))

    def _then(
        self,
        stage: str,
        folder: Path,
        said: str,
        wanted: str,
        mend: Callable[[Path], None] = lambda _: None,
    ) -> str:
        """What was wrong with what a stage said, and with what it does once it lacks nothing."""
        lines = said.strip().splitlines()
        if said and ("Traceback" in said or not lines[-1].startswith("error: ")):
            return f"it did not end with one line: {said}"
        if said and wanted not in said:
            return f"it did not say {wanted!r}: {said}"
        mend(folder)
        if again := self.run(stage, folder):
            return f"the command failed then: {again}"
        return self.differing(stage, folder)


def _path() -> str:
    """Python's path with the module that limits the memory of workers before all others."""
    return os.pathsep.join([str(HERE / "limits"), str(HERE.parents[1])])
