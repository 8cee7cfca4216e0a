"""The ledger: every decision about a row as an appended line, and what stands of them now.

A line is never changed or deleted. Lines that were decided in one go (a batch of a reviewer, a tag
on ten thousand rows) share an entry; undoing it appends the lines that bring back what stood
before. Lines of an edit hold the new text whole: version 0 is what was imported.

Decisions leave the data version alone, and have a counter of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from deita_core import people
from deita_core.conversation import Conversation
from deita_core.errors import ProjectError, ReviewError
from deita_core.project.store import Project, count_up, next_number, now, whole_number
from deita_core.review.decision import Decision, Kind, check_word, empty_kind, slot_of

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

DECISIONS_VERSION: Final = "decisions_version"
PINS_VERSION: Final = "pins_version"
DECIDE, UNDO = "decide", "undo decisions"

# Lines are numbered in their order; what each replaces is the line before it in its slot, be that
# in the ledger or among the new lines themselves.
_APPEND = """
INSERT INTO decisions
WITH fresh AS (SELECT *, $first + nth AS number FROM lines),
before AS (
    SELECT row, slot, max(number) AS number FROM decisions
    WHERE row IN (SELECT row FROM lines) AND (
        slot IN ('pin', 'edit') OR starts_with(slot, 'tag:')
        OR (author = $author AND queue IS NOT DISTINCT FROM $queue))
    GROUP BY ALL),
edited AS (SELECT row, max(version) AS version FROM decisions WHERE slot = 'edit' GROUP BY row)
SELECT f.number, $entry, $made, $who, $session, $author, f.row,
       coalesce(f.version, e.version, 0), f.slot, f.kind, f.value, f.why,
       coalesce(lag(f.number) OVER (PARTITION BY f.row, f.slot ORDER BY f.number), b.number),
       $queue, f.client
FROM fresh f LEFT JOIN before b USING (row, slot) LEFT JOIN edited e ON e.row = f.row
ORDER BY f.number
"""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of decisions. entry: their number together, 0 when nothing was new. lines: how
    many were appended. repeated: those that had come before."""

    entry: int
    lines: int
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One decision.

    id: of the conversation. replaces: number of the line that stood before it. queue: name of the
    queue it was made in. made: UTC. who: who acted; author: whose decision it is.
    """

    number: int
    entry: int
    made: datetime
    who: str
    session: str
    author: str
    row: int
    id: str
    version: int
    kind: str
    value: str
    why: str
    replaces: int | None
    queue: str | None
    client: str


@dataclass(frozen=True, slots=True)
class TagCount:
    """A tag and how many rows have it."""

    tag: str
    rows: int


# writing


def lines_of(
    rows: Sequence[int], kind: Kind, value: str = "", *, why: str = "", client: str = ""
) -> pa.Table:
    """The same decision about many rows, as `append` takes it."""
    import pyarrow as pa

    count = len(rows)
    texts = {"slot": slot_of(kind, value), "kind": kind, "value": value, "why": why}
    return pa.table(
        {
            "nth": pa.array(range(count), pa.int64()),
            "row": pa.array(rows, pa.int32()),
            "version": pa.nulls(count, pa.int32()),
            **{name: pa.repeat(text, count) for name, text in texts.items()},
            "client": pa.repeat(client, count),
        }
    )


def lines_of_decisions(decisions: Sequence[Decision]) -> pa.Table:
    """Single decisions, as `append` takes them."""
    import pyarrow as pa

    columns = ("row", "version", "slot", "kind", "value", "why", "client")
    types = {"row": pa.int32(), "version": pa.int32()}
    made = {
        name: pa.array([getattr(one, name) for one in decisions], types.get(name, pa.string()))
        for name in columns
    }
    return pa.table({"nth": pa.array(range(len(decisions)), pa.int64()), **made})


def joined_lines(parts: Sequence[pa.Table]) -> pa.Table:
    """Several of what `append` takes as one, numbered through."""
    import pyarrow as pa

    lines = pa.concat_tables(parts)
    place = lines.column_names.index("nth")
    return lines.set_column(place, "nth", pa.array(range(len(lines)), pa.int64()))


def append(
    cursor: duckdb.DuckDBPyConnection, lines: pa.Table, *, author: str, queue: int | None = None
) -> int:
    """Add lines to the ledger inside a transaction; returns their entry, 0 for no lines.

    author: whose decisions they are. It is for the functions of the project that write: they see
    to the transaction and to the role.
    """
    if not len(lines):
        return 0
    person = people.current_person() or people.local_person()
    entry = count_up(cursor, "entry")
    cursor.register("lines", lines)
    cursor.execute(
        _APPEND,
        {
            "first": next_number(cursor, "decisions", "number"),
            "entry": entry,
            "made": now(),
            "who": person.label,
            "session": person.session,
            "author": author,
            "queue": queue,
        },
    )
    cursor.unregister("lines")
    count_up(cursor, DECISIONS_VERSION)
    if "pin" in lines["slot"].unique().to_pylist():
        count_up(cursor, PINS_VERSION)
    return entry


def check_rows(cursor: duckdb.DuckDBPyConnection, rows: Sequence[int]) -> None:
    """Raises ProjectError for rows, each given once, that the project has not."""
    query = "SELECT count(*) FROM conversations WHERE row IN (SELECT unnest(?::INTEGER[]))"
    if unknown := len(rows) - whole_number(cursor, query, rows):
        raise ProjectError(
            f"{unknown} of {len(rows)} rows are not in this project: choose rows that it has"
        )


def without_repeats(
    cursor: duckdb.DuckDBPyConnection, decisions: Sequence[Decision]
) -> list[Decision]:
    """Those whose client id was not in the ledger, nor earlier among them.

    Raises ReviewError when the id of another decision is used again.
    """
    ids = sorted({one.client for one in decisions if one.client})
    found = cursor.execute(
        "SELECT client, row, kind, value FROM decisions "
        "WHERE client <> '' AND client IN (SELECT unnest(?::VARCHAR[]))",
        [ids],
    ).fetchall()
    known = {client: said for client, *said in found}
    fresh = []
    for one in decisions:
        said = [one.row, one.kind, one.value]
        if known.get(one.client, said) != said:
            raise ReviewError(
                f"the id {one.client!r} belongs to another decision already: give each its own"
            )
        if one.client not in known:
            fresh.append(one)
        if one.client:
            known[one.client] = said
    return fresh


def check_versions(cursor: duckdb.DuckDBPyConnection, decisions: Sequence[Decision]) -> None:
    """Raises ReviewError for a decision on a version that its row has not."""
    for one in decisions:
        if one.version is None:
            continue
        query = "SELECT max(version) FROM decisions WHERE slot = 'edit' AND row = ?"
        newest = whole_number(cursor, query, one.row)
        if not 0 <= one.version <= newest:
            raise ReviewError(
                f"row {one.row} has no version {one.version}: its newest is {newest}; read it again"
            )


def decide(project: Project, decisions: Sequence[Decision], *, author: str = "") -> Receipt:
    """Append decisions that belong to no queue; those that came before are left out.

    author: whose they are; of who logged in, it is their own name whatever is given here.
    Raises ReviewError or ProjectError, and appends nothing then.
    """
    what: dict[str, Any] = {}
    with project.transaction("reviewer", DECIDE, what, changes_data=False) as cursor:
        fresh = without_repeats(cursor, decisions)
        check_rows(cursor, sorted({one.row for one in fresh}))
        check_versions(cursor, fresh)
        entry = append(
            cursor, lines_of_decisions(fresh), author=check_word(people.reviewer(author), "name")
        )
        if entry:
            what |= {"entry": entry, "decisions": len(fresh)}
    return Receipt(entry, len(fresh), len(decisions) - len(fresh))


def tag_rows(
    project: Project,
    rows: Sequence[int],
    tag: str,
    *,
    remove: bool = False,
    why: str = "",
    author: str = "",
) -> Receipt:
    """Put a tag on rows, or take it off, as one entry; rows where nothing changes are left out.

    Raises ReviewError for what is no tag, ProjectError for a row that is not in the project.
    """
    check_word(tag, "tag")
    wanted = sorted({int(row) for row in rows})
    what: dict[str, Any] = {}
    action = "take a tag off rows" if remove else "tag rows"
    with project.transaction("reviewer", action, what, changes_data=False) as cursor:
        check_rows(cursor, wanted)
        has = set(_tagged(cursor, tag))
        wanted = [row for row in wanted if (row in has) == remove]
        lines = lines_of(wanted, "untag" if remove else "tag", tag, why=why)
        entry = append(cursor, lines, author=check_word(people.reviewer(author), "name"))
        if entry:
            what |= {"tag": tag, "rows": wanted, "entry": entry}
    return Receipt(entry, len(wanted))


def undo(project: Project, entry: int, *, author: str = "") -> Receipt:
    """Bring back what stood before an entry, where its lines still stand.

    A reviewer can undo what they decided themselves, a curator everything. Raises ReviewError when
    there is no such entry.
    """
    what: dict[str, Any] = {}
    with project.transaction("reviewer", UNDO, what, changes_data=False) as cursor:
        found = cursor.execute(
            "SELECT DISTINCT who, author, queue FROM decisions WHERE entry = ?", [entry]
        ).fetchall()
        if not found:
            raise ReviewError(f"there is no entry {entry} in the ledger: look at the decisions")
        who, whose, queue = found[0]
        person = people.current_person()
        if person is None or person.label != who:
            people.require("curator", "undo what somebody else decided")
        lines = _lines_back(cursor, entry)
        # A reviewer's own slot is taken back in their name; a fact about a row in one's own.
        own = not any(
            slot.startswith(("pin", "tag:", "edit")) for slot in lines["slot"].to_pylist()
        )
        name = whose if own else people.reviewer(author)
        undone = append(cursor, lines, author=name, queue=queue)
        if undone:
            what |= {"undone": entry, "entry": undone, "decisions": len(lines)}
    return Receipt(undone, len(lines))


def _lines_back(cursor: duckdb.DuckDBPyConnection, entry: int) -> pa.Table:
    """What `append` takes to bring back what stood before the lines of an entry."""
    import pyarrow as pa

    found = cursor.execute(
        "SELECT s.row, s.slot, s.version, r.kind, r.value, r.why FROM standing s "
        "LEFT JOIN decisions r ON r.number = s.replaces WHERE s.entry = ? ORDER BY s.number",
        [entry],
    ).fetchall()
    back = []
    for row, slot, version, kind, value, why in found:
        if slot == "edit":
            text = value or _original(cursor, row)
            back.append((row, version + 1, slot, "edit", text, "undone"))
        elif kind is None:
            nothing = empty_kind(slot)
            word = slot if nothing == "withdraw" else slot.partition(":")[2]
            back.append((row, version, slot, nothing, word, ""))
        else:
            back.append((row, version, slot, kind, value, why))
    names = ("row", "version", "slot", "kind", "value", "why")
    types = {"row": pa.int32(), "version": pa.int32()}
    columns = {
        name: pa.array([line[at] for line in back], types.get(name, pa.string()))
        for at, name in enumerate(names)
    }
    columns["client"] = pa.repeat("", len(back))
    return pa.table({"nth": pa.array(range(len(back)), pa.int64()), **columns})


# versions of a row's text


def edit_row(
    project: Project,
    row: int,
    text: Conversation,
    *,
    of: int,
    why: str = "",
    author: str = "",
    client: str = "",
) -> int:
    """Keep a corrected text of a row as its newest version; returns the version's number.

    of: the version that was corrected. client: as of a `Decision`; an edit that came before is left
    as it is. Raises ReviewError when there is a newer one by now, when nothing changed, or when the
    roles of the messages or the tools are others.
    """
    what: dict[str, Any] = {}
    with project.transaction("reviewer", "edit a row", what, changes_data=False) as cursor:
        check_rows(cursor, [row])
        if client:
            known = cursor.execute(
                "SELECT version FROM decisions WHERE client = ? AND slot = 'edit' AND row = ?",
                [client, row],
            ).fetchall()
            if known:
                return int(known[0][0])
        newest, author_of, before = _newest(cursor, row)
        if newest != of:
            raise ReviewError(
                f"row {row} is at version {newest} by {author_of}, yours corrects version {of}: "
                "read it again"
            )
        if [m.role for m in text.messages] != [m.role for m in before.messages]:
            raise ReviewError(f"an edit of row {row} keeps its messages: change their texts alone")
        if text.id == before.id:
            raise ReviewError(f"the text of row {row} is the same as before: change it first")
        lines = lines_of_edit(row, newest + 1, text, why, client)
        entry = append(cursor, lines, author=check_word(people.reviewer(author), "name"))
        what |= {"row": row, "version": newest + 1, "entry": entry}
    return newest + 1


def lines_of_edit(
    row: int, version: int, text: Conversation, why: str, client: str = ""
) -> pa.Table:
    """The line of an edit, as `append` takes it."""
    import pyarrow as pa

    lines = lines_of([row], "edit", text.to_json(), why=why, client=client)
    place = lines.column_names.index("version")
    return lines.set_column(place, "version", pa.array([version], pa.int32()))


def row_text(project: Project, row: int, version: int | None = None) -> tuple[int, Conversation]:
    """Number and text of a version of a row; None: the newest.

    Raises ReviewError when the row has no such version.
    """
    with project.reading() as cursor:
        if version is None:
            newest, _, text = _newest(cursor, row)
            return newest, text
        said = _original(cursor, row) if version == 0 else ""
        if version:
            found = cursor.execute(
                "SELECT value FROM decisions WHERE slot = 'edit' AND row = ? AND version = ?",
                [row, version],
            ).fetchall()
            if not found:
                raise ReviewError(f"row {row} has no version {version}: ask for an earlier one")
            said = found[0][0]
        return version, Conversation.from_json(said, _tools(cursor, row))


def _newest(cursor: duckdb.DuckDBPyConnection, row: int) -> tuple[int, str, Conversation]:
    """Number, author and text of the newest version."""
    found = cursor.execute(
        "SELECT version, author, value FROM decisions WHERE slot = 'edit' AND row = ? "
        "ORDER BY number DESC LIMIT 1",
        [row],
    ).fetchall()
    version, author, said = found[0] if found else (0, "the file", _original(cursor, row))
    return version, author, Conversation.from_json(said, _tools(cursor, row))


def _original(cursor: duckdb.DuckDBPyConnection, row: int) -> str:
    found = cursor.execute("SELECT messages FROM conversations WHERE row = ?", [row]).fetchall()
    if not found:
        raise ProjectError(f"there is no row {row} in this project: rows start at 0")
    return str(found[0][0])


def _tools(cursor: duckdb.DuckDBPyConnection, row: int) -> str | None:
    found = cursor.execute("SELECT tools FROM conversations WHERE row = ?", [row]).fetchall()
    tools: str | None = found[0][0]
    return tools


# reading


def _tagged(cursor: duckdb.DuckDBPyConnection, tag: str) -> list[int]:
    found = cursor.execute(
        "SELECT row FROM decisions WHERE slot = ? "
        "QUALIFY number = max(number) OVER (PARTITION BY row) AND kind = 'tag' ORDER BY row",
        [f"tag:{tag}"],
    )
    return [row for (row,) in found.fetchall()]


def rows_with_tag(project: Project, tag: str) -> list[int]:
    """The rows that have this tag, ascending."""
    with project.reading() as cursor:
        return _tagged(cursor, tag)


def tags(project: Project) -> list[TagCount]:
    """Every tag that a row has, the most common first."""
    found = project.rows(
        "SELECT value, count(*) FROM (SELECT row, value FROM decisions "
        "WHERE kind IN ('tag', 'untag') GROUP BY row, value HAVING arg_max(kind, number) = 'tag') "
        "GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    return [TagCount(*row) for row in found]


def tagged_rows(project: Project) -> list[tuple[int, str]]:
    """Every row with each of its tags."""
    return [
        (row, tag)
        for row, tag in project.rows("SELECT row, value FROM standing WHERE kind = 'tag'")
    ]


def tags_of(project: Project, row: int) -> list[str]:
    """The tags of a row, by name."""
    return project.values(
        "SELECT value FROM standing WHERE row = ? AND kind = 'tag' ORDER BY 1", row
    )


_WANTED = """
($queue IS NULL OR q.name = $queue) AND ($author IS NULL OR d.author = $author)
  AND ($kind IS NULL OR d.kind = $kind) AND ($row IS NULL OR d.row = $row)
"""
_LINES = f"""
SELECT d.number, d.entry, d.made, d.who, d.session, d.author, d.row, c.id, d.version, d.kind,
       d.value, d.why, d.replaces, q.name AS queue, d.client
FROM decisions d LEFT JOIN conversations c USING (row) LEFT JOIN queues q USING (queue)
WHERE {_WANTED} ORDER BY d.number DESC LIMIT $limit OFFSET $offset
"""  # noqa: S608 - only text of ours goes in


def ledger_lines(
    project: Project,
    *,
    queue: str | None = None,
    author: str | None = None,
    kind: str | None = None,
    row: int | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[LedgerLine]:
    """Lines of the ledger, newest first; of one queue, author, kind or row."""
    given = {"queue": queue, "author": author, "kind": kind, "row": row}
    with project.reading() as cursor:
        found = cursor.execute(_LINES, given | {"limit": limit, "offset": offset}).fetchall()
    return [LedgerLine(*line) for line in found]


def ledger_length(
    project: Project,
    *,
    queue: str | None = None,
    author: str | None = None,
    kind: str | None = None,
    row: int | None = None,
) -> int:
    """How many lines there are of this queue, author, kind and row."""
    given = {"queue": queue, "author": author, "kind": kind, "row": row}
    query = f"SELECT count(*) FROM decisions d LEFT JOIN queues q USING (queue) WHERE {_WANTED}"  # noqa: S608 - only text of ours goes in
    with project.reading() as cursor:
        return int(cursor.execute(query, given).fetchall()[0][0])


def ledger_names(
    project: Project, column: Literal["author", "kind"], queue: int | None = None
) -> list[str]:
    """Every author, or every kind, in the ledger; of one queue, or of all."""
    return project.values(
        f"SELECT DISTINCT {column} FROM decisions WHERE ? IS NULL OR queue = ? ORDER BY 1",  # noqa: S608 - only names of ours go in
        *(queue, queue),
    )


def decisions_version(project: Project) -> int:
    """A number that grows with every appended entry: the key of what depends on decisions."""
    return project.counter(DECISIONS_VERSION)
