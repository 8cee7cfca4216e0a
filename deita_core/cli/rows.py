"""The commands that look at rows: filters, search, closeness, and views."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from typer import Argument, BadParameter

from deita_core.cli.options import (
    JSON,
    FilterOptions,
    ProjectOptions,
    flag,
    print_json,
    repeated,
    value,
)
from deita_core.errors import FilterError
from deita_core.files import one_line
from deita_core.filtering import Filter, PoolColumns, matching_rows
from deita_core.filtering.columns import Column
from deita_core.filtering.filter import Near, Search, parse_filter
from deita_core.filtering.nearness import closeness, near_rows
from deita_core.filtering.search import hits
from deita_core.project import Project
from deita_core.project.browse import StoredRow, stored_row
from deita_core.project.views import delete_view, save_view, views

CLOSENESS: Final = "closeness"


def show_rows(
    filters: FilterOptions,
    target: ProjectOptions,
    limit: int = value(20, "N", "how many rows to show; 0 only counts"),
    sort: str | None = value(
        None, "COLUMN", "the highest of it first (default: the closest first, else as imported)"
    ),
    column: list[str] = repeated("COLUMN", "show this column, too"),
    as_json: bool = JSON,
) -> None:
    """Show the rows that pass a filter, a search, or are close to something."""
    if limit < 0:
        raise BadParameter(f"--limit must be 0 or more, got {limit}")
    with target.opened() as project:
        wanted, columns = filters.wanted(project), PoolColumns(project)
        mask = matching_rows(wanted, columns)
        order = _ordered(mask, wanted, columns, sort)
        near = _near(wanted)
        extra = {name: columns[name].texts() for name in dict.fromkeys(column)}
        if near is not None:
            extra[CLOSENESS] = Column("number", closeness(near, columns)).texts()
        shown = []
        for row in order[:limit].tolist():
            more = {name: values[row] for name, values in extra.items()}
            shown.append(_object(stored_row(project, row), wanted) | more)
        if as_json:
            said: dict[str, Any] = {"filter": wanted.to_text(), "rows": len(order)}
            print_json(said | {"of": len(mask), "shown": shown})
            return
        print(f"{len(order):,} of {len(mask):,} rows: {one_line(wanted.describe())}")
        for one in shown:
            more_text = "".join(f"  {name} {_text(one[name])}" for name in extra)
            print(f"{one['row']}  {one_line(one['preview'])[:80]}{more_text}")


def _ordered(
    mask: NDArray[np.bool_], wanted: Filter, columns: PoolColumns, sort: str | None
) -> NDArray[np.int64]:
    """The rows that pass, in the order asked for; ties by row, rows without a value last."""
    near = _near(wanted)
    if sort is None and near is not None:
        closest = near_rows(near, columns)
        return closest[mask[closest]]
    rows = np.flatnonzero(mask)
    if sort is None:
        return rows
    if sort == CLOSENESS:
        if near is None:
            raise FilterError("--sort closeness needs --meaning, --examples or --like")
        values = closeness(near, columns)
    else:
        found = columns[sort]
        if found.kind != "number":
            raise FilterError(f"--sort takes a column of numbers, and {sort} is one of names")
        values = found.values
    return rows[np.argsort(-values[rows], kind="stable")]


def _near(wanted: Filter) -> Near | None:
    """The first part that is about closeness."""
    return next((part for part in wanted.parts if isinstance(part, Near)), None)


def _object(row: StoredRow, wanted: Filter) -> dict[str, Any]:
    """What is said of a row; `hits` only where there was a search."""
    said: dict[str, Any] = {
        "row": row.row,
        "id": row.id,
        "file": row.source,
        "preview": " ".join((row.conversation.text[:200]).split()),
        "language": row.language,
        "turns": row.turns,
        "characters": row.characters,
        "tokens": row.tokens,
        "flags": list(row.flags),
    }
    searches = [part for part in wanted.parts if isinstance(part, Search)]
    if searches:
        said["hits"] = [
            {"message": hit.message, "start": hit.start, "end": hit.end}
            for part in searches
            for hit in hits(part.query, row.conversation)
        ]
    return said


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else one_line(str(value))[:60]


_ACTIONS: Final = ("save", "list", "delete")


def _action(text: str) -> str:
    if text not in _ACTIONS:
        raise BadParameter(f"{text!r} is not one of {', '.join(_ACTIONS)}")
    return text


def view(
    filters: FilterOptions,
    target: ProjectOptions,
    action: str = Argument(..., metavar="[save|list|delete]", parser=_action),
    name: str | None = value(None, "NAME", "of the view to save or delete"),
    replace: bool = flag("--replace", "save over one of the same name"),
    as_json: bool = JSON,
) -> None:
    """Save a filter under a name, list the views, or delete one."""
    if action != "list" and name is None:
        raise BadParameter(f"view {action} needs --name")
    with target.opened() as project:
        if action == "list":
            _print_views(project, as_json)
        elif action == "delete":
            delete_view(project, str(name))
            print(f"deleted the view {name}")
        else:
            wanted = filters.wanted(project)
            if not wanted:
                raise FilterError("a view needs a filter: give --filter, --search or another one")
            count = int(matching_rows(wanted, PoolColumns(project)).sum())
            save_view(project, str(name), wanted.to_text(), replace=replace)
            print(f"{name}: {count:,} rows now; {one_line(wanted.describe())}")


def _print_views(project: Project, as_json: bool) -> None:
    found = views(project)
    if as_json:
        listed = [{"name": v.name, "filter": v.filter, "author": v.author} for v in found]
        print_json(listed)
        return
    for one in found:
        read = parse_filter(one.filter)
        problems = "".join(f"; {problem}" for problem in read.problems)
        print(f"{one.name}: {one_line(read.filter.describe() + problems)}")
    if not found:
        print(f"{project.name} has no views")
