"""What a reviewer is shown of rows: the newest text, the original, tags, and what was decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from deita_core import people
from deita_core.conversation import Conversation
from deita_core.errors import ProjectError
from deita_core.project.store import Project


@dataclass(frozen=True, slots=True)
class Said:
    """One standing decision on a row: whose, in which slot, and what."""

    author: str
    slot: str
    kind: str
    value: str
    why: str = ""

    def sentence(self) -> str:
        """ "Ada: keep", "Ada: quality 4", with the reason where there is one."""
        said = self.kind if self.slot == "verdict" else f"{self.kind} {self.value}"
        return f"{self.author}: {said}{f' ({self.why})' if self.why else ''}"


@dataclass(frozen=True, slots=True)
class RowToReview:
    """A row of a queue. version: of its newest text; original: the text as imported, None where it
    is the newest. own: what this reviewer has decided of it in the queue."""

    row: int
    id: str
    source: str
    language: str | None
    flags: tuple[str, ...]
    version: int
    text: Conversation
    original: Conversation | None
    tags: tuple[str, ...]
    own: tuple[Said, ...]


_EDITED = """
SELECT row, version, value FROM standing
WHERE slot = 'edit' AND row IN (SELECT unnest(?::INTEGER[]))
"""


def rows_to_review(
    project: Project, queue: int, rows: Sequence[int], reviewer: str = ""
) -> list[RowToReview]:
    """The rows in their order; ProjectError for one that the project has not."""
    wanted, name = list(map(int, rows)), people.reviewer(reviewer)
    found = {
        row: facts
        for row, *facts in project.rows(
            "SELECT c.row, c.id, s.name, c.language, c.flags, c.messages, c.tools "
            "FROM conversations c JOIN sources s USING (source) "
            "WHERE c.row IN (SELECT unnest(?::INTEGER[]))",
            wanted,
        )
    }
    if missing := [row for row in wanted if row not in found]:
        raise ProjectError(f"there is no row {missing[0]} in {project.name}: rows start at 0")
    edited = {row: (version, value) for row, version, value in project.rows(_EDITED, wanted)}
    tags, own = _decided(project, queue, wanted, name)
    shown = []
    for row in wanted:
        identity, source, language, flags, messages, tools = found[row]
        original = Conversation.from_json(messages, tools)
        version, value = edited.get(row, (0, ""))
        text = Conversation.from_json(value, tools) if version else original
        before = original if version else None
        facts = (row, identity, source, language, tuple(flags), version, text, before)
        shown.append(RowToReview(*facts, tuple(tags[row]), tuple(own[row])))
    return shown


def _decided(
    project: Project, queue: int, rows: Sequence[int], name: str
) -> tuple[dict[int, list[str]], dict[int, list[Said]]]:
    """Tags, and a reviewer's own decisions, by row."""
    tags: dict[int, list[str]] = defaultdict(list)
    own: dict[int, list[Said]] = defaultdict(list)
    found = project.rows(
        "SELECT row, author, slot, kind, value, why FROM standing "
        "WHERE row IN (SELECT unnest(?::INTEGER[])) AND kind NOT IN ('withdraw', 'untag') "
        "AND (kind = 'tag' OR (queue = ? AND author = ? AND NOT shared)) ORDER BY row, slot",
        *(rows, queue, name),
    )
    for row, author, slot, kind, value, why in found:
        if kind == "tag":
            tags[row].append(value)
        else:
            own[row].append(Said(author, slot, kind, value, why))
    return tags, own


def said_in_queue(project: Project, queue: int, rows: Sequence[int]) -> dict[int, list[Said]]:
    """What everybody decided of these rows in a queue, by row; for those who may see it."""
    said: dict[int, list[Said]] = defaultdict(list)
    found = project.rows(
        "SELECT row, author, slot, kind, value, why FROM standing WHERE queue = ? AND NOT shared "
        "AND kind <> 'withdraw' AND row IN (SELECT unnest(?::INTEGER[])) "
        "ORDER BY row, author, number",
        *(queue, list(map(int, rows))),
    )
    for row, *facts in found:
        said[row].append(Said(*facts))
    return dict(said)


def last_answered(project: Project, queue: int, reviewer: str = "", most: int = 10) -> list[int]:
    """The rows of a queue about which a reviewer decided last, the last one last."""
    return project.values(
        "SELECT row FROM (SELECT row, max(number) AS number FROM decisions "
        "WHERE queue = ? AND author = ? GROUP BY row ORDER BY 2 DESC LIMIT ?) ORDER BY number",
        *(queue, people.reviewer(reviewer), most),
    )
