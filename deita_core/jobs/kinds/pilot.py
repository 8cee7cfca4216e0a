"""The job that tries a model on a few rows first, and says what the rest will take.

Its scores and vectors are kept: the long run goes on from them. It makes a model the active one
only where there is none yet.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deita_core.jobs.handover import Parameters, Part, WorkerChannel
from deita_core.jobs.kinds.embed import embed_table
from deita_core.jobs.kinds.embed import identity_of as embedder_identity
from deita_core.jobs.kinds.score import (
    ConversationTurns,
    Pace,
    Window,
    health,
    read_windows,
    score_rows,
)
from deita_core.jobs.kinds.score import identity_of as scorer_identity
from deita_core.project import Project
from deita_core.project.job_log import Progress
from deita_core.project.scorers import add_pilot, reading_left, reading_of, write_pilot_rows
from deita_core.project.scores import add_scores, register_scorer
from deita_core.project.vectors import add_embeddings, register_embedder
from deita_core.scoring.protocol import Dimension

if TYPE_CHECKING:
    import pyarrow as pa

ROWS, SEED = 200, 42
EMBEDDING = "embedding"
# Of the first rows the time is not counted: buffers are made and kernels compiled.
_WARM_UP = 4


@dataclass(frozen=True, slots=True)
class PilotFacts:
    """What a pilot found out about one model.

    dimension: "complexity", "quality" or "embedding". rows: tried; seconds, rows_per_second and
    tokens_per_second without loading and warm-up (NaN-free: 0 when there was too little to
    measure); tokens are approximate. load_seconds: until the model was ready. memory, gpu_memory:
    peak in bytes of the worker and on the GPU, None where not known. left_rows: not done after
    the pilot; left_seconds: for them, by the length of their texts, loading included. health:
    sentences about the scores so far, and health_level.
    """

    dimension: str
    model: str
    rows: int
    seconds: float
    rows_per_second: float
    tokens_per_second: float
    load_seconds: float
    memory: int | None
    gpu_memory: int | None
    left_rows: int
    left_seconds: float
    health_level: str
    health: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For the table of pilots."""
        return asdict(self)

    @staticmethod
    def from_json(facts: Parameters) -> PilotFacts:
        """The inverse of `to_json`."""
        return PilotFacts(**{**facts, "health": tuple(facts["health"])})

    def cost(self, price_per_hour: float) -> float:
        """What the rest costs on a machine with this price per hour, in the price's currency."""
        return self.left_seconds / 3600 * price_per_hour


class Pilot:
    """parameters: {"dimension": "complexity", "quality" or "embedding", "model": name in the
    catalogue, "options": ModelOptions as JSON, "rows", "seed"}; the last three may be absent."""

    name = "pilot"
    label = "Pilot"
    unit = "conversations"

    def work(self, parameters: Parameters, channel: WorkerChannel) -> None:
        """Load the model, do the rows, and note the times."""
        started = time.monotonic()
        run, identity = _loaded(parameters)
        loaded = time.monotonic() - started
        folder, total = channel.get_input(identity)
        conversations = [one for part in read_windows(folder / "rows.parquet") for one in part]
        window = Window(conversations, [one.characters for one in conversations], spread=True)
        pace, done, seconds, tokens = Pace(first=_WARM_UP, most=ROWS), 0, 0.0, 0
        timed: list[int] = []
        dimension: Dimension = (
            "complexity" if parameters["dimension"] == "complexity" else "quality"
        )
        while window:
            batch = window.take(pace.size)
            started = time.monotonic()
            table = run(batch)
            taken = time.monotonic() - started
            pace.took(len(batch), taken)
            if done:
                seconds += taken
                timed += [one.row for one in batch]
                tokens += sum(one.tokens(dimension) for one in batch)
            done += len(batch)
            channel.put(Part({"rows": table}, {"identity": identity}))
            channel.report(Progress(stage="pilot", done=done, total=total))
        if not total:
            said = "nothing is left to try it on: it has done all rows of the pool"
            channel.report(Progress(total=0, result=(said,)))
            return
        measured = {
            "rows": done,
            "timed": timed,
            "seconds": seconds,
            "tokens": tokens,
            "load_seconds": loaded,
            "memory": _peak_memory(),
            "gpu_memory": _peak_gpu_memory(),
        }
        channel.put(Part({}, {"identity": identity, "measured": measured}))

    def prepare(
        self, project: Project, parameters: Parameters, identity: Parameters, folder: Path
    ) -> int:
        """Write a sample of what the model has not done yet, spread over all lengths."""
        rows, seed = int(parameters.get("rows", ROWS)), int(parameters.get("seed", SEED))
        number = _number(project, parameters["dimension"], identity)
        return write_pilot_rows(
            project, parameters["dimension"], number, rows, seed, folder / "rows.parquet"
        )

    def commit(self, project: Project, parameters: Parameters, part: Part) -> None:
        """Scores or vectors of a batch; at the end the facts."""
        dimension, identity = parameters["dimension"], part.meta["identity"]
        number = _number(project, dimension, identity)
        if "measured" in part.meta:
            facts = _facts(project, dimension, number, identity["id"], part.meta["measured"])
            add_pilot(project, parameters["model"], facts.to_json())
        elif dimension == EMBEDDING:
            add_embeddings(project, number, part.tables["rows"])
        else:
            add_scores(project, number, part.tables["rows"])

    def stopped(self, project: Project, parameters: Parameters) -> None:
        """What was committed stays; nothing to mark."""


Run = Callable[[Sequence[ConversationTurns]], "pa.Table"]


def _loaded(parameters: Parameters) -> tuple[Run, dict[str, Any]]:
    """The model as a function from conversations to a table, and what tells it apart."""
    from deita_core.models.options import ModelOptions

    dimension, name = parameters["dimension"], parameters["model"]
    options = ModelOptions.from_json(parameters.get("options"))
    if dimension == EMBEDDING:
        from deita_core.embedding.catalogue import load_embedder

        embedder = load_embedder(name, options)

        def embed(batch: Sequence[ConversationTurns]) -> pa.Table:
            rows, messages = [one.row for one in batch], [one.messages for one in batch]
            return embed_table(embedder, rows, messages)

        return embed, embedder_identity(embedder)
    from deita_core.scoring.catalogue import load_scorer

    scorer = load_scorer(name, dimension, options)
    return (lambda batch: score_rows(scorer, batch)[1]), scorer_identity(scorer)


def _number(project: Project, dimension: str, identity: Parameters) -> int:
    model = (identity["id"], identity["revision"])
    if dimension == EMBEDDING:
        width = identity["dimension"]
        return register_embedder(project, *model, width, identity["parameters"], activate=False)
    return register_scorer(project, dimension, *model, identity["parameters"], activate=False)


def _facts(
    project: Project, dimension: str, number: int, model: str, measured: Parameters
) -> PilotFacts:
    seconds = float(measured["seconds"])
    read = reading_of(project, dimension, measured["timed"])
    left_rows, left = reading_left(project, dimension, number)
    found = None if dimension == EMBEDDING else health(project, number)
    return PilotFacts(
        dimension=dimension,
        model=model,
        rows=measured["rows"],
        seconds=seconds,
        rows_per_second=len(measured["timed"]) / seconds if seconds else 0.0,
        tokens_per_second=measured["tokens"] / seconds if seconds else 0.0,
        load_seconds=measured["load_seconds"],
        memory=measured["memory"],
        gpu_memory=measured["gpu_memory"],
        left_rows=left_rows,
        left_seconds=left * seconds / read + measured["load_seconds"] if left and read else 0.0,
        health_level="good" if found is None else found.level,
        health=() if found is None else tuple(v.sentence for v in found.verdicts()),
    )


def _peak_memory() -> int | None:
    """Most bytes this process has held; Linux counts in KB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _peak_gpu_memory() -> int | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    cards = range(torch.cuda.device_count())
    return max(int(torch.cuda.max_memory_reserved(card)) for card in cards)
