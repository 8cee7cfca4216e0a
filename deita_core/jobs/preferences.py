"""Preference rows: verdicts as KTO; corrected answers, and pairs of the pool, as DPO."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deita_core.conversation import Conversation
from deita_core.errors import ReviewError
from deita_core.formats.read.layout import Mapping, RowError
from deita_core.formats.read.question_answer import rejected_messages
from deita_core.formats.write.export_format import JsonObject, NotExpressibleError
from deita_core.formats.write.preferences import (
    PreferenceKind,
    PreferenceLayout,
    check_preferences,
    dpo_record,
    kto_record,
    pair_of_import,
    pairs_of_edit,
    preference_info,
)
from deita_core.formats.write.trainers import (
    DATASET_INFO,
    check_dataset_info,
    merge_dataset_info,
)
from deita_core.jobs.outputs import output_file
from deita_core.project import Project
from deita_core.project.queues import answers
from deita_core.review.answers import Effect, effect_of

# What a row's records say of it, if they are a pair of the pool, and how they are made; that may
# raise NotExpressibleError.
_Source = tuple[JsonObject, bool, Callable[[], list[JsonObject]]]


@dataclass(frozen=True, slots=True)
class PreferenceFile:
    """What was written. pairs: how many of the rows are pairs of the pool. left_out: how many rows
    for each reason; undecided: of a queue, by rule."""

    kind: PreferenceKind
    rows: int
    wanted: int
    left_out: dict[str, int]
    undecided: int = 0
    pairs: int = 0

    def sentence(self) -> str:
        """The counts in words."""
        said = f"{self.rows:,} {self.kind.upper()} rows"
        if self.kind == "kto":
            said += f", {self.wanted:,} wanted and {self.rows - self.wanted:,} not"
        elif self.pairs:
            said += f", {self.rows - self.pairs:,} of edits and {self.pairs:,} of pairs of the pool"
        if self.undecided:
            said += f"; {self.undecided:,} rows without a clear verdict left out"
        for reason, rows in self.left_out.items():
            said += f"; {rows:,} left out: {reason}"
        return said


# Who adjudicates a queue has reviewed its rows, too.
_REVIEWED = """
SELECT q.row, c.id, list_sort(list(DISTINCT s.author) FILTER (s.author IS NOT NULL))
FROM queue_rows q JOIN conversations c USING (row)
LEFT JOIN (FROM standing WHERE slot = 'verdict' AND kind <> 'withdraw' AND (
    queue = $queue OR queue IN (SELECT queue FROM queues WHERE adjudicates = $queue))
) s ON s.row = q.row
WHERE q.queue = $queue GROUP BY ALL
"""
_TEXTS = """
SELECT c.row, c.messages, c.tools, coalesce(e.version, 0), coalesce(e.value, c.messages)
FROM conversations c
LEFT JOIN (FROM standing WHERE slot = 'edit') e USING (row)
WHERE c.row IN (SELECT unnest(?::INTEGER[])) ORDER BY c.row
"""
_AT_ONCE = 1024  # rows of which the texts are in memory
_EDITED = """
SELECT c.row, c.id, s.author FROM standing s JOIN conversations c USING (row)
WHERE s.slot = 'edit' AND s.version > 0 AND (
    $1 IS NULL OR c.row IN (SELECT row FROM queue_rows WHERE queue = $1))
"""
_PAIRED = """
SELECT c.row, c.id FROM conversations c JOIN sources s USING (source)
WHERE s.mapping ->> '$.layout' = 'preference' AND (
    $1 IS NULL OR c.row IN (SELECT row FROM queue_rows WHERE queue = $1))
"""
_RECORDS = """
SELECT c.row, c.original, s.mapping FROM conversations c JOIN sources s USING (source)
WHERE c.row IN (SELECT unnest(?::INTEGER[])) AND s.mapping ->> '$.layout' = 'preference'
"""


@dataclass(frozen=True, slots=True)
class PairsAtHand:
    """How many rows DPO rows can be made of: with corrected texts, and imported as pairs."""

    edits: int
    pairs: int


def pairs_at_hand(project: Project, queue: int | None = None) -> PairsAtHand:
    """What `write_preferences` finds for "dpo", of a queue's rows or of all."""
    edits, pairs = (
        project.number(f"SELECT count(*) FROM ({query})", queue)  # noqa: S608 - only text of ours goes in
        for query in (_EDITED, _PAIRED)
    )
    return PairsAtHand(edits, pairs)


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
    against the imported one, and of rows imported as preference pairs the chosen answer against
    the rejected one, of a queue's rows or of all. Each has the row's id and the reviewers.
    Raises ReviewError or ExportError; the file is written whole or not at all.
    """
    check_preferences(kind, layout)
    if layout == "llama-factory":
        check_dataset_info(out.with_name(DATASET_INFO))
    undecided = 0
    if kind == "dpo":
        sources = _pairs_of(project, queue, layout)
    elif queue is None:
        raise ReviewError("KTO rows are the verdicts of a queue: name one")
    else:
        effect = effect_of(answers(project, queue), rule)
        undecided = len(effect.undecided)
        sources = _verdicts(project, queue, effect, layout)
    left_out: Counter[str] = Counter()
    rows = wanted = pairs = 0
    with output_file(out) as partial_file, partial_file.open("w", encoding="utf-8") as file:
        for said, is_pair, make in sources:
            try:
                records = make()
            except NotExpressibleError as refusal:
                left_out[str(refusal)] += 1
                continue
            for record in records:
                file.write(json.dumps(record | said, ensure_ascii=False) + "\n")
                rows += 1
                wanted += record.get("label") is True
                pairs += is_pair
        if not rows:
            raise _nothing(kind, left_out)
    if layout == "llama-factory":
        merge_dataset_info(out.with_name(DATASET_INFO), preference_info(out.name, kind))
    return PreferenceFile(kind, rows, wanted, dict(left_out), undecided, pairs)


def _nothing(kind: PreferenceKind, left_out: Counter[str]) -> ReviewError:
    what = "given a clear verdict yet"
    if kind == "dpo":
        what = "edited an answer yet, and no file of preference pairs was imported"
    why = "; ".join(f"{n:,} left out: {reason}" for reason, n in left_out.items())
    return ReviewError(f"there are no {kind.upper()} rows to write: {why or f'nobody has {what}'}")


def _verdicts(
    project: Project, queue: int, effect: Effect, layout: PreferenceLayout
) -> Iterator[_Source]:
    with project.reading() as cursor:
        found = cursor.execute(_REVIEWED, {"queue": queue}).fetchall()
    known = {row: (identity, who) for row, identity, who in found}
    kept = set(effect.pinned.tolist())
    for row, imported, version, newest in _texts(project, [*kept, *effect.excluded.tolist()]):
        identity, who = known[row]
        version, text = (version, newest) if row in kept else (0, imported)
        said: JsonObject = {"id": identity, "version": version, "reviewers": who or []}
        yield said, False, partial(_labelled, text, row in kept, layout)


def _pairs_of(project: Project, queue: int | None, layout: PreferenceLayout) -> Iterator[_Source]:
    """Of each row, ascending: its corrected answers, then the pair that it was imported as."""
    edited = {row: rest for row, *rest in project.rows(_EDITED, queue)}
    paired = dict(project.rows(_PAIRED, queue))
    records: dict[int, tuple[str, str]] = {}
    wanted = sorted({*edited, *paired})
    for row, before, version, after in _texts(project, wanted):
        if row in edited:
            identity, author = edited[row]
            said: JsonObject = {"id": identity, "version": version, "reviewers": [author]}
            yield said, False, partial(_corrected, before, after, layout)
        if row in paired:
            if row not in records:
                at = bisect_left(wanted, row)
                found = project.rows(_RECORDS, wanted[at : at + _AT_ONCE])
                records = {one: (original, mapping) for one, original, mapping in found}
            who = [edited[row][1]] if row in edited else []
            said = {"id": paired[row], "version": version, "reviewers": who}
            yield said, True, partial(_imported, before, after, *records[row], layout)


def _texts(
    project: Project, rows: Sequence[int]
) -> Iterator[tuple[int, Conversation, int, Conversation]]:
    """Each row, ascending, with its imported text and the number and text of its newest version."""
    wanted = sorted(rows)
    for at in range(0, len(wanted), _AT_ONCE):
        found = project.rows(_TEXTS, wanted[at : at + _AT_ONCE])
        for row, imported, tools, version, newest in found:
            before = Conversation.from_json(imported, tools)
            yield row, before, version, Conversation.from_json(newest, tools)


def _labelled(text: Conversation, wanted: bool, layout: PreferenceLayout) -> list[JsonObject]:
    return [kto_record(text, wanted, layout)]


def _corrected(
    before: Conversation, after: Conversation, layout: PreferenceLayout
) -> list[JsonObject]:
    return [dpo_record(pair, layout) for pair in pairs_of_edit(before, after)]


def _imported(
    before: Conversation,
    after: Conversation,
    original: str,
    mapping: str,
    layout: PreferenceLayout,
) -> list[JsonObject]:
    """The rejected answer stands in the row's original record alone."""
    try:
        rejected = rejected_messages(json.loads(original), Mapping.from_json(mapping))
    except (RowError, ValueError, RecursionError) as error:
        raise NotExpressibleError("it has no rejected answer that can be read") from error
    pair = pair_of_import(before, after, Conversation(tuple(rejected)))
    return [dpo_record(pair, layout)]
