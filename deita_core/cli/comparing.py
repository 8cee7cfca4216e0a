"""The commands that compare: two sets of rows, and a selection with what it might have been."""

from __future__ import annotations

import math
import sys
from collections.abc import Generator
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from typer import Argument

from deita_core.cli.options import JSON, ProjectOptions, print_json, value
from deita_core.errors import SelectionError
from deita_core.files import one_line
from deita_core.jobs.compare_sets import (
    Compared,
    compare_named,
    comparison_table,
    kept_stability_of,
)
from deita_core.progress import Stage, finish
from deita_core.selection.analysis.compare import SEEDS, Figure, Measured, SetComparison
from deita_core.selection.analysis.stability import Survival
from deita_core.selection.pool_table import PoolTable

Result = TypeVar("Result")

_SET = "a saved selection, a file, or the word pool or random"
_SHARES = 12


def compare(
    target: ProjectOptions,
    a: str = Argument(
        metavar="A",
        help=_SET,
        show_default=False,
    ),
    b: str = Argument("pool", metavar="B", help="the same"),
    seeds: int = value(len(SEEDS), "N", "how many random draws to compare with"),
    as_json: bool = JSON,
) -> None:
    """Compare two selections, or one with the pool, random rows or a file."""
    if seeds < 1:
        raise SelectionError(f"--seeds must be at least 1, got {seeds}")
    with target.opened() as project:
        table = comparison_table(project)
        steps = compare_named(project, a, b, seeds=range(seeds), table=table)
        found = _run(steps, target.quiet or as_json)
    if as_json:
        print_json(_document(found, table))
        return
    said = (*(one.sentence() for one in found.files), f"{found.sets.sentence()}.")
    for line in (*said, *_lines(found.sets, found.measured)):
        print(one_line(line) if line else "")


def show_stability(
    target: ProjectOptions,
    name: str = Argument(metavar="NAME", help="a saved selection", show_default=False),
    as_json: bool = JSON,
) -> None:
    """Say how much of a selection survives another threshold, aggregation, seed or embedder."""
    with target.opened() as project:
        found = _run(kept_stability_of(project, name), target.quiet or as_json)
    if as_json:
        print_json({"name": name, "changes": [asdict(one) for one in found]})
        return
    width = max(len(one.change) for one in found)
    for one in found:
        print(one_line(f"{one.change}".ljust(width) + f"  {_survived(one)}"))


def _survived(one: Survival) -> str:
    if one.reason:
        return f"not tried: {one.reason}"
    return f"{one.share:7.1%}  {one.survived:,} rows, {one.rows:,} selected"


def _run(steps: Generator[Stage, None, Result], quiet: bool) -> Result:
    """Runs them to their end, with what they are at on standard error."""
    from tqdm import tqdm

    bar: tqdm[Any] | None = None

    def tell(at: Stage) -> None:
        nonlocal bar
        if bar is None:  # not before the names are known to be good
            bar = tqdm(disable=quiet, file=sys.stderr, bar_format="{desc}", leave=False)
        bar.set_description_str(_stage(at))

    try:
        return finish(steps, tell)
    finally:
        if bar is not None:
            bar.close()


def _stage(at: Stage) -> str:
    return f"{at.done + 1} of {at.total}: {at.what}"


def _lines(found: SetComparison, measured: Measured) -> list[str]:
    """Tables of figures, of numeric columns, and of the shares that differ most."""
    chance = ", ".join(f"{one:.2f}" for one in measured.chance)
    lines = [f"By chance the Jaccard index is {chance}.", ""]
    lines.append(_row("", found.a.name, found.b.name, "random"))
    lines += [
        _row(one.label, _number(one.a), _number(one.b), _random(one)) for one in measured.figures
    ]
    lines += ["", _row("median of", found.a.name, found.b.name, "KS distance")]
    for number in found.numbers:
        values = (number.median_a, number.median_b, number.ks)
        lines.append(_row(number.column.replace("_", " "), *map(_number, values)))
    lines += ["", _row("share of", found.a.name, found.b.name, "difference")]
    for share in found.shares[:_SHARES]:
        both = (share.share_a, share.share_b, share.share_a - share.share_b)
        lines.append(_row(f"{share.column} {share.name}", *(f"{one:.1%}" for one in both)))
    if (more := len(found.shares) - _SHARES) > 0:
        lines.append(f"and {more:,} more that differ less")
    return lines


def _row(first: str, *others: str) -> str:
    return one_line(first)[:46].ljust(48) + "".join(one_line(o)[:18].rjust(20) for o in others)


def _random(one: Figure) -> str:
    """The mean over the draws with their standard deviation."""
    if not one.random_sd:
        return _number(one.random_mean)
    spread = f"{one.random_sd:,.0f}" if one.random_sd >= 100 else f"{one.random_sd:.2g}"
    return f"{_number(one.random_mean)} ± {spread}"


def _number(number: float | None) -> str:
    if number is None or math.isnan(number):
        return "-"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def _document(compared: Compared, table: PoolTable) -> dict[str, Any]:
    """The comparison as it is written: rows as ids."""

    def ids(rows: NDArray[np.int64]) -> list[str]:
        if table.ids is None:
            return []
        return [one.decode() if isinstance(one, bytes) else one for one in table.ids[rows].tolist()]

    found, measured = compared.sets, compared.measured
    return {
        "sentence": found.sentence(),
        "pool": found.pool,
        "a": {"name": found.a.name, "rows": len(found.a.rows)},
        "b": {"name": found.b.name, "rows": len(found.b.rows)},
        "both": len(found.both),
        "jaccard": found.jaccard,
        "jaccard_by_chance": list(measured.chance),
        "figures": [asdict(one) for one in measured.figures],
        "numbers": [asdict(one) for one in found.numbers],
        "shares": [asdict(one) for one in found.shares],
        "files": [
            {"name": one.found.name, "read": one.read, "rejected": one.rejected}
            | {"unknown": one.unknown, "repeated": one.repeated}
            for one in compared.files
        ],
        "only_a": ids(found.only_a),
        "only_b": ids(found.only_b),
    }
