"""Opening a project file: the lock, transactions, name and data version.

One DuckDB file holds one project. `row` numbers a conversation within its project (dense, in
the order imported); `id` is its content hash and the same in every project.

One process owns a project at a time (DuckDB's rule). Inside it, each thread takes a `cursor()`
of its own; writers take `transaction()`, which is serialised and bumps the data version, so a
cache keyed by `data_version()` never shows old data. It is also where the core asks whether who
acts may do that, and where the log of who did what is written; nothing else touches that table.
"""

from __future__ import annotations

import atexit
import errno
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import duckdb
import numpy as np
import psutil
from numpy.typing import NDArray

from deita_core.errors import (
    PermissionDeniedError,
    ProjectError,
    ProjectLockedError,
    ProjectVersionError,
)
from deita_core.files import PRIVATE_FILE, one_line, partial_path, private_folder, sweep
from deita_core.people import Person, Role, current_person, require
from deita_core.project.on_disk import (
    ENDING,
    SUFFIX,
    copy_whole,
    damaged,
    file_problem,
    list_snapshots,
)
from deita_core.project.schema import SCHEMA, SCHEMA_VERSION

if TYPE_CHECKING:
    import pandas as pd

# Actions of the log that others look for.
CREATE, RENAME, REFUSED = "create a project", "rename the project", "refused"
# A file with these tables, and with a version, was made by this program.
_OURS = frozenset({"meta", "sources", "conversations", "scores", "jobs"})
# Rows of a Parquet row group: what a worker reads at once, so its memory stays small.
_ROW_GROUP = 4096


def now() -> datetime:
    """The current time in UTC, without a zone, as every table stores it."""
    return datetime.now(UTC).replace(tzinfo=None)


class Project:
    """An open project file. Use it as a context manager, or call `close()`."""

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.path = path
        self._connection = connection
        self._write_lock = threading.Lock()
        self.closed = False
        self.why_closed = ""
        self._data_version = 0  # counted along: nobody else can write to the file

    @staticmethod
    def open(path: Path, *, create: bool = False, wait: float = 0.0) -> Project:
        """Open (or with `create` also make) the project at `path`.

        A file that this program did not make is left as it is. wait: seconds to keep trying
        while another process has it open.
        Raises ProjectLockedError naming that process, ProjectError when the file is missing, no
        project or not to be written to, ProjectDamagedError when it is broken,
        ProjectVersionError when another version of the program made it, PermissionDeniedError
        when who acts may not make one.
        """
        path = path.expanduser().resolve()
        sweep(path)
        if not path.exists():
            if not create:
                raise ProjectError(
                    f"there is no project at {path}: check the name, or import a pool to make it"
                )
            _make(path)
        project = Project(path, _connect(path, wait))
        try:
            project._data_version = project.counter("data_version")
            return project
        except Exception:
            project.close()
            raise

    @property
    def folder(self) -> Path:
        """Where the project's jobs hand over their batches; made on demand, safe to delete."""
        return self.path.with_name(self.path.name + ".work")

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor for the calling thread; threads must not share one."""
        if self.closed:
            raise ProjectError(self.why_closed or f"{self.path.name} was closed: open it again")
        return self._connection.cursor()

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor to read with; a broken file, a full disk or no memory is a ProjectError."""
        with self._problems_told(), self.cursor() as cursor:
            yield cursor

    @contextmanager
    def _problems_told(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            problem = file_problem(self.path, error)
            if problem is None:
                raise
            if isinstance(error, ENDING):  # DuckDB takes no more work until it is opened anew
                self.why_closed = str(problem)
                self.closed = True
                self._connection.close()
            raise problem from error

    def rows(self, query: str, *given: Any) -> list[tuple[Any, ...]]:
        """All rows that a query returns."""
        with self.reading() as cursor:
            return cursor.execute(query, given).fetchall()

    def values(self, query: str, *given: Any) -> list[Any]:
        """The first column of a query."""
        return [row[0] for row in self.rows(query, *given)]

    def number(self, query: str, *given: Any) -> int:
        """The one whole number that a query returns (NULL and no row give 0)."""
        with self.reading() as cursor:
            return whole_number(cursor, query, *given)

    def arrays(self, query: str, *given: Any) -> dict[str, NDArray[Any]]:
        """The columns of a query by name; NULL becomes NaN, or 0 in a column without NaN."""
        with self.reading() as cursor:
            columns = cursor.execute(query, given).fetchnumpy()
        return {
            name: column.filled(np.nan if column.dtype.kind == "f" else 0)
            if isinstance(column, np.ma.MaskedArray)
            else column
            for name, column in columns.items()
        }

    def frame(self, query: str, *given: Any) -> pd.DataFrame:
        """What a query returns, for a page to show."""
        with self.reading() as cursor:
            return cursor.execute(query, given).df()

    def write_parquet(self, query: str, out: Path, *given: Any) -> int:
        """Write what a query returns to a Parquet file; returns the number of rows."""
        quoted = str(out).replace("'", "''")  # COPY takes no parameter here
        return self.number(
            f"COPY ({query}) TO '{quoted}' (FORMAT parquet, ROW_GROUP_SIZE {_ROW_GROUP})", *given
        )

    @contextmanager
    def transaction(
        self,
        needs: Role,
        action: str | None,
        what: Mapping[str, Any] | None = None,
        *,
        changes_data: bool = True,
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor inside a transaction: all of it is committed, or on an error none.

        needs: the least role that may do it. action: what the log calls it, as in "you cannot
        ..."; the entry holds `what` as it is at the end of the block, and is not made where that
        is empty. None for a batch of a job, whose beginning and end are in the log.
        changes_data: False for the job log, and for what has a counter of its own (`count_up`).
        Raises PermissionDeniedError, which is in the log, too.
        """
        person = self._asked(needs, action or "change the project")
        with self._write_lock, self._problems_told():
            cursor = self.cursor()
            cursor.begin()
            try:
                yield cursor
                if action and what:
                    _log(cursor, person, action, what)
                version = count_up(cursor, "data_version") if changes_data else self._data_version
                cursor.commit()
                self._data_version = version
            except BaseException:
                with suppress(duckdb.Error):  # a commit that failed has rolled back already
                    cursor.rollback()
                raise
            finally:
                cursor.close()

    def _asked(self, needs: Role, action: str) -> Person:
        try:
            return require(needs, action)
        except PermissionDeniedError:
            with self._write_lock, self._problems_told():
                refused = current_person() or Person(name="nobody", role="viewer")
                _log(self.cursor(), refused, REFUSED, {"action": action, "needs": needs})
            raise

    def data_version(self) -> int:
        """A number that grows with every committed change of the pool's data."""
        return self._data_version

    def counter(self, name: str) -> int:
        """How often `count_up` was committed under this name."""
        return self.number("SELECT value::BIGINT FROM meta WHERE key = ?", name)

    @property
    def name(self) -> str:
        """The name shown to people."""
        return str(self.values("SELECT value FROM meta WHERE key = 'name'")[0])

    def rename(self, name: str) -> None:
        """Change the name shown to people (the file keeps its own)."""
        name = check_name(name, "project")
        what = {"before": self.name, "name": name}
        with self.transaction("admin", RENAME, what) as cursor:
            cursor.execute("UPDATE meta SET value = ? WHERE key = 'name'", [name])

    def copy_to(self, path: Path, action: str = "copy the project") -> None:
        """Copy the whole project into a new file while nobody writes; it is whole or not there.

        action: what the log calls it. Raises ProjectError when the disk is full.
        """
        with self.transaction("admin", action, {"file": path.name}, changes_data=False):
            pass
        private_folder(path.parent)
        with self._write_lock, self.reading() as cursor:
            cursor.execute("FORCE CHECKPOINT")  # waits for those who read
            copy_whole(self.path, path)

    def close(self) -> None:
        """Release the file for other processes; calling it twice is harmless."""
        if not self.closed:
            with self._write_lock:
                self.closed = True
                self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def check_name(name: str, of: str) -> str:
    """The name without spaces around it; raises ProjectError for none that fits on a line."""
    name = name.strip()
    if not 0 < len(name) <= 100:
        raise ProjectError(
            f"a {of}'s name has 1 to 100 characters, got {len(name)}: choose another"
        )
    if one_line(name) != name:
        raise ProjectError(
            f"a {of}'s name has no line ends or other invisible characters, got {name!r}: "
            "choose another"
        )
    return name


def none_such(kind: str, name: str, known: Iterable[str], remedy: str) -> str:
    """The sentence for a name that nothing has, with those there are."""
    names = ", ".join(map(repr, known)) or "none yet"
    return f"there is no {kind} {name!r} (there are: {names}): {remedy}"


def whole_number(cursor: duckdb.DuckDBPyConnection, query: str, *parameters: Any) -> int:
    """The one whole number that a query returns (NULL and no row give 0)."""
    # fetchall, because a cursor takes no other work while a result has rows left to fetch.
    found = cursor.execute(query, list(parameters)).fetchall()
    return int(found[0][0] or 0) if found else 0


def next_number(cursor: duckdb.DuckDBPyConnection, table: str, column: str, first: int = 1) -> int:
    """The number of the row that is about to be added to a table."""
    return whole_number(cursor, f"SELECT coalesce(max({column}) + 1, {first}) FROM {table}")  # noqa: S608 - only names of ours go in


def count_up(cursor: duckdb.DuckDBPyConnection, name: str, by: int = 1) -> int:
    """Add to the counter `name` inside a transaction; returns its new value."""
    found = cursor.execute(
        "INSERT INTO meta VALUES ($1, $2::VARCHAR) ON CONFLICT DO UPDATE "
        "SET value = CAST(CAST(meta.value AS BIGINT) + $2 AS VARCHAR) RETURNING value",
        [name, by],
    )
    return int(found.fetchall()[0][0])


def _log(
    cursor: duckdb.DuckDBPyConnection, person: Person, action: str, what: Mapping[str, Any]
) -> None:
    number = next_number(cursor, "log", "number")
    said = json.dumps(dict(what), ensure_ascii=False)
    cursor.execute(
        "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)",
        [number, now(), person.label, person.role, person.session, action, said],
    )


# Half of the memory DuckDB would take by default leaves room for models beside it.
_CONFIG: dict[str, Any] = {"memory_limit": "2GB", "preserve_insertion_order": "true"}


def _make(path: Path) -> None:
    """Make an empty project; it is whole when it appears, and another one is not written over."""
    person, name = require("admin", CREATE), path.name.removesuffix(SUFFIX)
    check_name(name, "project file")
    folder = partial_path(path)
    partial = folder / path.name
    try:
        private_folder(folder)
        with duckdb.connect(str(partial), config=_CONFIG) as connection:
            partial.chmod(PRIVATE_FILE)
            connection.begin()
            connection.execute(SCHEMA)
            connection.execute(
                "INSERT INTO meta VALUES ('schema_version', ?), ('name', ?), ('made', ?)",
                [str(SCHEMA_VERSION), name, now().isoformat(timespec="seconds")],
            )
            _log(connection, person, CREATE, {"name": name})
            connection.commit()
            connection.execute("CHECKPOINT")  # by itself it would not say that the disk is full
        _appear(partial, path)
    except (OSError, duckdb.Error) as error:
        raise file_problem(path, error) or ProjectError(
            f"no project can be made at {path} ({error}): choose a folder of your own"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _appear(partial: Path, path: Path) -> None:
    try:
        os.link(partial, path)
    except FileExistsError:  # another process was sooner
        return
    except OSError:  # a disk without links
        os.rename(partial, path)


def look_at(path: Path) -> None:
    """Read a project file without a change to it or its log, to see that it is one.

    Raises ProjectError for what is no project, ProjectVersionError for one of another version.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(12)
        if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, "it or its folder is read-only")
    except OSError as error:
        raise ProjectError(
            f"{path} cannot be opened ({error.strerror}): copy it into a folder of your own"
        ) from error
    if begins[8:] != b"DUCK":
        raise ProjectError(_no_project(path))
    with _attached(path) as looker:
        tables = looker.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'file'"
        )
        if not {name for (name,) in tables.fetchall()} >= _OURS:
            raise ProjectError(_no_project(path))
        query = "SELECT value::BIGINT FROM file.meta WHERE key = 'schema_version'"
        _check_version(whole_number(looker, query), path)


_looking = threading.Lock()


@cache
def _looker() -> duckdb.DuckDBPyConnection:
    """A DuckDB without a file of its own: making one takes ten times as long as a look."""
    atexit.register(_looker.cache_clear)
    return duckdb.connect(config={"threads": 1})


@contextmanager
def _attached(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A project file to be read only, as the database `file`; nobody else looks meanwhile."""
    quoted = str(path).replace("'", "''")
    with _looking:
        try:
            looker = _looker()
            looker.execute(f"ATTACH '{quoted}' AS file (READ_ONLY)")
            try:
                yield looker
            finally:
                looker.execute("DETACH file")
        except duckdb.Error:
            _looker.cache_clear()  # some errors end all work of a DuckDB
            raise


def _check_version(found: int, path: Path) -> None:
    """Raises ProjectVersionError for a file of another version."""
    if found == SCHEMA_VERSION:
        return
    remedy = (
        "update Deita Studio to open it"
        if found > SCHEMA_VERSION
        else "open it with the version that made it, or import its files into a new project"
    )
    raise ProjectVersionError(
        f"{path} has schema version {found}, but this Deita Studio reads version "
        f"{SCHEMA_VERSION}: {remedy}"
    )


def _no_project(path: Path) -> str:
    """The sentence for a file that is not ours; one with snapshots was ours once."""
    if list_snapshots(path):
        return str(damaged(path, "its beginning is not that of a project file"))
    made = f"choose a file that ends in {SUFFIX} and was made by Deita Studio"
    return f"{path} is not a project file: {made}"


def _connect(path: Path, wait: float) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + wait
    while True:
        try:
            with suppress(duckdb.ResourceInUseException):  # open in this process, so looked at
                look_at(path)
            return duckdb.connect(str(path), config=_CONFIG)
        except duckdb.Error as error:
            if "Could not set lock" not in str(error):
                raise file_problem(path, error) or damaged(path, str(error)) from error
            if time.monotonic() >= deadline:
                raise ProjectLockedError(_who_has_it(path, str(error))) from error
            time.sleep(0.2)


def _who_has_it(path: Path, message: str) -> str:
    found = re.search(r"PID (\d+)", message)
    who = f"process {found[1]}" if found else "another process"
    if found:
        with suppress(psutil.Error):
            who += f" ({' '.join(psutil.Process(int(found[1])).cmdline()[:6])})"
    return (
        f"{path.name} is open in {who}: close it there first (stop the app, or wait for the "
        f"command to end), or work on a copy"
    )
