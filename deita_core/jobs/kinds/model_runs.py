"""The jobs that run a model over what it has not done yet: score every turn, embed every row.

Conversations go to the model in batches of like lengths; pilots and imported scores put their
results into the project the same way.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from deita_core.conversation import Conversation
from deita_core.describe import approximate_tokens
from deita_core.embedding.protocol import Embedder, Paced, text_for
from deita_core.errors import HopelessScorerError
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kind import JobSpec
from deita_core.models.answers import AnswerLog
from deita_core.models.batches import out_of_memory
from deita_core.models.endpoint import parts_of_name
from deita_core.models.options import ModelOptions
from deita_core.project import Project
from deita_core.project.job_log import Progress, ScorerNote
from deita_core.project.models import ModelIdentity, Role, register_model, write_undone
from deita_core.project.scores import add_scores
from deita_core.project.vectors import add_embeddings
from deita_core.scoring.health import ENOUGH, HealthTally
from deita_core.scoring.llm.endpoint import EndpointScorer
from deita_core.scoring.protocol import DIMENSIONS, Dimension, ScoreBatch, Scorer, TurnText, joined

if TYPE_CHECKING:
    import pyarrow as pa


def _without_secrets(name: str) -> str:
    kind, _, rest = name.partition(":")
    if kind == "endpoint":
        parts_of_name(rest)
    return name


# The name of a scorer, which the job log keeps; ModelError for an endpoint's URL with a password.
ScorerName = Annotated[str, AfterValidator(_without_secrets)]


class ModelJob(JobSpec):
    """A job whose batches hold what models gave: a table for each role."""

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        return write_undone(project, register(project, identities), folder / "rows.parquet")

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        """Put them into the project; at `FINISHED` the models become the active ones.

        Not before: a run that is stopped early leaves the models in use as they are.
        """
        for role, identity in identities.items():
            number = register_model(project, role, identity, activate=part.meta == FINISHED.meta)
            if role in part.tables:
                add = add_embeddings if role == "embedding" else add_scores
                add(project, number, part.tables[role])


# The last batch of a run whose results are to count for selection.
FINISHED = Part(meta={"finished": True})


class ScoreSpec(ModelJob):
    """Scores in batches of a few seconds each, of like lengths.

    complexity, quality: names of the catalogue; at least one. options: of their models.
    despite_health: go on with a scorer that looks hopeless after the first hundred turns.
    activate: their scores count for selection once all are there; without (and until then),
    only where there are no others.
    """

    kind = "score"
    label = "Score"
    unit = "conversations"

    complexity: ScorerName | None = None
    quality: ScorerName | None = None
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

    def work(self, channel: WorkerChannel) -> None:
        """Load the scorers, then score batch by batch; HopelessScorerError stops a bad one."""
        from deita_core.scoring.catalogue import load_scorer

        scorers = [
            load_scorer(name, d, self.options.get(d, ModelOptions()))
            for d, name in self.names.items()
        ]
        logs = _answer_logs(scorers, channel.folder)
        folder, total = channel.get_input({s.dimension: identity_of(s) for s in scorers})
        channel.report(Progress(stage="scoring", total=total))
        tallies = {scorer.dimension: HealthTally() for scorer in scorers}
        sizer, done, tokens, seconds = BatchSizer(), 0, 0, 1e-6
        for window in read_windows(folder / "rows.parquet"):
            while window:
                missing = ENOUGH - done  # the health is checked in time
                batch = window.take(min(sizer.size, missing) if missing > 0 else sizer.size)
                started = time.monotonic()
                tables: dict[str, pa.Table] = {}
                for scorer in scorers:
                    scores, tables[scorer.dimension] = score_rows(scorer, batch)
                    tallies[scorer.dimension].add(scores)
                    tokens += sum(one.tokens(scorer.dimension) for one in batch)
                taken = time.monotonic() - started
                sizer.took(len(batch), taken)
                seconds += taken
                done += len(batch)
                channel.put(Part(tables))
                for log in logs:
                    log.forget()
                channel.report(
                    Progress(
                        stage="scoring",
                        done=done,
                        total=total,
                        model_rate=done / seconds,
                        tokens_rate=tokens / seconds,
                        health=_notes(tallies),
                    )
                )
                if not self.despite_health:
                    _check_health(scorers, tallies)
        if self.activate:
            channel.put(FINISHED)


def _answer_logs(scorers: Sequence[Scorer], folder: Path) -> list[AnswerLog]:
    """Gives each scorer of an endpoint a file for its answers: a batch that a kill interrupts is
    not paid for again."""
    logs = []
    for scorer in scorers:
        if isinstance(scorer, EndpointScorer):
            scorer.log = AnswerLog(folder / f"answers-{scorer.dimension}.jsonl")
            logs.append(scorer.log)
    return logs


def _notes(tallies: Mapping[Dimension, HealthTally]) -> dict[str, ScorerNote]:
    verdicts = {d: tally.health.verdicts() for d, tally in tallies.items()}
    return {
        d: ScorerNote(level=found[0].level, sentence=found[0].sentence)
        for d, found in verdicts.items()
        if found
    }


def _check_health(scorers: Sequence[Scorer], tallies: Mapping[Dimension, HealthTally]) -> None:
    for scorer in scorers:
        if sentence := tallies[scorer.dimension].health.hopeless:
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
    counts = [len(one.turns) for one in conversations]

    def column(values: Any, kind: pa.DataType) -> pa.Array:
        # from_pandas turns NaN into NULL, which the table demands beside a reason.
        missing = values is None
        return pa.nulls(len(texts), kind) if missing else pa.array(values, kind, from_pandas=True)

    table = pa.table(
        {
            "row": pa.array(np.repeat([one.row for one in conversations], counts), pa.int32()),
            "turn": pa.array([turn for count in counts for turn in range(count)], pa.int32()),
            "score": column(result.scores, pa.float32()),
            "reason": pa.array(result.reasons, pa.string()),
            "mass": column(result.mass, pa.float32()),
            "truncated": column(result.truncated, pa.bool_()),
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


# Larger batches pad less (3 % faster); smaller ones show progress sooner. While a large pool is
# embedded there is time to compile what its map will need.
_BATCH, _LARGE_BATCH = 512, 2048
_LARGE_POOL = 20_000


class EmbedSpec(ModelJob):
    """Embeds batch by batch in row order.

    embedder: its name in the catalogue. activate: selection uses the vectors once all are there;
    without (and until then), only where there are no others.
    """

    kind = "embed"
    label = "Embed"
    unit = "conversations"

    embedder: str = "minilm"
    options: ModelOptions = ModelOptions()
    activate: bool = True

    def work(self, channel: WorkerChannel) -> None:
        import pyarrow.parquet as pq

        from deita_core.embedding.catalogue import load_embedder
        from deita_core.map.projection import compile_umap

        embedder = load_embedder(self.embedder, self.options)
        folder, total = channel.get_input({"embedding": identity_of(embedder)})
        channel.report(Progress(stage="embedding", total=total))
        size = _BATCH if total < _LARGE_POOL else _LARGE_BATCH
        size = embedder.rows_at_once if isinstance(embedder, Paced) else size
        done = 0
        with pq.ParquetFile(folder / "rows.parquet") as file:
            for batch in file.iter_batches(size):
                columns = batch.to_pydict()
                table = embed_rows(embedder, columns["row"], columns["messages"])
                channel.put(Part({"embedding": table}))
                # Once the embedder's own libraries are loaded: two threads that import the same
                # module wait for each other.
                if done == 0 and total >= _LARGE_POOL:
                    Thread(target=compile_umap).start()
                done += batch.num_rows
                channel.report(Progress(stage="embedding", done=done, total=total))
        if self.activate:
            channel.put(FINISHED)


def embed_rows(embedder: Embedder, rows: Sequence[int], messages: Sequence[str]) -> pa.Table:
    """The vectors of conversations (their messages as JSON), as `add_embeddings` takes them."""
    import pyarrow as pa

    result = embedder.embed([text_for(embedder, Conversation.from_json(m)) for m in messages])
    failed = np.array([reason is not None for reason in result.reasons])
    width = result.vectors.shape[1]
    good = np.ascontiguousarray(result.vectors[~failed])
    offsets = np.concatenate([[0], np.cumsum(np.where(failed, 0, width))]).astype(np.int32)
    vectors = pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(good.ravel(), pa.float32()), mask=pa.array(failed)
    )
    return pa.table(
        {
            "row": pa.array(rows, pa.int32()),
            "vector": vectors,
            "tokens": pa.array(result.tokens, pa.int32()),
            "truncated": pa.array(result.truncated, pa.bool_()),
            "reason": pa.array(result.reasons, pa.string()),
        }
    )


def identity_of(model: Scorer | Embedder) -> ModelIdentity:
    """What tells a loaded model apart from all others."""
    return ModelIdentity(
        id=model.id,
        revision=model.revision,
        parameters=model.parameters,
        width=model.dimension if isinstance(model.dimension, int) else None,
    )


def register(project: Project, identities: Identities) -> dict[Role, int]:
    """The numbers of models that are about to run; those in use stay in use."""
    return {r: register_model(project, r, i, activate=False) for r, i in identities.items()}


# Conversations read together to find some of like length.
WINDOW = 4096
_CLASSES = 16
_MOST_GROWTH = 4  # no batch is more than this many times the size of the one before

T = TypeVar("T")


class BatchSizer:
    """How much to hand to a model at once: `size` items take about `seconds`, after a few tries.

    A fixed number of rows is too much for a slow model (nothing is committed for minutes, and a
    cancel waits as long) and too little for a quick one.
    """

    def __init__(self, seconds: float = 5.0, first: int = 4, most: int = 2048) -> None:
        self._seconds = seconds
        self._most = most
        self.size = first

    def took(self, items: int, seconds: float) -> None:
        """That many items were done in that time."""
        fits = items * self._seconds / max(seconds, 1e-6)
        least, most = max(self.size / _MOST_GROWTH, 1), min(self.size * _MOST_GROWTH, self._most)
        self.size = int(min(max(fits, least), most))


class BatchWindow(Generic[T]):
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


@dataclass(frozen=True, slots=True)
class ConversationTurns:
    """The turns of a row, first to last, and its messages as JSON."""

    row: int
    messages: str
    turns: tuple[TurnText, ...]

    @staticmethod
    def of(row: int, messages: str) -> ConversationTurns:
        """From the messages as JSON."""
        turns = Conversation.from_json(messages).turns
        texts = tuple(TurnText(turn.instruction, turn.response) for turn in turns)
        return ConversationTurns(row, messages, texts)

    @property
    def characters(self) -> int:
        """Length of all turns."""
        return sum(len(t.instruction) + len(t.response or "") for t in self.turns)

    def tokens(self, role: Role) -> int:
        """About how many tokens a model of this role reads, without its prompt."""
        total = sum(approximate_tokens(t.instruction) for t in self.turns)
        if role == "quality":
            total += sum(approximate_tokens(t.response or "") for t in self.turns)
        return total


def read_windows(path: Path) -> Iterator[BatchWindow[ConversationTurns]]:
    """The conversations of a file of row and messages, some thousand at a time."""
    import pyarrow.parquet as pq

    spread = True
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(WINDOW, columns=["row", "messages"]):
            columns = batch.to_pydict()
            found = [
                ConversationTurns.of(row, messages)
                for row, messages in zip(columns["row"], columns["messages"], strict=True)
            ]
            yield BatchWindow(found, [one.characters for one in found], spread=spread)
            spread = False
