"""Message trees: nested ones (`replies`), and the path through a tree that becomes the row.

The path starts at the root and takes, at each message, the reply with the best rank (0 is the
best; unranked ones come after ranked ones), among equals one that was itself answered, then the
first in the file. Deleted messages and their replies are left out. The path stops before a
question nobody answered, unless that question is the root: then the row has no response.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from deita_core.conversation import Message
from deita_core.formats.layout import (
    MISSING,
    Column,
    Draft,
    Layout,
    RowError,
    as_text,
    found_columns,
    lookup,
    need_object,
)
from deita_core.formats.model import Mapping
from deita_core.formats.roles import role_of

TEXT = Column("text", "what is said", ("text", "content", "message", "value"), True)
ROLE = Column("role", "who speaks", ("role", "from", "author", "speaker"), True)
RANK = Column(
    "rank", "the rank among the replies to one message, 0 is the best", ("rank",), shape=True
)
DELETED = Column("deleted", "whether the message was deleted", ("deleted",), shape=True)
_ROOT = Column(
    "root", "the first message; empty when it is the record itself", ("prompt", "root"), shape=True
)
_REPLIES = Column("replies", "the replies to a message", ("replies", "children"), True)
_NESTED = (_ROOT, _REPLIES, TEXT, ROLE, RANK, DELETED)


@dataclass(slots=True)
class Node:
    """One message of a tree; rank is infinite where the file has none."""

    role: object
    text: object
    rank: float = float("inf")
    deleted: bool = False
    replies: list[Node] = field(default_factory=list)


def node_of(record: object, mapping: Mapping) -> Node:
    """The message of a record, without its replies. Raises RowError."""
    named = need_object(record)
    role = lookup(named, mapping.columns.get("role", "role"))
    text = lookup(named, mapping.columns.get("text", "text"))
    if role is MISSING or text is MISSING:
        raise RowError(f"a message has no role or no text (it has: {', '.join(named)[:200]})")
    rank = lookup(named, mapping.columns.get("rank", "rank"))
    deleted = lookup(named, mapping.columns.get("deleted", "deleted"))
    is_deleted = deleted is True or str(deleted).lower() in ("true", "1")
    return Node(role, text, _number(rank), is_deleted)


def _number(value: object) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return float("inf")
        return number if number == number else float("inf")
    return float("inf")


def best_path(root: Node, mapping: Mapping) -> Draft:
    """The messages of the best-ranked path from `root`. Raises RowError when it is deleted."""
    if root.deleted:
        raise RowError("the first message of the tree was deleted")
    notes: list[str] = []
    path = [root]
    while (reply := _best_reply(path[-1])) is not None:
        path.append(reply)
    if len(path) > 1 and _is_user(path[-1], mapping):
        path.pop()
        notes.append("a last question without an answer was left out")
    messages: list[Message] = []
    for node in path:
        role = role_of(node.role, mapping.roles)
        if role is None:
            raise RowError(f"the role {node.role!r} is not known: map it to one of ours")
        messages.append(Message(role, as_text(node.text, notes)))
    return Draft(messages, None, notes)


def _best_reply(node: Node) -> Node | None:
    living = [reply for reply in node.replies if not reply.deleted]
    if not living:
        return None
    return min(living, key=lambda reply: (reply.rank, all(r.deleted for r in reply.replies)))


def _is_user(node: Node, mapping: Mapping) -> bool:
    return role_of(node.role, mapping.roles) == "user"


def _nested_columns(record: object) -> dict[str, str] | None:
    if not isinstance(record, dict):
        return None
    for name in ("", *_ROOT.aliases):
        root = record.get(name) if name else record
        if not isinstance(root, dict):
            continue
        found = found_columns(root, _NESTED[1:])
        if {"replies", "text", "role"} <= set(found) and isinstance(root[found["replies"]], list):
            return {"root": name, **found} if name else found
    return None


def _draft_nested(record: object, mapping: Mapping) -> Draft:
    root = lookup(need_object(record), path) if (path := mapping.columns.get("root")) else record
    if root is MISSING:
        raise RowError("it has no first message")
    return best_path(_nested_node(root, mapping), mapping)


def _nested_node(record: object, mapping: Mapping) -> Node:
    # A loop rather than recursion: a tree can be deeper than Python's stack.
    top = node_of(record, mapping)
    open_nodes = [(top, record)]
    while open_nodes:
        node, source = open_nodes.pop()
        for child in _children(source, mapping):
            reply = node_of(child, mapping)
            node.replies.append(reply)
            open_nodes.append((reply, child))
    return top


def _children(record: object, mapping: Mapping) -> Iterator[object]:
    replies = lookup(record, mapping.columns.get("replies", "replies"))
    if isinstance(replies, list):
        yield from replies


NESTED_TREE = Layout(
    "nested_tree",
    "Message tree, nested",
    "Each record is a tree: messages with their replies inside; the best-ranked path is taken.",
    _NESTED,
    _nested_columns,
    _draft_nested,
)
