"""The job that tries a model on a few rows first, and says what the rest will take.

Its scores and vectors are kept: the long run goes on from them. It makes a model the active one
only where there is none yet.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kinds.model_runs import (
    BatchSizer,
    ConversationTurns,
    ModelJob,
    ScorerName,
    embed_rows,
    identity_of,
    read_windows,
    register,
    score_rows,
)
from deita_core.models.options import ModelOptions
from deita_core.project import Project
from deita_core.project.job_log import Progress
from deita_core.project.models import (
    ModelIdentity,
    Role,
    add_pilot,
    reading_left,
    reading_of,
    write_pilot_rows,
)
from deita_core.project.scores import health

if TYPE_CHECKING:
    import pyarrow as pa

# Of the first rows the time is not counted: buffers are made and kernels compiled.
_WARM_UP = 4
_MOST_AT_ONCE = 200


class PilotFacts(BaseModel):
    """What a pilot found out about one model.

    rows: tried; seconds, rows_per_second and tokens_per_second without loading and warm-up (0
    when there was too little to measure); tokens are approximate. load_seconds: until the model
    was ready. memory, gpu_memory: peak in bytes of the worker and on the GPU, None where not
    known. left_rows: not done after the pilot; left_seconds: for them, by the length of their
    texts, loading included. health: sentences about the scores so far, and health_level.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dimension: Role
    model: str
    rows: int
    seconds: float
    rows_per_second: float
    tokens_per_second: float
    load_seconds: float
    memory: int | None
    gpu_memory: int | None
    left_rows: int = 0
    left_seconds: float = 0.0
    health_level: str = "good"
    health: tuple[str, ...] = ()

    def cost(self, price_per_hour: float) -> float:
        """What the rest costs on a machine with this price per hour, in the price's currency."""
        return self.left_seconds / 3600 * price_per_hour


class PilotSpec(ModelJob):
    """Does a sample of rows and measures it.

    dimension: what the model is tried for. model: its name in the catalogue. rows: at most.
    """

    kind = "pilot"
    label = "Pilot"
    unit = "conversations"

    dimension: Role
    model: ScorerName
    options: ModelOptions = ModelOptions()
    rows: int = 200
    seed: int = 42

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write a sample of what the model has not done yet, spread over all lengths."""
        number = register(project, identities)[self.dimension]
        out = folder / "rows.parquet"
        return write_pilot_rows(project, self.dimension, number, self.rows, self.seed, out)

    def work(self, channel: WorkerChannel) -> None:
        started = time.monotonic()
        run, identity = _loaded(self)
        loaded = time.monotonic() - started
        folder, total = channel.get_input({self.dimension: identity})
        sizer, done, seconds, tokens = BatchSizer(first=_WARM_UP, most=_MOST_AT_ONCE), 0, 0.0, 0
        timed: list[int] = []
        for window in read_windows(folder / "rows.parquet"):
            while window:
                batch = window.take(sizer.size)
                started = time.monotonic()
                table = run(batch)
                taken = time.monotonic() - started
                sizer.took(len(batch), taken)
                if done:
                    seconds += taken
                    timed += [one.row for one in batch]
                    tokens += sum(one.tokens(self.dimension) for one in batch)
                done += len(batch)
                channel.put(Part({self.dimension: table}))
                channel.report(Progress(stage="pilot", done=done, total=total))
        if not total:
            said = "nothing is left to try it on: it has done all rows of the pool"
            channel.report(Progress(total=0, result=(said,)))
            return
        measured = PilotFacts(
            dimension=self.dimension,
            model=identity.id,
            rows=done,
            seconds=seconds,
            rows_per_second=len(timed) / seconds if seconds else 0.0,
            tokens_per_second=tokens / seconds if seconds else 0.0,
            load_seconds=loaded,
            memory=_peak_memory(),
            gpu_memory=_peak_gpu_memory(),
        )
        channel.put(Part(meta={"measured": measured.model_dump(mode="json"), "timed": timed}))

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        """Scores or vectors of a batch; at the end the facts."""
        super().commit(project, identities, part)
        if "measured" in part.meta:
            measured = PilotFacts.model_validate(part.meta["measured"])
            number = register(project, identities)[self.dimension]
            facts = _with_what_is_left(project, number, measured, part.meta["timed"])
            add_pilot(project, self.model, facts.model_dump(mode="json"))


def _loaded(
    spec: PilotSpec,
) -> tuple[Callable[[Sequence[ConversationTurns]], pa.Table], ModelIdentity]:
    """The model as a function from conversations to a table, and what tells it apart."""
    if spec.dimension == "embedding":
        from deita_core.embedding.catalogue import load_embedder

        embedder = load_embedder(spec.model, spec.options)

        def embed(batch: Sequence[ConversationTurns]) -> pa.Table:
            return embed_rows(embedder, [one.row for one in batch], [one.messages for one in batch])

        return embed, identity_of(embedder)
    from deita_core.scoring.catalogue import load_scorer

    scorer = load_scorer(spec.model, spec.dimension, spec.options)
    return (lambda batch: score_rows(scorer, batch)[1]), identity_of(scorer)


def _with_what_is_left(
    project: Project, model: int, facts: PilotFacts, timed: Sequence[int]
) -> PilotFacts:
    """What only the project can tell. timed: the rows that were done in `facts.seconds`."""
    role = facts.dimension
    read = reading_of(project, role, timed)
    left_rows, left = reading_left(project, role, model)
    seconds = left * facts.seconds / read + facts.load_seconds if left and read else 0.0
    told: dict[str, object] = {"left_rows": left_rows, "left_seconds": seconds}
    if role != "embedding":
        found = health(project, model)
        told["health_level"] = found.level
        told["health"] = tuple(verdict.sentence for verdict in found.verdicts())
    return facts.model_copy(update=told)


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
