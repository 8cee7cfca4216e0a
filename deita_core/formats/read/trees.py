"""Message trees, nested or flat, and the path through a tree (docs/formats.md) that is the row.

The records of a flat tree are its messages, each with the id of its parent (OASST). These need not
stand together, so they are gathered in a temporary SQLite file: memory does not grow with the pool.
Rows come in the order in which the first message of each tree stands in the file.
"""

from __future__ import annotations

import json
import math
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from deita_core.conversation import Message, without_surrogates
from deita_core.formats.read.layout import (
    MISSING,
    Column,
    Fields,
    Layout,
    Mapping,
    RowError,
    as_list,
    found_columns,
    lookup,
    need_object,
    role_of,
)
from deita_core.formats.read.text import Damage, Record

TEXT = Column("text", "what is said", ("text", "content", "message", "value"), True)
ROLE = Column("role", "who speaks", ("role", "from", "author", "speaker"), True)
_BEST = "the rank among the replies to one message, 0 is the best"
RANK = Column("rank", _BEST, ("rank",), shape=True)
DELETED = Column("deleted", "whether the message was deleted", ("deleted",), shape=True)
_FIRST = "the first message; empty when it is the record itself"
_ROOT = Column("root", _FIRST, ("prompt", "root"), shape=True)
_REPLIES = Column("replies", "the replies to a message", ("replies", "children"), True)
_NESTED = (_ROOT, _REPLIES, TEXT, ROLE, RANK, DELETED)


@dataclass(slots=True)
class Node:
    """One message of a tree; rank is infinite where the file has none."""

    role: object
    text: object
    rank: float = math.inf
    deleted: bool = False
    replies: list[Node] = field(default_factory=list)


def _node_of(record: object, mapping: Mapping) -> Node:
    """The message of a record, without its replies. Raises RowError."""
    named = need_object(record)
    role, text, rank, deleted = (
        lookup(named, mapping.columns.get(name, name))
        for name in ("role", "text", "rank", "deleted")
    )
    if role is MISSING or text is MISSING:
        raise RowError(f"a message has no role or no text (it has: {', '.join(named)[:200]})")
    is_deleted = deleted is True or str(deleted).lower() in ("true", "1")
    return Node(role, text, _rank(rank), is_deleted)


def _rank(value: object) -> float:
    number = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            number = float(value)
    return math.inf if math.isnan(number) else number


def _best_path(root: Node, fields: Fields) -> list[Message]:
    """The messages of the best-ranked path from `root`. Raises RowError when it is deleted."""
    if root.deleted:
        raise RowError("the first message of the tree was deleted")
    path = [root]
    while (reply := _best_reply(path[-1])) is not None:
        path.append(reply)
    if len(path) > 1 and role_of(path[-1].role, fields.mapping.roles) == "user":
        path.pop()
        fields.notes.append("a last question without an answer was left out")
    return [Message(fields.role(node.role), fields.as_text(node.text)) for node in path]


def _best_reply(node: Node) -> Node | None:
    living = (reply for reply in node.replies if not reply.deleted)
    return min(living, key=lambda r: (r.rank, all(x.deleted for x in r.replies)), default=None)


def _nested_columns(record: object) -> dict[str, str] | None:
    for name in ("", *_ROOT.aliases):
        root = lookup(record, name) if name else record
        found = found_columns(_NESTED[1:], root)
        if found and isinstance(lookup(root, found["replies"]), list):
            return {"root": name, **found} if name else found
    return None


def _nested_messages(fields: Fields) -> list[Message]:
    path = fields.mapping.columns.get("root")
    root = lookup(need_object(fields.record), path) if path else fields.record
    if root is MISSING:
        raise RowError("it has no first message")
    return _best_path(_nested_node(root, fields.mapping), fields)


def _nested_node(record: object, mapping: Mapping) -> Node:
    # A loop rather than recursion: a tree can be deeper than Python's stack.
    top = _node_of(record, mapping)
    open_nodes = [(top, record)]
    while open_nodes:
        node, source = open_nodes.pop()
        children = lookup(source, mapping.columns.get("replies", "replies"))
        for child in children if isinstance(children, list) else ():
            reply = _node_of(child, mapping)
            node.replies.append(reply)
            open_nodes.append((reply, child))
    return top


NESTED_TREE = Layout(
    "nested_tree",
    "Message tree, nested",
    "Each record is a tree: messages with their replies inside; the best-ranked path is taken.",
    _NESTED,
    _nested_columns,
    _nested_messages,
)


_ID = Column("id", "the id of a message", ("message_id", "id"), True)
_PARENT = Column("parent", "the id of the message it replies to", ("parent_id", "parent"), True)
_TREE_IDS = ("message_tree_id", "tree_id", "conversation_id", "root_id")
_TREE = Column("tree", "the id of its tree", _TREE_IDS, shape=True)
_FLAT = (_ID, _PARENT, _TREE, TEXT, ROLE, RANK, DELETED)

# kind: 0 a message, 1 damage or a record that is no message. tree: NULL until it is known.
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
    SELECT *, min(position) OVER (PARTITION BY kind, coalesce(tree, '#' || position)) AS first
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
    raw = without_surrogates(item.raw)
    reason = "it is no message of a tree: it has no id"
    if isinstance(item, Damage):
        reason = without_surrogates(item.reason)
    else:
        fields = Fields(item.value, mapping)
        own, parent, tree = (_key(fields.value(name)) for name in ("id", "parent", "tree"))
        if own is not None and (tree is not None or not mapping.columns.get("tree")):
            return (position, 0, item.line, own, parent, tree, raw, None)
    return (position, 1, item.line, None, None, None, raw, reason)


def _key(value: object) -> str | None:
    return None if value in (MISSING, None, "") else without_surrogates(str(value))


def _trees(rows: Iterable[tuple[int, int, int | None, str, str]]) -> Iterator[Record | Damage]:
    # Damage and records without an id are in no tree: each has a `first` of its own.
    for _, tree in groupby(rows, key=itemgetter(0)):
        (_, kind, line, raw, reason), *others = tree
        if kind:
            yield Damage(line, raw, reason)
        else:
            messages = [raw, *(message for _, _, _, message, _ in others)]
            value = [json.loads(message, strict=False) for message in messages]
            yield Record(line, f"[{','.join(messages)}]", value)


def _flat_messages(fields: Fields) -> list[Message]:
    messages, mapping = as_list(fields.record) or [], fields.mapping
    nodes: dict[str, Node] = {}
    for message in messages:
        own = _key(lookup(need_object(message), mapping.columns["id"]))
        if own is None or own in nodes:
            raise RowError("a message of the tree has no id, or one that another message has")
        nodes[own] = _node_of(message, mapping)
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
    if not roots:
        raise RowError("the first message of the tree is missing: its messages are orphans")
    path = _best_path(next((root for root in roots if not root.deleted), roots[0]), fields)
    if len(roots) > 1:
        fields.notes.append(f"the tree has {len(roots)} first messages, one was taken")
    if orphans:
        fields.notes.append(f"{orphans} messages whose parent is missing were left out")
    return path


FLAT_TREE = Layout(
    "flat_tree",
    "Message tree, flat",
    "Each record is one message with its parent's id (OASST); a row is a whole tree, the "
    "best-ranked path through it.",
    _FLAT,
    partial(found_columns, _FLAT),
    _flat_messages,
)
