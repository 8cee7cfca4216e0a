"""From what people decided to preference rows: verdicts as KTO, corrected answers as DPO."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deita_core.conversation import Conversation
from deita_core.errors import ReviewError
from deita_core.formats.write.export_format import JsonObject, NotExpressibleError
from deita_core.formats.write.preferences import (
    Labelled,
    PreferenceKind,
    PreferenceLayout,
    check_preferences,
    dpo_record,
    kto_record,
    pairs_of_edit,
    preference_info,
)
from deita_core.formats.write.trainers import check_dataset_info, merge_dataset_info
from deita_core.jobs.outputs import output_file
from deita_core.project import Project
from deita_core.project.ledger import row_text
from deita_core.project.queues import answers
from deita_core.review.answers import effect_of

INFO: Final = "dataset_info.json"


@dataclass(frozen=True, slots=True)
class PreferenceFile:
    """What was written. left_out: how many rows for each reason; undecided: of a queue, by rule."""

    kind: PreferenceKind
    rows: int
    wanted: int
    left_out: dict[str, int]
    undecided: int = 0

    def sentence(self) -> str:
        """The counts in words."""
        said = f"{self.rows:,} {self.kind.upper()} rows"
        if self.kind == "kto":
            said += f", {self.wanted:,} wanted and {self.rows - self.wanted:,} not"
        if self.undecided:
            said += f"; {self.undecided:,} rows without a clear verdict left out"
        for reason, rows in self.left_out.items():
            said += f"; {rows:,} left out: {reason}"
        return said


_ABOUT = """
SELECT row, list_sort(list(DISTINCT author)) FROM standing
WHERE queue = ? AND slot = 'verdict' AND kind <> 'withdraw' GROUP BY row
"""
_EDITED = """
SELECT s.row, s.version, s.author FROM standing s
WHERE s.slot = 'edit' AND s.version > 0
  AND (? IS NULL OR s.row IN (SELECT row FROM queue_rows WHERE queue = ?)) ORDER BY s.row
"""


def write_preferences(
    project: Project,
    out: Path,
    kind: PreferenceKind,
    *,
    layout: PreferenceLayout = "trl",
    queue: int | None = None,
    rule: str = "majority",
) -> PreferenceFile:
    """Write preference rows as JSON Lines (LLaMA-Factory: with the entry in dataset_info.json).

    kind: "kto" writes the verdicts of a queue, decided by `rule`: a kept row with its newest text
    is wanted, a dropped one with the imported text is not. "dpo" writes each corrected answer
    against the imported one, of a queue's rows or of all. Each has the row's id and the reviewers.
    Raises ReviewError or ExportError; the file is written whole or not at all.
    """
    check_preferences(kind, layout)
    if kind == "kto" and queue is None:
        raise ReviewError("KTO rows are the verdicts of a queue: name one")
    if layout == "llama-factory":
        check_dataset_info(out.with_name(INFO))
    left_out: Counter[str] = Counter()
    rows = wanted = undecided = 0
    if kind == "kto" and queue is not None:
        records, undecided = _kto(project, queue, rule, layout, left_out)
    else:
        records = _dpo(project, queue, layout, left_out)
    with output_file(out) as partial, partial.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            rows += 1
            wanted += record.get("label") is True
        if not rows:
            what = "edited an answer" if kind == "dpo" else "given a clear verdict"
            why = "; ".join(f"{n:,} left out: {reason}" for reason, n in left_out.items())
            raise ReviewError(
                f"there are no {kind.upper()} rows to write: nobody has {what} yet"
                if not left_out
                else f"there are no {kind.upper()} rows to write: {why}"
            )
    if layout == "llama-factory":
        merge_dataset_info(out.with_name(INFO), preference_info(out.name, kind))
    return PreferenceFile(kind, rows, wanted, dict(left_out), undecided)


def _kto(
    project: Project, queue: int, rule: str, layout: PreferenceLayout, left_out: Counter[str]
) -> tuple[Iterator[JsonObject], int]:
    effect = effect_of(answers(project, queue), rule)
    who = dict(project.rows(_ABOUT, queue))
    decided = sorted(
        [(row, True) for row in effect.pinned.tolist()]
        + [(row, False) for row in effect.excluded.tolist()]
    )

    def records() -> Iterator[JsonObject]:
        for row, keep in decided:
            version, text = row_text(project, row, None if keep else 0)
            try:
                record = kto_record(Labelled(text, keep), layout)
            except NotExpressibleError as refusal:
                left_out[str(refusal)] += 1
                continue
            yield record | _provenance(project, row, version, who.get(row, []))

    return records(), len(effect.undecided)


def _dpo(
    project: Project, queue: int | None, layout: PreferenceLayout, left_out: Counter[str]
) -> Iterator[JsonObject]:
    for row, version, author in project.rows(_EDITED, queue, queue):
        before, after = row_text(project, row, 0)[1], row_text(project, row, version)[1]
        try:
            made = _pairs(before, after, layout)
        except NotExpressibleError as refusal:
            left_out[str(refusal)] += 1
            continue
        for record in made:
            yield record | _provenance(project, row, version, [author])


def _pairs(before: Conversation, after: Conversation, layout: PreferenceLayout) -> list[JsonObject]:
    return [dpo_record(pair, layout) for pair in pairs_of_edit(before, after)]


def _provenance(project: Project, row: int, version: int, who: list[str]) -> JsonObject:
    (identity,) = project.values("SELECT id FROM conversations WHERE row = ?", row)
    return {"id": identity, "version": version, "reviewers": list(who)}
