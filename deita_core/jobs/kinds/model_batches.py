"""Conversations to a model in batches, and its results into the project.

Shared by the jobs that score, embed, try a model, and take scores from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from deita_core.conversation import Conversation
from deita_core.describe import approximate_tokens
from deita_core.embedding.protocol import Embedder
from deita_core.jobs.handover import Identities, Part
from deita_core.project import Project
from deita_core.project.models import ModelIdentity, Role, register_model
from deita_core.project.scores import add_scores
from deita_core.project.vectors import add_embeddings
from deita_core.scoring.protocol import Scorer, TurnText

# The end of a run: from here on its results count for selection.
FINISHED = Part(meta={"finished": True})


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


def commit_results(project: Project, identities: Identities, part: Part, *, activate: bool) -> None:
    """Put one batch, a table a role, into the project; may come twice.

    activate: once the run is finished, its models become the active ones. Not before: a run
    that is stopped early leaves the models in use as they are.
    """
    activate = activate and bool(part.meta.get("finished"))
    for role, identity in identities.items():
        number = register_model(project, role, identity, activate=activate)
        if role in part.tables:
            add = add_embeddings if role == "embedding" else add_scores
            add(project, number, part.tables[role])


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
                ConversationTurns(row, messages, _turns(messages))
                for row, messages in zip(columns["row"], columns["messages"], strict=True)
            ]
            yield BatchWindow(found, [one.characters for one in found], spread=spread)
            spread = False


def _turns(messages: str) -> tuple[TurnText, ...]:
    turns = Conversation.from_json(messages).turns
    return tuple(TurnText(turn.instruction, turn.response) for turn in turns)
