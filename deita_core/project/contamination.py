"""Which rows hold texts of a benchmark or lie close to them: what was found, as a flag and pairs.

A row that any of the benchmarks found carries the flag "contaminated", so that it can be filtered
like any other; the pairs say why.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from deita_core.describe import CONTAMINATED
from deita_core.errors import ProjectError
from deita_core.project.pins import pins, set_pins
from deita_core.project.store import Project, next_number, none_such, now

_NOTE: Final = "in the benchmark "


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark file that the pool was held against.

    run: words in a row that count. threshold: similarity above which a row is too close, None
    where meaning was not looked at. rows: of the pool that was looked at; more may have come since.
    texts: messages of the file; short: those with too few words to be looked for.
    contaminated: rows found. pairs: of a row and a text.
    """

    benchmark: int
    name: str
    sha256: str
    run: int
    threshold: float | None
    rows: int
    texts: int
    short: int
    made: datetime
    contaminated: int
    pairs: int

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        how = f"share {self.run} words in a row with it"
        if self.threshold is not None:
            how += f", or are more similar to it than {self.threshold:g}"
        short = f"; {self.short:,} of its texts are too short to be found by words"
        return (
            f"{self.name}: {self.contaminated:,} of {self.rows:,} rows {how}"
            f"{short if self.short else ''}"
        )


@dataclass(frozen=True, slots=True)
class BenchmarkPair:
    """A row and a text of a benchmark that it holds or is close to.

    position: of the benchmark's record in its file, from 0. part: which text of it ("question 1",
    "answer 2", "whole"). share: of that text's words, how many the row has in shared runs; longest:
    the longest shared stretch; both None for a pair found by meaning alone. similarity: of the
    two, None where it is not above the threshold. text: how the benchmark's text begins.
    preview: how the row begins.
    """

    benchmark: str
    row: int
    id: str
    position: int
    part: str
    share: float | None
    longest: str | None
    similarity: float | None
    text: str
    preview: str


def set_benchmark(project: Project, facts: dict[str, Any], pairs: Any) -> None:
    """Store what a benchmark found, in place of what one of that name found before.

    facts: name, sha256, run, threshold, rows, texts, short. pairs: an Arrow table of row, position,
    part, share, longest, similarity, text.
    """
    what = {"file": facts["name"], "pairs": len(pairs)}
    with project.transaction("curator", "look for contamination", what) as cursor:
        _delete(cursor, facts["name"])
        number = next_number(cursor, "benchmarks", "benchmark")
        names = ("name", "sha256", "run", "threshold", "rows", "texts", "short")
        given = [number, *(facts[name] for name in names), now()]
        cursor.execute("INSERT INTO benchmarks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", given)
        cursor.register("found", pairs)
        cursor.execute(
            "INSERT INTO benchmark_pairs SELECT ?, row, position, part, share, longest, "
            "similarity, text FROM found",
            [number],
        )
        _flag(cursor)


def forget_benchmark(project: Project, name: str) -> None:
    """Take back what a benchmark found, the flags too; ProjectError when there is none."""
    if name not in (known := [one.name for one in benchmarks(project)]):
        raise ProjectError(none_such("benchmark", name, known, "choose another"))
    with project.transaction("curator", "forget a benchmark", {"file": name}) as cursor:
        _delete(cursor, name)
        _flag(cursor)


def excludable(project: Project, name: str, rows: Collection[int]) -> tuple[int, ...]:
    """Which of these rows a benchmark found, and nobody pinned or excluded by hand."""
    by_hand = {one.row for one in pins(project)}
    found = project.values(
        "SELECT DISTINCT row FROM benchmark_pairs JOIN benchmarks b USING (benchmark) "
        "WHERE b.name = ? ORDER BY row",
        name,
    )
    inside = set(rows)
    return tuple(row for row in found if row in inside and row not in by_hand)


def exclude_contaminated(
    project: Project, name: str, rows: Collection[int], *, author: str = ""
) -> tuple[int, ...]:
    """Exclude those of these rows that a benchmark found, in one step; returns them.

    Rows that were pinned or excluded by hand stay as they are.
    """
    wanted = excludable(project, name, rows)
    set_pins(project, wanted, "excluded", note=f"{_NOTE}{name}", author=author)
    return wanted


def excluded_for(project: Project, name: str) -> tuple[int, ...]:
    """The rows that `exclude_contaminated` excluded for this benchmark and that still are."""
    said = f"{_NOTE}{name}"
    return tuple(one.row for one in pins(project) if (one.kind, one.note) == ("excluded", said))


def restore_contaminated(project: Project, name: str, *, author: str = "") -> tuple[int, ...]:
    """Take the rows back that were excluded for this benchmark; returns them."""
    rows = excluded_for(project, name)
    set_pins(project, rows, None, author=author)
    return rows


def _delete(cursor: Any, name: str) -> None:
    cursor.execute(
        "DELETE FROM benchmark_pairs WHERE benchmark IN "
        "(SELECT benchmark FROM benchmarks WHERE name = ?)",
        [name],
    )
    cursor.execute("DELETE FROM benchmarks WHERE name = ?", [name])


def _flag(cursor: Any) -> None:
    """Give the flag to the rows of the pairs, and take it from all others."""
    cursor.execute(
        "UPDATE conversations SET flags = list_filter(flags, lambda f: f <> $1) || "
        "CASE WHEN row IN (SELECT row FROM benchmark_pairs) THEN [$1] ELSE []::VARCHAR[] END "
        "WHERE list_contains(flags, $1) <> (row IN (SELECT row FROM benchmark_pairs))",
        [CONTAMINATED],
    )


def benchmarks(project: Project) -> list[Benchmark]:
    """The benchmarks that the pool was held against, in that order."""
    found = project.rows(
        """
        SELECT b.*, coalesce(p.rows, 0), coalesce(p.pairs, 0) FROM benchmarks b
        LEFT JOIN (SELECT benchmark, count(DISTINCT row) AS rows, count(*) AS pairs
                   FROM benchmark_pairs GROUP BY 1) p USING (benchmark)
        ORDER BY b.benchmark
        """
    )
    return [Benchmark(*row) for row in found]


def benchmark_pairs(
    project: Project, benchmark: str | None = None, limit: int | None = None
) -> list[BenchmarkPair]:
    """The pairs found (of one benchmark, or of all), the most alike first; ties by row."""
    found = project.rows(
        """
        SELECT b.name, p.row, c.id, p.position, p.part, p.share, p.longest, p.similarity, p.text,
               c.preview
        FROM benchmark_pairs p JOIN benchmarks b USING (benchmark)
        JOIN conversations c USING (row)
        WHERE ? IS NULL OR b.name = ?
        ORDER BY greatest(coalesce(p.share, 0), coalesce(p.similarity, 0)) DESC, p.row,
                 b.benchmark, p.position, p.part
        LIMIT ?
        """,
        *(benchmark, benchmark, limit),
    )
    return [BenchmarkPair(*row) for row in found]
