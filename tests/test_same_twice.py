"""Other batches, kills, resumes and numbers of threads: a project holds the same bytes."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from deita_core.jobs.handover import Identities, Part
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import EmbedSpec, ExportSpec, GraphSpec, MapSpec, ScoreSpec, model_runs
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.models import batches
from deita_core.project import Project
from deita_core.project.job_log import Progress
from deita_core.selection.rule import SelectionRule
from deita_core.similarity import graph_build, screen
from tests.builders import imported_project
from tests.faults.kills import OUT, PROJECT, contents
from tests.tiny_models import SPEECH, tiny_model

ROWS = 60


def pool() -> str:
    """Rows of all lengths, some near-duplicates among them."""
    draw, words = random.Random(3), SPEECH.split()
    rows = []
    for number in range(ROWS):
        asked, said = (" ".join(draw.choices(words, k=draw.randint(1, n))) for n in (20, 120))
        rows += [{"instruction": f"{asked} {number}?", "output": said}] * (1 + (number % 9 == 0))
        rows[-1] = {**rows[-1], "output": f"{said} indeed"}
    return "\n".join(map(json.dumps, rows))


class KilledError(Exception):
    """The worker is gone, and what it had not handed over with it."""


@dataclass
class Channel:
    """A worker and its owner in one process; at the part of the number `last` it is killed."""

    project: Project
    spec: JobSpec
    folder: Path
    last: int | None

    def get_input(self, identities: Identities | None = None) -> tuple[Path, int]:
        """What the project lacks at this moment."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.identities = identities or {}
        return self.folder, self.spec.prepare(self.project, self.identities, self.folder)

    def put(self, part: Part) -> None:
        """Commit it."""
        if self.last is not None:
            self.last -= 1
            if self.last < 0:
                raise KilledError
        self.spec.commit(self.project, self.identities, part)

    def report(self, progress: Progress) -> None:
        """Nobody looks."""


@dataclass
class Sizes:
    """In place of `BatchSizer`: sizes that do not follow the clock."""

    next_size: Callable[[], int]

    @property
    def size(self) -> int:
        """Of the next batch."""
        return self.next_size()

    def took(self, items: int, seconds: float) -> None:
        """Whatever the time."""


def models_of(kind: str) -> tuple[ScoreSpec, EmbedSpec]:
    """The scorers and the embedder, "light" or "llm"."""
    if kind == "light":
        return ScoreSpec(complexity="light", quality="light"), EmbedSpec()
    scorer = f"llm:{tiny_model('mistral')}"
    return ScoreSpec(complexity=scorer, quality=scorer), EmbedSpec(
        embedder=f"llm:{tiny_model('llama')}"
    )


def made(
    folder: Path, kind: str, kills: Iterator[int | None], threads: int, patch: pytest.MonkeyPatch
) -> dict[str, str]:
    """All that a project holds after the whole way."""
    folder.mkdir()
    for module in (batches, screen, graph_build):
        patch.setattr(module, "cpu_threads", lambda: threads)
    with (
        Project.open(imported_project(folder / PROJECT, pool())) as project,
        threadpool_limits(threads),
    ):

        def run(spec: JobSpec, last: int | None = None) -> None:
            try:
                spec.work(Channel(project, spec, folder.parent / f"{folder.name}-job", last))
            except KilledError:
                run(spec, next(kills))

        for spec in models_of(kind):
            run(spec, next(kills))
        run(GraphSpec(floor=0.3))
        run(MapSpec())
        select_and_save(project, SelectionRule(budget=40, threshold=0.9), "best")
        run(ExportSpec(selection="best", format="sharegpt", out=folder / OUT, with_scores=True))
    return contents(folder)


@pytest.mark.parametrize("kind", ["light", "llm"])
def test_batches_kills_resumes_and_threads_change_no_byte(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(1)
    everything = made(tmp_path / "one", kind, iter([None] * 9), 1, monkeypatch)
    monkeypatch.setattr(model_runs, "BatchSizer", lambda: Sizes(lambda: draw.randint(1, 30)))
    monkeypatch.setattr(model_runs, "_BATCH", 7)
    kills = iter([3, 0, 1, None, 2, 1, 5, *[None] * 9])
    disturbed = made(tmp_path / "two", kind, kills, 3, monkeypatch)
    assert disturbed == everything
    assert {"scores", "embeddings", "map_points", OUT} <= everything.keys()
