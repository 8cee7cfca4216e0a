"""The job that scores every turn that has no score of the chosen scorers yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from deita_core.conversation import Conversation
from deita_core.jobs.desk import Desk
from deita_core.jobs.handover import Part
from deita_core.jobs.kind import Parameters
from deita_core.project import Project
from deita_core.project.scores import (
    add_scores,
    count_unscored,
    register_scorer,
    write_unscored,
)
from deita_core.scoring.protocol import DIMENSIONS, Scorer, TurnText

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 1024


class Score:
    """parameters: {"complexity": name, "quality": name} of scorers in the catalogue."""

    name = "score"
    label = "Score"
    unit = "conversations"

    def work(self, parameters: Parameters, desk: Desk) -> None:
        """Score batch by batch in row order."""
        import pyarrow.parquet as pq

        from deita_core.scoring.catalogue import load_scorer

        scorers = [load_scorer(parameters[d], d) for d in DIMENSIONS if d in parameters]
        folder, total = desk.get_input(_identity(scorers))
        done = 0
        desk.report(0, total, "scoring")
        with pq.ParquetFile(folder / "rows.parquet") as file:
            for batch in file.iter_batches(BATCH):
                desk.put(_score_batch(batch, scorers))
                done += batch.num_rows
                desk.report(done, total, "scoring")

    def prepare(
        self, project: Project, parameters: Parameters, identity: Parameters, folder: Path
    ) -> int:
        """Write the conversations that lack a score."""
        numbers = _numbers(project, identity)
        write_unscored(project, numbers, folder / "rows.parquet")
        return count_unscored(project, numbers)

    def commit(self, project: Project, parameters: Parameters, part: Part) -> None:
        """Scores of one batch, one table a dimension."""
        numbers = _numbers(project, part.meta["identity"])
        for dimension, table in part.tables.items():
            add_scores(project, numbers[dimension], table)

    def stopped(self, project: Project, parameters: Parameters) -> None:
        """What was committed stays; nothing to mark."""


def _identity(scorers: list[Scorer]) -> dict[str, Any]:
    return {
        s.dimension: {"id": s.id, "revision": s.revision, "parameters": dict(s.parameters)}
        for s in scorers
    }


def _numbers(project: Project, identity: Parameters) -> dict[str, int]:
    return {
        dimension: register_scorer(
            project, dimension, model["id"], model["revision"], model["parameters"]
        )
        for dimension, model in identity.items()
    }


def _score_batch(batch: Any, scorers: list[Scorer]) -> Part:
    rows, turns, texts = [], [], []
    columns = batch.to_pydict()
    for row, messages in zip(columns["row"], columns["messages"], strict=True):
        for turn in Conversation.from_json(messages).turns:
            rows.append(row)
            turns.append(turn.index)
            texts.append(TurnText(turn.instruction, turn.response))
    tables: dict[str, pa.Table] = {s.dimension: _table(s, rows, turns, texts) for s in scorers}
    return Part(tables, {"identity": _identity(scorers)})


def _table(scorer: Scorer, rows: list[int], turns: list[int], texts: list[TurnText]) -> pa.Table:
    import pyarrow as pa

    result = scorer.score(texts)
    return pa.table(
        {
            "row": pa.array(rows, pa.int32()),
            "turn": pa.array(turns, pa.int32()),
            # from_pandas turns NaN into NULL, which the table demands beside a reason.
            "score": pa.array(result.scores, pa.float32(), from_pandas=True),
            "reason": pa.array(result.reasons, pa.string()),
            "mass": _optional(result.mass, len(rows), pa.float32()),
            "truncated": _optional(result.truncated, len(rows), pa.bool_()),
        }
    )


def _optional(values: Any, length: int, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if values is None:
        return pa.nulls(length, kind)
    return pa.array(values, kind, from_pandas=True)
