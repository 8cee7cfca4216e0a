"""Views: filters that were saved under a name.

A view is its filter's short text (`filtering.filter`), not the rows it lets through today; it has
a counter of its own and leaves the data version alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from deita_core import people
from deita_core.errors import ProjectError
from deita_core.project.store import Project, check_name, count_up, none_such, now

_COUNTER: Final = "views_version"
# Actions of the log.
SAVE, RENAME, DELETE = "save a view", "rename a view", "delete a view"


@dataclass(frozen=True, slots=True)
class View:
    """filter: the short text of a Filter. author: who saved it last; `made` in UTC."""

    view: int
    name: str
    filter: str
    author: str
    made: datetime


def save_view(
    project: Project, name: str, filter: str, *, author: str = "", replace: bool = False
) -> int:
    """Save a filter's short text under a name; returns the view's number.

    author: of who logged in, it is their own name whatever is given here. Raises ProjectError
    when the name is empty, or taken and not to be replaced.
    """
    name = check_name(name, "view")
    what: dict[str, Any] = {"name": name, "filter": filter}
    with project.transaction("reviewer", SAVE, what, changes_data=False) as cursor:
        query = "SELECT view, author FROM views WHERE name = ?"
        taken = cursor.execute(query, [name]).fetchall()
        if taken and not replace:
            raise ProjectError(
                f"there is a view {name!r} already, of {taken[0][1] or 'somebody'}: choose another "
                "name, or replace it"
            )
        cursor.execute("DELETE FROM views WHERE name = ?", [name])
        what["view"] = number = count_up(cursor, "view")
        cursor.execute(
            "INSERT INTO views VALUES (?, ?, ?, ?, ?)",
            [number, name, filter, people.author(author), now()],
        )
        count_up(cursor, _COUNTER)
    return number


def views(project: Project) -> list[View]:
    """Every view, by name."""
    found = project.rows("SELECT view, name, filter, author, made FROM views ORDER BY name")
    return [View(*row) for row in found]


def find_view(project: Project, name: str) -> View:
    """A view by name; ProjectError that lists the names there are."""
    known = {view.name: view for view in views(project)}
    if name not in known:
        raise ProjectError(none_such("view", name, known, "save it first"))
    return known[name]


def rename_view(project: Project, name: str, new: str) -> None:
    """Give a view another name. ProjectError when there is none, or when the new name is taken."""
    view = find_view(project, name)
    new = check_name(new, "view")
    what: Mapping[str, Any] = {"name": new, "before": name, "view": view.view}
    with project.transaction("reviewer", RENAME, what, changes_data=False) as cursor:
        query = "SELECT view FROM views WHERE name = ? AND view <> ?"
        if cursor.execute(query, [new, view.view]).fetchall():
            raise ProjectError(f"there is a view {new!r} already: choose another name")
        cursor.execute("UPDATE views SET name = ? WHERE view = ?", [new, view.view])
        count_up(cursor, _COUNTER)


def delete_view(project: Project, name: str) -> None:
    """Delete a view; the rows stay. ProjectError when there is none of this name."""
    view = find_view(project, name)
    what: Mapping[str, Any] = {"name": name, "view": view.view, "filter": view.filter}
    with project.transaction("reviewer", DELETE, what, changes_data=False) as cursor:
        cursor.execute("DELETE FROM views WHERE view = ?", [view.view])
        count_up(cursor, _COUNTER)


def views_version(project: Project) -> int:
    """A number that grows with every change of them."""
    return project.counter(_COUNTER)
