"""How much to hand to a model at once: little at first, then what takes a few seconds.

A fixed number of rows is too much for a slow model (nothing is committed for minutes, and a
cancel waits as long) and too little for a quick one.

Conversations as scorers see them, and their scores as tables: shared by score and pilot.

The health of a scorer out of the scores that a project has of it.

The job that scores every turn that has no score of the chosen scorers yet.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from deita_core.conversation import Conversation
from deita_core.describe import approximate_tokens
from deita_core.errors import HopelessScorerError
from deita_core.jobs.handover import Parameters, Part, WorkerChannel
from deita_core.models.batches import out_of_memory
from deita_core.project import Project
from deita_core.project.job_log import Progress, ScorerNote
from deita_core.project.scorers import score_columns
from deita_core.project.scores import add_scores, count_unscored, register_scorer, write_unscored
from deita_core.scoring.health import ENOUGH, Health, HealthTally, health_of
from deita_core.scoring.protocol import DIMENSIONS, Dimension, ScoreBatch, Scorer, TurnText, joined

if TYPE_CHECKING:
    import pyarrow as pa

SECONDS = 5.0
FIRST, MOST = 4, 2048
_CLASSES = 16
_STEP = 4  # no size is more than this many times the one before

T = TypeVar("T")


class Pace:
    """`size` items take about `seconds`, after a few tries."""

    def __init__(self, seconds: float = SECONDS, first: int = FIRST, most: int = MOST) -> None:
        self._seconds = seconds
        self._most = most
        self.size = first

    def took(self, items: int, seconds: float) -> None:
        """That many items were done in that time."""
        fits = items * self._seconds / max(seconds, 1e-6)
        self.size = int(min(max(fits, self.size / _STEP, 1), self.size * _STEP, self._most))


class Window(Generic[T]):
    """Items sorted by length, taken out in runs of about the same length.

    Runs come from `_CLASSES` classes of length at random (the same in every process), so that
    rate and health after the first few hold for the whole. The very first run is spread evenly.
    """

    def __init__(self, items: Sequence[T], lengths: Sequence[int], *, spread: bool) -> None:
        order = sorted(range(len(items)), key=lambda place: lengths[place])
        self._spread = spread
        self._random = np.random.default_rng(len(items))
        self._classes = [
            [items[place] for place in part]
            for part in np.array_split(order, min(_CLASSES, len(order)) or 1)
            if len(part)
        ]
        self._class_size = len(items) // _CLASSES

    def __bool__(self) -> bool:
        return bool(self._classes)

    def take(self, count: int) -> list[T]:
        """That many items, or somewhat fewer at the end of a class; never none."""
        if self._spread:
            self._spread = False
            return self._take_spread(count)
        at = int(self._random.integers(len(self._classes)))
        taken: list[T] = []
        while self._classes and len(taken) < count:
            at = min(at, len(self._classes) - 1)
            found = self._classes[at]
            missing = count - len(taken)
            taken += found[:missing]
            del found[:missing]
            if not found:
                del self._classes[at]
            if count <= self._class_size:
                break  # a slow model gains more from like lengths than from a full batch
        return taken

    def _take_spread(self, count: int) -> list[T]:
        """From every class in turn."""
        taken: list[T] = []
        step = max(1, len(self._classes) // count)
        for found in self._classes[::step]:
            if len(taken) < count:
                taken.append(found.pop(len(found) // 2))
        self._classes = [found for found in self._classes if found]
        return taken


# Conversations looked at together to find some of like length.
WINDOW = 4096


@dataclass(frozen=True, slots=True)
class ConversationTurns:
    """The turns of a row, first to last, and its messages as JSON."""

    row: int
    messages: str
    turns: tuple[TurnText, ...]

    @property
    def characters(self) -> int:
        """Length of all turns."""
        return sum(len(t.instruction) + len(t.response or "") for t in self.turns)

    def tokens(self, dimension: Dimension) -> int:
        """About how many tokens a scorer of this dimension reads, without its prompt."""
        total = sum(approximate_tokens(t.instruction) for t in self.turns)
        if dimension == "quality":
            total += sum(approximate_tokens(t.response or "") for t in self.turns)
        return total


def read_windows(path: Path, rows: int = WINDOW) -> Iterator[list[ConversationTurns]]:
    """The conversations of a file that `write_unscored` wrote, some thousand at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(rows, columns=["row", "messages"]):
            columns = batch.to_pydict()
            yield [
                ConversationTurns(row, messages, _turns(messages))
                for row, messages in zip(columns["row"], columns["messages"], strict=True)
            ]


def _turns(messages: str) -> tuple[TurnText, ...]:
    turns = Conversation.from_json(messages).turns
    return tuple(TurnText(turn.instruction, turn.response) for turn in turns)


def score_rows(
    scorer: Scorer, conversations: Sequence[ConversationTurns]
) -> tuple[ScoreBatch, pa.Table]:
    """The scores of every turn, and the table that `add_scores` takes."""
    import pyarrow as pa

    texts = [turn for one in conversations for turn in one.turns]
    result = score_in_memory(scorer, texts)
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


def score_in_memory(scorer: Scorer, texts: Sequence[TurnText]) -> ScoreBatch:
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
    return joined([score_in_memory(scorer, texts[:half]), score_in_memory(scorer, texts[half:])])


def _optional(values: Any, length: int, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if values is None:
        return pa.nulls(length, kind)
    return pa.array(values, kind, from_pandas=True)


def health(project: Project, scorer: int) -> Health:
    """What the scores so far tell about the scorer of that number."""
    columns = score_columns(project, scorer)
    return health_of(columns.score, columns.mass, columns.truncated, columns.reasons)


class Score:
    """parameters: {"complexity": name, "quality": name} of scorers in the catalogue, or one of
    the two; {"options": {"complexity": ModelOptions as JSON, ...}} and "despite_health": true to
    go on with a scorer that looks hopeless, both may be absent; so may "activate": false, to
    leave the scorers that count for selection as they are."""

    name = "score"
    label = "Score"
    unit = "conversations"

    def work(self, parameters: Parameters, channel: WorkerChannel) -> None:
        """Score in batches of a few seconds each, of like lengths."""
        scorers = loaded_scorers(parameters)
        folder, total = channel.get_input(_identity(scorers))
        run = _Run(scorers, channel, total, despite_health=bool(parameters.get("despite_health")))
        channel.report(Progress(stage="scoring", total=total))
        spread = True
        for conversations in read_windows(folder / "rows.parquet"):
            lengths = [one.characters for one in conversations]
            window = Window(conversations, lengths, spread=spread)
            spread = False
            while window:
                run.score(window.take(run.next_size))
        channel.put(Part({}, {"identity": _identity(scorers), "finished": True}))

    def prepare(
        self, project: Project, parameters: Parameters, identity: Parameters, folder: Path
    ) -> int:
        """Write the conversations that lack a score."""
        numbers = _numbers(project, identity, activate=False)
        write_unscored(project, numbers, folder / "rows.parquet")
        return count_unscored(project, numbers)

    def commit(self, project: Project, parameters: Parameters, part: Part) -> None:
        """Scores of one batch, one table a dimension; at the end they count for selection.

        Not before: a run that is stopped early leaves the scorers in use as they are.
        """
        activate = part.meta.get("finished", False) and parameters.get("activate", True)
        numbers = _numbers(project, part.meta["identity"], activate=activate)
        for dimension, table in part.tables.items():
            add_scores(project, numbers[dimension], table)

    def stopped(self, project: Project, parameters: Parameters) -> None:
        """What was committed stays; nothing to mark."""


class _Run:
    """The batches of one worker: hands them over, tells progress, stops a hopeless scorer."""

    def __init__(
        self, scorers: Sequence[Scorer], channel: WorkerChannel, total: int, *, despite_health: bool
    ) -> None:
        self.pace = Pace()
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
        """Conversations for the next batch; the health is looked at in time."""
        missing = ENOUGH - self._done
        return min(self.pace.size, missing) if missing > 0 else self.pace.size

    def score(self, conversations: Sequence[ConversationTurns]) -> None:
        """One batch."""
        started = time.monotonic()
        tables: dict[str, Any] = {}
        for scorer in self._scorers:
            batch, tables[scorer.dimension] = score_rows(scorer, conversations)
            self._tallies[scorer.dimension].add(batch)
            self._tokens += sum(one.tokens(scorer.dimension) for one in conversations)
        taken = time.monotonic() - started
        self.pace.took(len(conversations), taken)
        self._seconds += taken
        self._channel.put(Part(tables, {"identity": _identity(self._scorers)}))
        self._done += len(conversations)
        self._channel.report(self._progress())
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
        if self._despite_health:
            return
        for scorer in self._scorers:
            if sentence := self._tallies[scorer.dimension].health.hopeless:
                raise HopelessScorerError(
                    f"{scorer.dimension} by {scorer.id}: {sentence}. Choose another "
                    "scorer, or start again with the setting to score despite its health"
                )


def loaded_scorers(parameters: Parameters) -> list[Scorer]:
    """The scorers that a job's parameters name, with their options."""
    from deita_core.models.options import ModelOptions
    from deita_core.scoring.catalogue import load_scorer

    options = parameters.get("options") or {}
    return [
        load_scorer(parameters[d], d, ModelOptions.from_json(options.get(d)))
        for d in DIMENSIONS
        if parameters.get(d)
    ]


def identity_of(scorer: Scorer) -> dict[str, Any]:
    """What tells a scorer apart from all others."""
    return {"id": scorer.id, "revision": scorer.revision, "parameters": dict(scorer.parameters)}


def _identity(scorers: Sequence[Scorer]) -> dict[str, Any]:
    return {scorer.dimension: identity_of(scorer) for scorer in scorers}


def _numbers(project: Project, identity: Parameters, *, activate: bool) -> dict[str, int]:
    return {
        dimension: register_scorer(
            project,
            dimension,
            model["id"],
            model["revision"],
            model["parameters"],
            activate=activate,
        )
        for dimension, model in identity.items()
    }
