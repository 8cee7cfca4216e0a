"""Scores from elsewhere into the project, from a file or columns of the pool, and out to a file."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import field_validator

from deita_core.errors import ExportError, JobError
from deita_core.files import sha256_of
from deita_core.formats.read.layout import Reject
from deita_core.formats.score_file import SCORE_FORMATS, ScoreRow, read_scores, write_scores
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kind import JobKind, JobSpec, OutPath
from deita_core.jobs.kinds.model_batches import FINISHED, commit_results
from deita_core.project import Project
from deita_core.project.columns import write_column
from deita_core.project.job_log import Progress
from deita_core.project.models import ModelIdentity
from deita_core.project.scores import write_scored_rows, write_turn_scores
from deita_core.scoring.given import GivenScore, scores_by_turn, scores_of_turns
from deita_core.scoring.protocol import Dimension

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class PoolRowKey:
    """A conversation of the pool: its row, its content hash, how many turns it has."""

    row: int
    id: str
    turns: int


@dataclass(frozen=True, slots=True)
class Matched:
    """What is given to which rows of the pool.

    by_turn: dimension -> row -> turn -> value, from records about one turn. values: dimension ->
    row -> value, from records about a whole conversation. matched: rows of the pool that were
    found. said: the counts in words.
    """

    by_turn: Mapping[str, Mapping[int, Mapping[int, object]]]
    values: Mapping[str, Mapping[int, object]]
    matched: int
    said: str


@dataclass(slots=True)
class _Tally:
    """What became of the records of a file: each is matched, unknown, repeated or bad."""

    matched: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def leave_out(self, reason: str, position: int) -> None:
        self.left_out[reason] += 1
        self.first.setdefault(reason, f"record {position + 1:,}")

    def sentence(self, rows: int, pool: int) -> str:
        """The counts in words; they add up to the records read."""
        read = self.matched + self.left_out.total()
        parts = [f"{read:,} records read", f"{self.matched:,} matched"]
        for reason, count in self.left_out.most_common():
            parts.append(f"{count:,} left out: {reason} (first: {self.first[reason]})")
        return "; ".join([*parts, f"{pool - rows:,} conversations of the pool are not in it"])


UNKNOWN = "no conversation of the pool is the same"
REPEATED = "its conversation has a value already"
NO_SUCH_TURN = "its conversation has no such turn"


def match_file(
    path: Path, fields: Mapping[str, str], pool: Sequence[PoolRowKey], channel: WorkerChannel
) -> Matched:
    """Match every record of a file with the pool, by id or by content.

    Of several records about the same conversation (or turn) the first counts. Raises JobError
    when none matches, with what was wrong.
    """
    known = {key.id: key for key in pool}
    by_turn: dict[str, dict[int, dict[int, object]]] = {d: {} for d in fields}
    values: dict[str, dict[int, object]] = {d: {} for d in fields}
    seen: set[tuple[int, int | None]] = set()
    tally = _Tally()
    for number, item in enumerate(read_scores(path, fields)):
        if number % 1000 == 0:
            channel.report(Progress(stage="reading", done=number, item=path.name, item_done=number))
        if isinstance(item, Reject):
            tally.leave_out(item.reason, item.position)
            continue
        key = known.get(item.id)
        if reason := _against(item, key, seen):
            tally.leave_out(reason, item.position)
        elif key is not None:
            tally.matched += 1
            seen.add((key.row, item.turn))
            for dimension, value in item.values.items():
                if item.turn is None:
                    values[dimension][key.row] = value
                else:
                    by_turn[dimension].setdefault(key.row, {})[item.turn] = value
    rows = len({row for row, _ in seen})
    said = tally.sentence(rows, len(pool))
    if not rows:
        raise JobError(f"nothing of {path.name} belongs to this pool: {said}")
    return Matched(by_turn, values, rows, said)


def _against(
    item: ScoreRow, key: PoolRowKey | None, seen: set[tuple[int, int | None]]
) -> str | None:
    """Why a record is left out, or None."""
    if key is None:
        return UNKNOWN
    if item.turn is not None and item.turn >= key.turns:
        return NO_SUCH_TURN
    if (key.row, item.turn) in seen or (key.row, None) in seen:
        return REPEATED
    return None


BATCH = 20_000


class ImportScoresSpec(JobSpec):
    """fields: by dimension, the field of the file, or without a file the column of the pool.

    activate: the scores become the active ones of their dimension.
    """

    kind: ClassVar[str] = "import_scores"

    fields: Mapping[Dimension, str]
    file: OutPath | None = None
    activate: bool = True


class ImportScores(JobKind[ImportScoresSpec]):
    """Matches values with the turns of the pool; every turn gets a score or a reason.

    The scorer is called "column:NAME" or "import:FILE#FIELD"; its revision is a hash of the values.
    """

    spec = ImportScoresSpec
    label = "Import scores"
    unit = "conversations"

    def work(self, spec: ImportScoresSpec, channel: WorkerChannel) -> None:
        """Match, then hand over batch by batch."""
        folder, total = channel.get_input()
        fields = {str(d): field for d, field in spec.fields.items()}
        channel.report(Progress(stage="reading", total=total))
        pool = list(_pool(folder / "rows.parquet", fields))
        if spec.file is None:
            values = {d: {key.row: given[d] for key, given in pool} for d in fields}
            found = Matched({}, values, len(pool), "")
            names = {d: f"column:{field}" for d, field in fields.items()}
            revisions = {d: _hash(pool, d) for d in fields}
            absent = "no value is given"
        else:
            file = spec.file
            found = match_file(file, fields, [key for key, _ in pool], channel)
            names = {d: f"import:{file.name}#{field}" for d, field in fields.items()}
            revisions = dict.fromkeys(fields, sha256_of(file)[:32])
            absent = f"not in {file.name}"
        channel.set_identities(
            {d: ModelIdentity(id=names[d], revision=revisions[d]) for d in spec.fields}
        )
        counts = dict.fromkeys(fields, 0)
        for start in range(0, len(pool), BATCH):
            keys = [key for key, _ in pool[start : start + BATCH]]
            tables = {d: _table(keys, found, d, absent) for d in fields}
            for d, table in tables.items():
                counts[d] += len(table) - table["score"].null_count
            channel.put(Part(tables))
            channel.report(Progress(stage="matching", done=start + len(keys), total=total))
        channel.put(FINISHED)
        said = [f"{d}: {count:,} turns scored" for d, count in counts.items()]
        result = (*([found.said] if found.said else []), *said)
        channel.report(Progress(done=total, total=total, result=result))

    def prepare(
        self, project: Project, spec: ImportScoresSpec, identities: Identities, folder: Path
    ) -> int:
        """Write which conversations there are, and the columns asked for."""
        columns = spec.fields if spec.file is None else {}
        names = {str(d): column for d, column in columns.items()}
        return write_column(project, names, folder / "rows.parquet")

    def commit(
        self, project: Project, spec: ImportScoresSpec, identities: Identities, part: Part
    ) -> None:
        """Scores of one batch, one table a dimension."""
        commit_results(project, identities, part, activate=spec.activate)


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


class ExportScoresSpec(JobSpec):
    """format: one of `SCORE_FORMATS` (see `write_scores`); ExportError for another one."""

    kind: ClassVar[str] = "export_scores"

    out: OutPath
    format: str = "deita"

    @field_validator("format")
    @classmethod
    def _is_known(cls, format: str) -> str:
        if format not in SCORE_FORMATS:
            raise ExportError(f"scores are written as {', '.join(SCORE_FORMATS)}, got {format!r}")
        return format


class ExportScores(JobKind[ExportScoresSpec]):
    """Writes the active scores; the file appears whole or not at all."""

    spec = ExportScoresSpec
    label = "Export scores"
    unit = "rows"

    def work(self, spec: ExportScoresSpec, channel: WorkerChannel) -> None:
        """Write the file."""
        folder, total = channel.get_input()
        out = spec.out

        def tell(done: int) -> None:
            channel.report(Progress(stage="writing", done=done, total=total))

        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            said = write_scores(folder / "rows.parquet", spec.format, out, tell)
        except OSError as error:
            raise JobError(f"{out} cannot be written: {error}") from error
        result = (f"{said}, {out.stat().st_size:,} bytes",)
        channel.report(Progress(done=total, total=total, result=result))

    def prepare(
        self, project: Project, spec: ExportScoresSpec, identities: Identities, folder: Path
    ) -> int:
        """Write the scores, and for the reference's format the conversations."""
        if spec.format == "deita":
            return write_scored_rows(project, folder / "rows.parquet")
        return write_turn_scores(project, folder / "rows.parquet")

    def commit(
        self, project: Project, spec: ExportScoresSpec, identities: Identities, part: Part
    ) -> None:
        """An export hands over no batches."""
