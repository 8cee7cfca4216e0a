"""Writes a selection in the format a trainer takes: streamed, atomic, the same bytes each time.

A row that a format cannot express is left out and named in the report; one that a trainer would
drop is written and counted in its warnings.

id, scores and source go into the file by default where trainers ignore fields they do not know
(LLaMA-Factory reads the columns listed in dataset_info.json, TRL and axolotl drop the rest).
OpenAI refuses a file with an unknown field, so there they are left out unless asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import MappingProxyType

from deita_core.errors import ExportError
from deita_core.files import sha256_of, whole_file
from deita_core.formats.write.export_format import (
    DECISION_FIELDS,
    SCORE_FIELDS,
    ExportFormat,
    ExportRow,
    JsonObject,
    NotExpressibleError,
    TrainerWarning,
    WriteReport,
)
from deita_core.formats.write.records import ALPACA, CSV, OPENAI, ORIGINAL, PARQUET, SHAREGPT
from deita_core.formats.write.trainers import OPENAI_LEAST_ROWS

__all__ = ["EXPORT_FORMATS", "ExportRow", "WriteReport", "export_format", "write", "write_rows"]

EXPORT_FORMATS: MappingProxyType[str, ExportFormat] = MappingProxyType(
    {kind.key: kind for kind in (SHAREGPT, ALPACA, OPENAI, PARQUET, CSV, ORIGINAL)}
)


_NO_REASONING = (
    "without the reasoning, for which the format has no place: the OpenAI export has one"
)


def export_format(key: str) -> ExportFormat:
    """The format of that key. Raises ExportError naming the known ones."""
    found = EXPORT_FORMATS.get(key)
    if found is None:
        raise ExportError(f"unknown export format {key!r}: use one of {', '.join(EXPORT_FORMATS)}")
    return found


def write(
    rows: Iterable[ExportRow],
    format: str,
    out: Path,
    *,
    with_scores: bool | None = None,
    with_decisions: bool = False,
) -> WriteReport:
    """Writes `rows` to `out`, whole or not at all, in the order given and streamed.

    format: a key of EXPORT_FORMATS. with_scores: also write id, scores and source of each row;
    None is the format's default ("original" never has them). with_decisions: also what people made
    of each, which the rows then must hold. Raises ExportError for an unknown format or an `out`
    that cannot be written.
    """
    try:
        with whole_file(out) as part:
            return write_rows(
                rows, format, part, with_scores=with_scores, with_decisions=with_decisions
            )
    except OSError as error:
        raise ExportError(
            f"cannot write {out}: {error.strerror or error}; choose another folder or free space"
        ) from error


def write_rows(
    rows: Iterable[ExportRow],
    format: str,
    part: Path,
    *,
    with_scores: bool | None = None,
    with_decisions: bool = False,
) -> WriteReport:
    """`write` into a file that is there already, such as one of `whole_file`. Raises OSError."""
    chosen = export_format(format)
    scores = chosen.scores_by_default if with_scores is None else with_scores
    tally = _Tally(chosen)
    with part.open("wb") as file:
        beside = (SCORE_FIELDS if scores else {}) | (DECISION_FIELDS if with_decisions else {})
        chosen.write(file, tally.records(rows, scores), beside)
    return WriteReport(
        tally.rows,
        tuple(tally.skipped),
        tally.warnings(),
        frozenset(tally.fields),
        part.stat().st_size,
        sha256_of(part),
    )


class _Tally:
    """Counts the records as they are written."""

    def __init__(self, format: ExportFormat) -> None:
        self._format = format
        self._problems: Counter[tuple[str, str]] = Counter()
        self.rows = 0
        self.skipped: list[tuple[str, str]] = []
        self.fields: set[str] = set()

    def records(self, rows: Iterable[ExportRow], with_scores: bool) -> Iterator[JsonObject]:
        """The record of each row that has one."""
        for row in rows:
            try:
                record = self._format.complete_record(row, with_scores)
            except NotExpressibleError as refusal:
                self.skipped.append((row.id, str(refusal)))
                continue
            yield record
            self.rows += 1
            if self._format.mapping is not None:
                self.fields |= {name for name, v in record.items() if v not in (None, "", [])}
            if change := self._format.change(row):
                self._problems["JSON", change] += 1
            if (
                not self._format.reasoning
                and row.conversation.without_reasoning != row.conversation
            ):
                self._problems[self._format.label, _NO_REASONING] += 1
            for trainer, check in self._format.checks.items():
                if problem := check(row.conversation):
                    self._problems[trainer, problem] += 1

    def warnings(self) -> tuple[TrainerWarning, ...]:
        """One per trainer and reason, in a fixed order."""
        found = [TrainerWarning(t, reason, n) for (t, reason), n in sorted(self._problems.items())]
        if "OpenAI" in self._format.trainers and self.rows < OPENAI_LEAST_ROWS:
            reason = f"in the file, and fine-tuning asks for at least {OPENAI_LEAST_ROWS}"
            found.append(TrainerWarning("OpenAI", reason, self.rows))
        return tuple(found)
