"""Message trees written as one record per message, each with the id of its parent (OASST).

The messages of a tree need not stand together, so they are gathered in a temporary SQLite file
next to other temporary files: memory does not grow with the pool, disk does by its size.
Rows come in the order in which the first message of each tree stands in the file.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from deita_core.formats.layout import (
    MISSING,
    Column,
    Draft,
    Layout,
    RowError,
    as_list,
    found_columns,
    lookup,
    need_object,
)
from deita_core.formats.model import Mapping
from deita_core.formats.record import Damage, Record
from deita_core.formats.trees import DELETED, RANK, ROLE, TEXT, Node, best_path, node_of

_ID = Column("id", "the id of a message", ("message_id", "id"), True)
_PARENT = Column("parent", "the id of the message it replies to", ("parent_id", "parent"), True)
_TREE = Column(
    "tree",
    "the id of its tree",
    ("message_tree_id", "tree_id", "conversation_id", "root_id"),
    shape=True,
)
_COLUMNS = (_ID, _PARENT, _TREE, TEXT, ROLE, RANK, DELETED)

# kind: 0 a message, 1 a record that is none, 2 damage. tree: NULL until it is known.
_SCHEMA = """
CREATE TABLE found (position INTEGER PRIMARY KEY, kind INTEGER, line INTEGER, id TEXT,
                    parent TEXT, tree TEXT, raw TEXT, reason TEXT)
"""
# Without ids of trees: from every message whose parent is not in the file, down the replies.
_NAME_TREES = """
CREATE INDEX by_parent ON found (parent);
CREATE INDEX by_id ON found (id);
CREATE TABLE reached AS
WITH RECURSIVE walk (position, tree) AS (
    SELECT position, position FROM found f WHERE kind = 0
        AND NOT EXISTS (SELECT 1 FROM found p WHERE p.kind = 0 AND p.id = f.parent)
    UNION
    SELECT f.position, walk.tree FROM walk JOIN found p ON p.position = walk.position
        JOIN found f ON f.parent = p.id AND f.kind = 0)
SELECT position, min(tree) AS tree FROM walk GROUP BY position;
CREATE UNIQUE INDEX reached_at ON reached (position);
UPDATE found SET tree = (SELECT tree FROM reached r WHERE r.position = found.position)
    WHERE kind = 0;
"""
_IN_ORDER = """
SELECT first, kind, line, raw, reason FROM (
    SELECT *, min(position) OVER (PARTITION BY coalesce(tree, '#' || position)) AS first
    FROM found) ORDER BY first, position
"""


def gather(found: Iterable[Record | Damage], mapping: Mapping) -> Iterator[Record | Damage]:
    """One record per tree, its value the list of its messages; damage keeps its place."""
    with (
        tempfile.TemporaryDirectory(prefix="trees-") as folder,
        closing(sqlite3.connect(Path(folder) / "messages.sqlite")) as database,
    ):
        database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        database.execute(_SCHEMA)
        database.executemany(
            "INSERT INTO found VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (_entry(at, item, mapping) for at, item in enumerate(found)),
        )
        if not mapping.columns.get("tree"):
            database.executescript(_NAME_TREES)
        yield from _trees(database.execute(_IN_ORDER))


def _entry(position: int, item: Record | Damage, mapping: Mapping) -> tuple[object, ...]:
    if isinstance(item, Damage):
        raw, reason = _storable(item.raw), _storable(item.reason)
        return (position, 2, item.line, None, None, None, raw, reason)
    value = item.value
    own, parent, tree = (
        _key(lookup(value, path)) if (path := mapping.columns.get(name)) else None
        for name in ("id", "parent", "tree")
    )
    if own is None or (mapping.columns.get("tree") and tree is None):
        reason = "it is no message of a tree: it has no id"
        return (position, 1, item.line, None, None, None, _storable(item.raw), reason)
    return (position, 0, item.line, own, parent, tree, _storable(item.raw), None)


def _key(value: object) -> str | None:
    return None if value in (MISSING, None, "") else _storable(str(value))


def _storable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _trees(rows: Iterable[tuple[int, int, int | None, str, str]]) -> Iterator[Record | Damage]:
    messages: list[str] = []
    first: int | None = None
    start: int | None = None
    for tree, kind, line, raw, reason in rows:
        if messages and tree != first:
            yield _tree(messages, start)
            messages = []
        if kind:
            yield Damage(line, raw, reason)
            continue
        if not messages:
            first, start = tree, line
        messages.append(raw)
    if messages:
        yield _tree(messages, start)


def _tree(messages: list[str], line: int | None) -> Record:
    raw = f"[{','.join(messages)}]"
    return Record(line, raw, [json.loads(message, strict=False) for message in messages])


def _columns(record: object) -> dict[str, str] | None:
    if not isinstance(record, dict):
        return None
    found = found_columns(record, _COLUMNS)
    return found if {"id", "parent", "text", "role"} <= set(found) else None


def _draft(record: object, mapping: Mapping) -> Draft:
    messages = as_list(record) or []
    nodes: dict[str, Node] = {}
    for message in messages:
        own = _key(lookup(need_object(message), mapping.columns["id"]))
        if own is None or own in nodes:
            raise RowError("a message of the tree has no id, or one that another message has")
        nodes[own] = node_of(message, mapping)
    roots: list[Node] = []
    orphans = 0
    for message, node in zip(messages, nodes.values(), strict=True):
        parent = _key(lookup(message, mapping.columns["parent"]))
        if parent is None:
            roots.append(node)
        elif parent in nodes:
            nodes[parent].replies.append(node)
        else:
            orphans += 1
    return _from_roots(roots, orphans, mapping)


def _from_roots(roots: list[Node], orphans: int, mapping: Mapping) -> Draft:
    if not roots:
        raise RowError("the first message of the tree is missing: its messages are orphans")
    living = [root for root in roots if not root.deleted]
    if not living:
        raise RowError("the first message of the tree was deleted")
    draft = best_path(living[0], mapping)
    if len(roots) > 1:
        draft.notes.append(f"the tree has {len(roots)} first messages, one was taken")
    if orphans:
        draft.notes.append(f"{orphans} messages whose parent is missing were left out")
    return draft


FLAT_TREE = Layout(
    "flat_tree",
    "Message tree, flat",
    "Each record is one message with its parent's id (OASST); a row is a whole tree, the "
    "best-ranked path through it.",
    _COLUMNS,
    _columns,
    _draft,
)
