"""Which conversations of the pool the records of a score file are about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deita_core.errors import JobError
from deita_core.formats.model import Reject
from deita_core.formats.score_file import ScoreRow, read_scores
from deita_core.jobs.desk import Desk


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
    path: Path, fields: Mapping[str, str], pool: Sequence[PoolRowKey], desk: Desk
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
            desk.report(number, None, f"reading {path.name}")
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
