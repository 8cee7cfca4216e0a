"""Conversations as scorers see them, and their scores as tables: shared by score and pilot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deita_core.conversation import Conversation
from deita_core.describe import approximate_tokens
from deita_core.language_models.token_batches import out_of_memory
from deita_core.scoring.protocol import Dimension, ScoreBatch, Scorer, TurnText, joined

if TYPE_CHECKING:
    import pyarrow as pa

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
