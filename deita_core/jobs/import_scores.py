"""The job that takes scores from elsewhere: from a column of the pool, or from a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from deita_core.formats.checksum import sha256_of
from deita_core.jobs.desk import Desk
from deita_core.jobs.handover import Part
from deita_core.jobs.kind import Parameters
from deita_core.jobs.score_matching import Matched, PoolRowKey, match_file
from deita_core.project import Project
from deita_core.project.columns import write_column
from deita_core.project.scores import add_scores, register_scorer
from deita_core.scoring.given import GivenScore, scores_by_turn, scores_of_turns

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 20_000


class ImportScores:
    """parameters: {"fields": {dimension: column or field}, "file": path, or None for columns of
    the pool}. The scorer is called "column:NAME" or "import:FILE#FIELD", its revision is a hash
    of the values. "activate": false leaves the scorers that count for selection as they are."""

    name = "import_scores"
    label = "Import scores"
    unit = "conversations"

    def work(self, parameters: Parameters, desk: Desk) -> None:
        """Match the values with the turns of the pool; every turn gets a score or a reason."""
        folder, total = desk.get_input({})
        fields: dict[str, str] = parameters["fields"]
        desk.report(0, total, "reading")
        pool = list(_pool(folder / "rows.parquet", fields))
        if parameters["file"] is None:
            values = {d: {key.row: given[d] for key, given in pool} for d in fields}
            found = Matched({}, values, len(pool), "")
            names = {d: f"column:{field}" for d, field in fields.items()}
            revisions = {d: _hash(pool, d) for d in fields}
            absent = "no value is given"
        else:
            file = Path(parameters["file"])
            found = match_file(file, fields, [key for key, _ in pool], desk)
            names = {d: f"import:{file.name}#{field}" for d, field in fields.items()}
            revisions = dict.fromkeys(fields, sha256_of(file)[:32])
            absent = f"not in {file.name}"
        identity = {d: {"id": names[d], "revision": revisions[d], "parameters": {}} for d in fields}
        counts = dict.fromkeys(fields, 0)
        for start in range(0, len(pool), BATCH):
            keys = [key for key, _ in pool[start : start + BATCH]]
            tables = {d: _table(keys, found, d, absent) for d in fields}
            for d, table in tables.items():
                counts[d] += len(table) - table["score"].null_count
            desk.put(Part(tables, {"identity": identity, "first": start == 0}))
            desk.report(start + len(keys), total, "matching")
        said = [f"{d}: {count:,} turns scored" for d, count in counts.items()]
        desk.report(total, total, "; ".join([*([found.said] if found.said else []), *said]))

    def prepare(
        self, project: Project, parameters: Parameters, identity: Parameters, folder: Path
    ) -> int:
        """Write which conversations there are, and the columns asked for."""
        from_pool = parameters["file"] is None
        columns = dict(parameters["fields"]) if from_pool else {}
        return write_column(project, columns, folder / "rows.parquet")

    def commit(self, project: Project, parameters: Parameters, part: Part) -> None:
        """Scores of one batch, one table a dimension."""
        for dimension, model in part.meta["identity"].items():
            number = register_scorer(
                project,
                dimension,
                model["id"],
                model["revision"],
                model["parameters"],
                activate=part.meta["first"] and parameters.get("activate", True),
            )
            add_scores(project, number, part.tables[dimension])

    def stopped(self, project: Project, parameters: Parameters) -> None:
        """What was committed stays; nothing to mark."""


def _pool(path: Path, fields: Mapping[str, str]) -> Iterator[tuple[PoolRowKey, dict[str, object]]]:
    """Every conversation, and the values of its columns, where columns were asked for."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH):
            for row in batch.to_pylist():
                given = {d: row.get(d) for d in fields}
                yield (
                    PoolRowKey(row["row"], row["id"], row["turns"]),
                    {d: None if v is None else json.loads(v) for d, v in given.items()},
                )


def _hash(pool: list[tuple[PoolRowKey, dict[str, object]]], dimension: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for key, values in pool:
        digest.update(f"{key.id} {values[dimension]!r}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _table(keys: list[PoolRowKey], found: Matched, dimension: str, absent: str) -> pa.Table:
    """row, turn, score, reason of every turn of these conversations."""
    import pyarrow as pa

    rows: list[int] = []
    turns: list[int] = []
    given: list[GivenScore] = []
    for key in keys:
        scores = _scores(key, found, dimension, absent)
        rows += [key.row] * key.turns
        turns += range(key.turns)
        given += scores
    return pa.table(
        {
            "row": pa.array(rows, pa.int32()),
            "turn": pa.array(turns, pa.int32()),
            "score": pa.array([score for score, _ in given], pa.float32()),
            "reason": pa.array([reason for _, reason in given], pa.string()),
        }
    )


def _scores(key: PoolRowKey, found: Matched, dimension: str, absent: str) -> list[GivenScore]:
    by_turn = found.by_turn.get(dimension, {}).get(key.row)
    if by_turn is not None:
        return scores_by_turn(by_turn, key.turns)
    values = found.values.get(dimension, {})
    if key.row not in values:
        return [(None, absent)] * key.turns
    return scores_of_turns(values[key.row], key.turns)
