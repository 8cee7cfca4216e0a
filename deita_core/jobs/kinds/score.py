"""The job that scores every turn that has no score of the chosen scorers yet."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from deita_core.errors import HopelessScorerError
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kind import JobKind, JobSpec
from deita_core.jobs.kinds.model_batches import (
    FINISHED,
    BatchSizer,
    ConversationTurns,
    commit_results,
    identity_of,
    read_windows,
    register,
)
from deita_core.models.batches import out_of_memory
from deita_core.models.options import ModelOptions
from deita_core.project import Project
from deita_core.project.job_log import Progress, ScorerNote
from deita_core.project.scores import write_unscored
from deita_core.scoring.health import ENOUGH, HealthTally
from deita_core.scoring.protocol import DIMENSIONS, Dimension, ScoreBatch, Scorer, TurnText, joined

if TYPE_CHECKING:
    import pyarrow as pa


class ScoreSpec(JobSpec):
    """complexity, quality: names of the catalogue; at least one. options: of their models.

    despite_health: go on with a scorer that looks hopeless after the first hundred turns.
    activate: their scores count for selection once all are there; without (and until then),
    only where there are no others.
    """

    kind: ClassVar[str] = "score"

    complexity: str | None = None
    quality: str | None = None
    options: Mapping[Dimension, ModelOptions] = Field(default_factory=dict)
    despite_health: bool = False
    activate: bool = True

    @model_validator(mode="after")
    def _has_a_scorer(self) -> ScoreSpec:
        if not self.names:
            raise ValueError("name a scorer for complexity, one for quality, or both")
        return self

    @property
    def names(self) -> dict[Dimension, str]:
        """The scorers by dimension."""
        given = {"complexity": self.complexity, "quality": self.quality}
        return {d: name for d in DIMENSIONS if (name := given[d])}


class Score(JobKind[ScoreSpec]):
    """Scores in batches of a few seconds each, of like lengths."""

    spec = ScoreSpec
    label = "Score"
    unit = "conversations"

    def work(self, spec: ScoreSpec, channel: WorkerChannel) -> None:
        """Load the scorers, then score batch by batch."""
        from deita_core.scoring.catalogue import load_scorer

        scorers = [
            load_scorer(name, d, spec.options.get(d, ModelOptions()))
            for d, name in spec.names.items()
        ]
        folder, total = channel.get_input({s.dimension: identity_of(s) for s in scorers})
        run = _ScoringRun(scorers, channel, total, despite_health=spec.despite_health)
        channel.report(Progress(stage="scoring", total=total))
        for window in read_windows(folder / "rows.parquet"):
            while window:
                run.score(window.take(run.next_size))
        channel.put(FINISHED)

    def prepare(
        self, project: Project, spec: ScoreSpec, identities: Identities, folder: Path
    ) -> int:
        """Write the conversations that lack a score."""
        numbers = register(project, identities)
        return write_unscored(project, list(numbers.values()), folder / "rows.parquet")

    def commit(self, project: Project, spec: ScoreSpec, identities: Identities, part: Part) -> None:
        """Scores of one batch, one table a dimension."""
        commit_results(project, identities, part, activate=spec.activate)


class _ScoringRun:
    """The batches of one worker: hands them over, tells progress, stops a hopeless scorer."""

    def __init__(
        self,
        scorers: Sequence[Scorer],
        channel: WorkerChannel,
        total: int,
        *,
        despite_health: bool,
    ) -> None:
        self._sizer = BatchSizer()
        self._scorers = scorers
        self._tallies = {scorer.dimension: HealthTally() for scorer in scorers}
        self._channel = channel
        self._total = total
        self._despite_health = despite_health
        self._done = 0
        self._tokens = 0
        self._seconds = 0.0

    @property
    def next_size(self) -> int:
        """Conversations for the next batch; the health is checked in time."""
        missing = ENOUGH - self._done
        return min(self._sizer.size, missing) if missing > 0 else self._sizer.size

    def score(self, conversations: Sequence[ConversationTurns]) -> None:
        """One batch."""
        started = time.monotonic()
        tables: dict[str, pa.Table] = {}
        for scorer in self._scorers:
            batch, tables[scorer.dimension] = score_rows(scorer, conversations)
            self._tallies[scorer.dimension].add(batch)
            self._tokens += sum(one.tokens(scorer.dimension) for one in conversations)
        taken = time.monotonic() - started
        self._sizer.took(len(conversations), taken)
        self._seconds += taken
        self._channel.put(Part(tables))
        self._done += len(conversations)
        self._channel.report(self._progress())
        if not self._despite_health:
            self._check_health()

    def _progress(self) -> Progress:
        verdicts = {d: tally.health.verdicts() for d, tally in self._tallies.items()}
        return Progress(
            stage="scoring",
            done=self._done,
            total=self._total,
            model_rate=self._done / max(self._seconds, 1e-6),
            tokens_rate=self._tokens / max(self._seconds, 1e-6),
            health={
                d: ScorerNote(level=found[0].level, sentence=found[0].sentence)
                for d, found in verdicts.items()
                if found
            },
        )

    def _check_health(self) -> None:
        for scorer in self._scorers:
            if sentence := self._tallies[scorer.dimension].health.hopeless:
                raise HopelessScorerError(
                    f"{scorer.dimension} by {scorer.id}: {sentence}. Choose another "
                    "scorer, or start again with the setting to score despite its health"
                )


def score_rows(
    scorer: Scorer, conversations: Sequence[ConversationTurns]
) -> tuple[ScoreBatch, pa.Table]:
    """The scores of every turn, and the table that `add_scores` takes."""
    import pyarrow as pa

    texts = [turn for one in conversations for turn in one.turns]
    result = _score_in_memory(scorer, texts)
    table = pa.table(
        {
            "row": pa.array([one.row for one in conversations for _ in one.turns], pa.int32()),
            "turn": pa.array(
                [turn for one in conversations for turn in range(len(one.turns))], pa.int32()
            ),
            # from_pandas turns NaN into NULL, which the table demands beside a reason.
            "score": pa.array(result.scores, pa.float32(), from_pandas=True),
            "reason": pa.array(result.reasons, pa.string()),
            "mass": _optional(result.mass, len(texts), pa.float32()),
            "truncated": _optional(result.truncated, len(texts), pa.bool_()),
        }
    )
    return result, table


def _score_in_memory(scorer: Scorer, texts: Sequence[TurnText]) -> ScoreBatch:
    """Scores; when the memory runs out, in halves, down to a turn that does not fit alone."""
    try:
        return scorer.score(texts)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        error.__traceback__ = None  # its frames hold what filled the memory
    if len(texts) == 1:
        return ScoreBatch(np.full(1, np.nan, np.float32), ("out of memory",))
    half = len(texts) // 2
    return joined([_score_in_memory(scorer, texts[:half]), _score_in_memory(scorer, texts[half:])])


def _optional(values: Any, length: int, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if values is None:
        return pa.nulls(length, kind)
    return pa.array(values, kind, from_pandas=True)
