"""Scores from elsewhere into the project, from a file or columns of the pool, and out to a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import field_validator

from deita_core.errors import ExportError, JobError
from deita_core.files import sha256_of
from deita_core.formats.read.layout import Reject
from deita_core.formats.score_file import SCORE_FORMATS, ScoreRow, read_scores, write_scores
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kind import OutPath
from deita_core.jobs.kinds.model_runs import FINISHED, ModelJob
from deita_core.jobs.outputs import OutputSpec, output_file
from deita_core.project import Project
from deita_core.project.columns import write_column
from deita_core.project.job_log import Progress
from deita_core.project.models import ModelIdentity, Role
from deita_core.project.scores import write_scored_rows, write_turn_scores
from deita_core.scoring.protocol import Dimension

if TYPE_CHECKING:
    import pyarrow as pa


# What a value means: one number stands for the whole conversation, as the score of its first turn.
# A list has one number for each turn; one of another length cannot be told apart turn by turn.
# Numbers may be written as text; truth values, other texts, NaN and infinity are no scores.
FIRST_TURN_ONLY = "given for the whole conversation: it stands at the first turn"
MISSING = "no value is given"
NOT_FINITE = "the value is not a finite number"
GivenScore = tuple[float | None, str | None]
_LARGEST = 3.0e38  # of float32, in which scores are kept


def scores_of_turns(value: object, turns: int) -> list[GivenScore]:
    """(score, None) or (None, reason) for each of the turns of a conversation."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, list):
        if len(value) != turns:
            return [(None, f"{len(value)} values are given for {turns} turns")] * turns
        return [score_of(item) for item in value]
    first = score_of(value)
    rest = (None, FIRST_TURN_ONLY if first[1] is None else first[1])
    return [first, *[rest] * (turns - 1)][:turns]


def score_of(value: object) -> GivenScore:
    """(score, None) for a number, or (None, reason)."""
    if value is None or value == "":
        return None, MISSING
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        number = float(value)
    except (ValueError, OverflowError):
        text = json.dumps(value, ensure_ascii=False, default=str)
        return None, f"not a number: {text if len(text) <= 40 else text[:39] + '…'}"
    return (number, None) if abs(number) <= _LARGEST else (None, NOT_FINITE)


class _PoolRow(NamedTuple):
    """A conversation: its content hash, and by dimension the value of the column asked for."""

    row: int
    id: str
    turns: int
    columns: Mapping[str, object]


UNKNOWN = "no conversation of the pool is the same"
REPEATED = "its conversation has a value already"
NO_SUCH_TURN = "its conversation has no such turn"

# Dimension -> row -> what each of its turns gets.
_Given = dict[str, dict[int, list[GivenScore]]]


def _match_file(
    path: Path, fields: Mapping[str, str], pool: Sequence[_PoolRow], channel: WorkerChannel
) -> tuple[_Given, str]:
    """Match every record of a file with the pool, by id or by content; the counts in words.

    Of several records about the same conversation (or turn) the first counts. Raises JobError
    when none matches, with what was wrong.
    """
    known = {one.id: one for one in pool}
    given: _Given = {d: {} for d in fields}
    seen: set[tuple[int, int | None]] = set()
    left_out: dict[str, list[int]] = {}
    for number, item in enumerate(read_scores(path, fields)):
        if number % 1000 == 0:
            channel.report(Progress(stage="reading", done=number, item=path.name, item_done=number))
        if isinstance(item, Reject):
            left_out.setdefault(item.reason, []).append(item.position)
            continue
        one = known.get(item.id)
        reason = UNKNOWN if one is None else _against(item, one, seen)
        if one is None or reason:
            left_out.setdefault(reason or UNKNOWN, []).append(item.position)
            continue
        seen.add((one.row, item.turn))
        for dimension, value in item.values.items():
            if item.turn is None:
                given[dimension].setdefault(one.row, scores_of_turns(value, one.turns))
            else:
                missing = [score_of(None)] * one.turns
                given[dimension].setdefault(one.row, missing)[item.turn] = score_of(value)
    rows = len({row for row, _ in seen})
    said = _counts(len(seen), left_out, len(pool) - rows)
    if not rows:
        raise JobError(f"nothing of {path.name} belongs to this pool: {said}")
    return given, said


def _against(item: ScoreRow, one: _PoolRow, seen: set[tuple[int, int | None]]) -> str | None:
    """Why a record about this conversation is left out, or None."""
    if item.turn is not None and item.turn >= one.turns:
        return NO_SUCH_TURN
    return REPEATED if {(one.row, item.turn), (one.row, None)} & seen else None


def _counts(matched: int, left_out: Mapping[str, Sequence[int]], absent: int) -> str:
    """What became of the records, by reason; the counts add up to the records read."""
    read = matched + sum(map(len, left_out.values()))
    parts = [f"{read:,} records read", f"{matched:,} matched"]
    for reason, places in sorted(left_out.items(), key=lambda item: -len(item[1])):
        first = f"record {places[0] + 1:,}"
        parts.append(f"{len(places):,} left out: {reason} (first: {first})")
    return "; ".join([*parts, f"{absent:,} conversations of the pool are not in it"])


BATCH = 20_000


class ImportScoresSpec(ModelJob):
    """Matches values with the turns of the pool; every turn gets a score or a reason.

    The scorer is called "column:NAME" or "import:FILE#FIELD"; its revision is a hash of the values.
    fields: by dimension, the field of the file, or without a file the column of the pool.
    activate: the scores become the active ones of their dimension.
    """

    kind = "import_scores"
    label = "Import scores"
    unit = "conversations"

    fields: Mapping[Dimension, str]
    file: OutPath | None = None
    activate: bool = True

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write which conversations there are, and the columns asked for."""
        columns = {} if self.file else self.fields
        return write_column(project, dict(columns.items()), folder / "rows.parquet")

    def work(self, channel: WorkerChannel) -> None:
        folder, total = channel.get_input()
        channel.report(Progress(stage="reading", total=total))
        pool = list(_pool(folder / "rows.parquet"))
        result: list[str] = []
        given: _Given = {}
        identities: dict[Role, ModelIdentity] = {}
        absent = MISSING if self.file is None else f"not in {self.file.name}"
        if self.file is None:
            for d, column in self.fields.items():
                given[d] = {p.row: scores_of_turns(p.columns[d], p.turns) for p in pool}
                identities[d] = ModelIdentity(id=f"column:{column}", revision=_hash(pool, d))
        else:
            given, said = _match_file(self.file, dict(self.fields.items()), pool, channel)
            result.append(said)
            source, revision = f"import:{self.file.name}", sha256_of(self.file)[:32]
            for d, field in self.fields.items():
                identities[d] = ModelIdentity(id=f"{source}#{field}", revision=revision)
        channel.set_identities(identities)
        counts = dict.fromkeys(given, 0)
        for start in range(0, len(pool), BATCH):
            rows = pool[start : start + BATCH]
            tables = {role: _table(rows, scores, absent) for role, scores in given.items()}
            for role, table in tables.items():
                counts[role] += len(table) - table["score"].null_count
            channel.put(Part(tables))
            channel.report(Progress(stage="matching", done=start + len(rows), total=total))
        if self.activate:
            channel.put(FINISHED)
        result += [f"{role}: {count:,} turns scored" for role, count in counts.items()]
        channel.report(Progress(done=total, total=total, result=tuple(result)))


def _pool(path: Path) -> Iterator[_PoolRow]:
    """Every conversation, with the values of its columns where some were asked for."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH):
            for row in batch.to_pylist():
                number, identity, turns = row.pop("row"), row.pop("id"), row.pop("turns")
                columns = {d: None if v is None else json.loads(v) for d, v in row.items()}
                yield _PoolRow(number, identity, turns, columns)


def _hash(pool: Sequence[_PoolRow], dimension: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for one in pool:
        digest.update(f"{one.id} {one.columns[dimension]!r}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _table(
    rows: Sequence[_PoolRow], given: Mapping[int, list[GivenScore]], absent: str
) -> pa.Table:
    """row, turn, score, reason of every turn of these conversations."""
    import pyarrow as pa

    turns = [(one.row, turn) for one in rows for turn in range(one.turns)]
    none = [(None, absent)]
    scores = [score for one in rows for score in given.get(one.row, none * one.turns)]
    return pa.table(
        {
            "row": pa.array([row for row, _ in turns], pa.int32()),
            "turn": pa.array([turn for _, turn in turns], pa.int32()),
            "score": pa.array([score for score, _ in scores], pa.float32()),
            "reason": pa.array([reason for _, reason in scores], pa.string()),
        }
    )


class ExportScoresSpec(OutputSpec):
    """Writes the active scores; the file appears whole or not at all.

    format: one of `SCORE_FORMATS` (see `write_scores`); ExportError for another one.
    """

    kind = "export_scores"
    label = "Export scores"
    unit = "rows"

    format: str = "deita"

    @field_validator("format")
    @classmethod
    def _is_known(cls, format: str) -> str:
        if format not in SCORE_FORMATS:
            raise ExportError(f"scores are written as {', '.join(SCORE_FORMATS)}, got {format!r}")
        return format

    def bytes_needed(self, project: Project) -> int:
        """In the reference's format the texts, else a line a turn."""
        if self.format == "deita":
            return project.number("SELECT sum(strlen(messages)) FROM conversations")
        return project.number("SELECT count(*) FROM turns") * 100

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write the scores, and for the reference's format the conversations."""
        self.write_kept(project, folder)
        write_input = write_scored_rows if self.format == "deita" else write_turn_scores
        return write_input(project, folder / "rows.parquet")

    def work(self, channel: WorkerChannel) -> None:
        folder, total = channel.get_input()

        def tell(done: int) -> None:
            channel.report(Progress(stage="writing", done=done, total=total))

        with output_file(self.out) as partial:
            said = write_scores(folder / "rows.parquet", self.format, partial, tell)
            size = partial.stat().st_size
            self.check_again(folder, partial)
        result = (f"{said}, {size:,} bytes",)
        channel.report(Progress(done=total, total=total, result=result))
