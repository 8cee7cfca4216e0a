"""What comparisons found that took long: kept under a key of everything it was made from.

Measures of two sets, and which rows of the pool a file holds, are kept for whoever asks for the
same again; the stability of a saved selection is kept with the selection, and goes with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from deita_core.project.store import Project, now

# So many are kept, the newest ones: each is a few thousand characters, of a file seven a row.
MOST_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """key: of what it was made from. found: as it was handed in."""

    key: str
    found: Any
    made: datetime


def keep_measures(project: Project, key: str, found: Any) -> None:
    """Keep the measures of two sets or the rows of a file, a value of JSON; those longest kept
    give way."""
    said = json.dumps(found)
    with project.transaction("curator", None, changes_data=False) as cursor:
        cursor.execute("INSERT OR REPLACE INTO measures VALUES (?, ?, ?)", [key, said, now()])
        cursor.execute(
            "DELETE FROM measures WHERE key NOT IN "
            "(SELECT key FROM measures ORDER BY made DESC, key LIMIT ?)",
            [MOST_KEPT],
        )


def kept_measures(project: Project, key: str) -> Kept | None:
    """What `keep_measures` kept under this key."""
    return _kept(project.rows("SELECT key, found, made FROM measures WHERE key = ?", key))


def keep_stability(project: Project, selection: int, key: str, found: Any) -> None:
    """Keep the stability of a saved selection in place of an older one; nothing for one that was
    deleted meanwhile."""
    with project.transaction("curator", None, changes_data=False) as cursor:
        cursor.execute(
            "INSERT OR REPLACE INTO stabilities SELECT selection, ?, ?, ? FROM selections "
            "WHERE selection = ?",
            [key, json.dumps(found), now(), selection],
        )


def kept_stability(project: Project, selection: int) -> Kept | None:
    """The stability of a saved selection as it was found last; its key says from what."""
    query = "SELECT key, found, made FROM stabilities WHERE selection = ?"
    return _kept(project.rows(query, selection))


def _kept(rows: list[tuple[Any, ...]]) -> Kept | None:
    return next((Kept(key, json.loads(found), made) for key, found, made in rows), None)
