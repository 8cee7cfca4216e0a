"""Writes a selection in the format a trainer takes: streamed, atomic, the same bytes each time.

Every row written reads back as the same conversation (the same `Conversation.id`). A row that a
format cannot express is left out and named in the report; a row that a trainer would drop is
written and counted in the report's warnings.

id, scores and source go into the file by default where trainers ignore fields they do not know
(LLaMA-Factory reads the columns listed in dataset_info.json, TRL and axolotl drop the rest).
OpenAI refuses a file with an unknown field, so there they are left out unless asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from deita_core.errors import ExportError
from deita_core.files import sha256_of, whole_file
from deita_core.formats.write.export_format import (
    ExportFormat,
    ExportRow,
    NotExpressibleError,
    Sink,
    TrainerWarning,
    WriteReport,
)
from deita_core.formats.write.records import (
    ALPACA,
    CSV,
    OPENAI,
    ORIGINAL,
    PARQUET,
    SHAREGPT,
)
from deita_core.formats.write.trainers import OPENAI_LEAST_ROWS

__all__ = [
    "EXPORT_FORMATS",
    "ExportFormat",
    "ExportRow",
    "TrainerWarning",
    "WriteReport",
    "export_format",
    "write",
]

EXPORT_FORMATS: MappingProxyType[str, ExportFormat] = MappingProxyType(
    {kind.key: kind for kind in (SHAREGPT, ALPACA, OPENAI, PARQUET, CSV, ORIGINAL)}
)


def export_format(key: str) -> ExportFormat:
    """The format of that key. Raises ExportError naming the known ones."""
    found = EXPORT_FORMATS.get(key)
    if found is None:
        raise ExportError(f"unknown export format {key!r}: use one of {', '.join(EXPORT_FORMATS)}")
    return found


def write(
    rows: Iterable[ExportRow], format: str, out: Path, *, with_scores: bool | None = None
) -> WriteReport:
    """Writes `rows` to `out` in the order given; memory does not grow with their number.

    format: a key of EXPORT_FORMATS. with_scores: also write id, scores and source of each row;
    None is the format's default ("original" never has them). An existing file is replaced only
    when the new one is complete. Raises ExportError for an unknown format or an `out` that
    cannot be written.
    """
    chosen = export_format(format)
    scores = chosen.scores_by_default if with_scores is None else with_scores
    try:
        with whole_file(out) as part:
            with part.open("wb") as file:
                tally = _fill(file, rows, chosen, scores)
            digest, size = sha256_of(part), part.stat().st_size
    except OSError as error:
        raise ExportError(
            f"cannot write {out}: {error.strerror or error}; choose another folder or free space"
        ) from error
    return WriteReport(
        rows_written=tally.rows,
        skipped=tuple(tally.skipped),
        warnings=tally.warnings(chosen),
        fields=frozenset(tally.fields),
        bytes=size,
        sha256=digest,
    )


class _Tally:
    """What has been written so far."""

    def __init__(self) -> None:
        self.rows = 0
        self.skipped: list[tuple[str, str]] = []
        self.problems: Counter[tuple[str, str]] = Counter()
        self.fields: set[str] = set()

    def warnings(self, format: ExportFormat) -> tuple[TrainerWarning, ...]:
        """One per trainer and reason, in a fixed order."""
        found = [TrainerWarning(t, reason, n) for (t, reason), n in sorted(self.problems.items())]
        if "OpenAI" in format.trainers and self.rows < OPENAI_LEAST_ROWS:
            reason = f"in the file, and fine-tuning asks for at least {OPENAI_LEAST_ROWS}"
            found.append(TrainerWarning("OpenAI", reason, self.rows))
        return tuple(found)


def _fill(
    file: BinaryIO, rows: Iterable[ExportRow], format: ExportFormat, with_scores: bool
) -> _Tally:
    tally = _Tally()
    sink = format.sink(file, with_scores)
    try:
        for row in rows:
            _write_row(row, sink, format, with_scores, tally)
    finally:
        sink.close()
    return tally


def _write_row(
    row: ExportRow, sink: Sink, format: ExportFormat, with_scores: bool, tally: _Tally
) -> None:
    try:
        record = format.complete_record(row, with_scores)
    except NotExpressibleError as refusal:
        tally.skipped.append((row.id, str(refusal)))
        return
    sink.add(record)
    tally.rows += 1
    if format.mapping is not None:
        tally.fields |= {name for name, value in record.items() if value not in (None, "", [])}
    for check in format.checks:
        problem = check.problem(row.conversation)
        if problem is not None:
            tally.problems[check.trainer, problem] += 1
