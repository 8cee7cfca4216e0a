"""Numbers that the pool's own records carry: columns that can serve as scores.

A column is a field of the original record, or a field of an object in it, written with a dot
(`scores.complexity`). Numbers may be written as text, as in CSV files. A list of numbers has one
for each turn, as the reference implementation of the paper writes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import without_surrogates
from deita_core.errors import ProjectError
from deita_core.project.store import Project

# A record with more fields than this has made them from data; the most common ones are looked at.
MOST_COLUMNS = 200
# A longer text is no number.
LONGEST_NUMBER = 40


@dataclass(frozen=True, slots=True)
class NumericColumn:
    """A column and what its rows hold.

    numbers: rows with one number. lists: rows with a list of numbers. others: rows where the
    column holds something else, or null. lowest, highest: of the single numbers, or None.
    """

    name: str
    numbers: int
    lists: int
    others: int
    lowest: float | None
    highest: float | None

    @property
    def usable(self) -> int:
        """Rows that would get a score."""
        return self.numbers + self.lists


def numeric_columns(project: Project) -> list[NumericColumn]:
    """Columns of the pool in which at least one row holds a number or a list of numbers.

    The most complete first. Some seconds for 300,000 rows.
    """
    found, objects = _columns(project, {name: _path(name) for name in _keys(project, "$")})
    inner = {
        f"{name}.{key}": _path(name, key) for name in objects for key in _keys(project, _path(name))
    }
    if inner:
        found += _columns(project, inner)[0]
    useful = [column for column in found if column.usable]
    return sorted(useful, key=lambda column: (-column.usable, column.name))


def write_column(project: Project, names: dict[str, str], out: Path) -> int:
    """Write row, id, turns and the JSON text of columns as Parquet, in row order.

    names: name in the file -> column. A field whose own name has the dot goes before a nested
    one. Returns the number of rows. Raises ProjectError for a column that no row has.
    """
    asked = ""
    for ours, column in names.items():
        value = _value_of(column)
        if not project.number(f"SELECT count({value}) FROM conversations"):  # noqa: S608 - keys of records are quoted by _quoted
            raise ProjectError(
                f"no record of {project.name} has the column {column!r}: choose another one"
            )
        asked += f', {value} AS "{ours}"'
    query = f"SELECT row, id, turns{asked} FROM conversations ORDER BY row"  # noqa: S608 - keys of records are quoted by _quoted
    return project.write_parquet(query, out)


def record_values(project: Project, name: str) -> NDArray[np.object_]:
    """What each row's record holds in a column, as text: (n,) in row order, None for nothing.

    A text is itself; numbers, lists and objects are their JSON. Raises ProjectError for a column
    that no row has.
    """
    value = _value_of(name, as_text=True)
    found = project.values(f"SELECT {value} FROM conversations ORDER BY row")  # noqa: S608 - keys of records are quoted by _quoted
    values = np.array(found, object)
    if not any(value is not None for value in found):
        raise ProjectError(
            f"no record of {project.name} has the column {name!r}: choose another one"
        )
    return values


def record_fields(project: Project) -> list[str]:
    """Names of the fields of the pool's records, most common first; of objects, their own too."""
    names = _keys(project, "$")
    inner = {name: _keys(project, _path(name)) for name in names}
    return [one for name in names for one in ([f"{name}.{key}" for key in inner[name]] or [name])]


def _value_of(column: str, *, as_text: bool = False) -> str:
    """SQL for the JSON of a column, or the text it stands for; NULL where a row has none.

    A field whose own name has the dot goes before a nested one.
    """
    top, dot, key = without_surrogates(column).partition(".")
    paths = [_path(f"{top}{dot}{key}"), *([_path(top, key)] if dot else [])]
    extract = "json_extract_string" if as_text else "json_extract"
    found = ", ".join(f"{extract}(original, '{_quoted(path)}')" for path in paths)
    return f"CASE WHEN json_valid(original) THEN coalesce({found})::VARCHAR END"


def _keys(project: Project, path: str) -> list[str]:
    """Names of the fields of the object at a path, most common first."""
    at = _quoted(path)
    return project.values(
        f"SELECT key FROM (SELECT unnest(json_keys(original, '{at}')) AS key FROM conversations "  # noqa: S608 - keys of records are quoted by _quoted
        f"WHERE json_valid(original) AND json_type(original, '{at}') = 'OBJECT') "
        f"GROUP BY key ORDER BY count(*) DESC, key LIMIT {MOST_COLUMNS}"
    )


def _columns(project: Project, paths: dict[str, str]) -> tuple[list[NumericColumn], list[str]]:
    """What the rows hold under each path, and the names under which some hold an object."""
    # All paths at once, so that each record is parsed once.
    listed = ", ".join(f"'{_quoted(path)}'" for path in paths.values())
    rows = project.rows(
        f"""
        SELECT place, count(number), count(numbers), count(value), min(number), max(number),
               count(*) FILTER (value[1] = '{{')
        FROM (
            SELECT place, value,
                CASE WHEN length(value) <= {LONGEST_NUMBER} AND value[1] NOT IN ('[', '{{')
                      AND isfinite(TRY_CAST(trim(value, '"') AS DOUBLE))
                     THEN TRY_CAST(trim(value, '"') AS DOUBLE) END AS number,
                CASE WHEN value[1] = '[' AND ltrim(value, '[ \n\t')[1] NOT IN ('[', '{{', ']')
                      AND list_aggregate(TRY_CAST(value AS DOUBLE[]), 'count') > 0
                     THEN 1 END AS numbers
            FROM (SELECT generate_subscripts(vals, 1) AS place, unnest(vals)::VARCHAR AS value
                  FROM (SELECT json_extract(original, [{listed}]) AS vals FROM conversations
                        WHERE json_valid(original) AND json_type(original) = 'OBJECT')))
        GROUP BY place ORDER BY place
        """  # noqa: S608 - keys of records are quoted by _quoted
    )
    names = list(paths)
    columns, objects = [], []
    for place, numbers, lists, there, lowest, highest, nested in rows:
        name = names[place - 1]
        others = there - numbers - lists
        columns.append(NumericColumn(name, numbers, lists, others, lowest, highest))
        if nested:
            objects.append(name)
    return columns, objects


def _path(*keys: str) -> str:
    """The JSON pointer to a field, whatever characters its name has, if any."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def _quoted(path: str) -> str:
    return path.replace("'", "''")
