"""Tags that a chat model gave to the turns of the pool, after InsTag; people's own are decisions.

They belong to the scorer that counts them. Where several have tagged the pool, the one that counts
for selection is looked at, else the latest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deita_core.project.store import Project, count_up

if TYPE_CHECKING:
    import pyarrow as pa

TURN_TAGS_VERSION: Final = "turn_tags_version"
_TAGGER = """
SELECT t.scorer FROM (SELECT DISTINCT scorer FROM turn_tags) t JOIN models m ON m.model = t.scorer
ORDER BY m.active DESC, t.scorer DESC LIMIT 1
"""


def add_turn_tags(project: Project, scorer: int, tags: pa.Table) -> None:
    """Keep the tags of turns; what the scorer had of them is replaced.

    tags: row, turn, given (as they were answered) and tags (made alike), lists of text.
    """
    with project.transaction("curator", None) as cursor:
        cursor.register("arriving", tags)
        cursor.execute(
            "DELETE FROM turn_tags WHERE scorer = ? "
            "AND (row, turn) IN (SELECT (row, turn) FROM arriving)",
            [scorer],
        )
        cursor.execute(
            "INSERT INTO turn_tags BY NAME SELECT ?::INTEGER AS scorer, * FROM arriving", [scorer]
        )
        cursor.unregister("arriving")
        count_up(cursor, TURN_TAGS_VERSION)


def model_tags(project: Project) -> list[tuple[int, str]]:
    """Every row with every tag of one of its turns, by row and tag; none where nothing tagged."""
    found = project.rows(
        f"SELECT DISTINCT row, unnest(tags) AS tag FROM turn_tags WHERE scorer = ({_TAGGER}) "  # noqa: S608 - only names of ours go in
        "ORDER BY row, tag"
    )
    return [(row, tag) for row, tag in found]


def tags_of_turns(project: Project, row: int) -> list[tuple[int, tuple[str, ...]]]:
    """The turns of a row that have tags, each with them."""
    found = project.rows(
        f"SELECT turn, tags FROM turn_tags WHERE scorer = ({_TAGGER}) AND row = ? ORDER BY turn",  # noqa: S608 - only names of ours go in
        row,
    )
    return [(turn, tuple(tags)) for turn, tags in found]


def turn_tags_version(project: Project) -> int:
    """A number that grows when a chat model has tagged turns."""
    return project.counter(TURN_TAGS_VERSION)
