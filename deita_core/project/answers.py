"""What chat models answered, by the key of the request: what is here is never asked for again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deita_core.project.store import Project, now

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_FIELDS = "key, text, reason, prompt_tokens, answer_tokens, seconds, cut"
# An answer that came twice, in a batch that is committed again, is there once.
_INSERT = f"""
INSERT INTO answers BY NAME
SELECT {_FIELDS}, ?::VARCHAR AS model, ?::INTEGER AS evolution, ?::TIMESTAMP AS made
FROM arriving WHERE key NOT IN (SELECT key FROM answers)
QUALIFY row_number() OVER (PARTITION BY key) = 1 RETURNING key
"""  # noqa: S608 - only names of ours go in


def add_answers(
    cursor: duckdb.DuckDBPyConnection, answers: pa.Table, model: str, evolution: int | None = None
) -> int:
    """Keep answers of a model (see `Chat.id`) inside a transaction; returns how many were new.

    answers: as `models.answers.answers_table` makes them. evolution: the run that paid for them.
    Those whose key is there already are left as they are.
    """
    if not len(answers):
        return 0
    cursor.register("arriving", answers)
    new = cursor.execute(_INSERT, [model, evolution, now()]).fetchall()
    cursor.unregister("arriving")
    return len(new)


def keep_answers(
    project: Project, answers: pa.Table, model: str, evolution: int | None = None
) -> int:
    """`add_answers` in a transaction of its own."""
    with project.transaction("curator", None, changes_data=False) as cursor:
        return add_answers(cursor, answers, model, evolution)


def write_answers(project: Project, model: str, out: Path) -> int:
    """Write every answer of a model as Parquet, as `models.answers.answers_of` reads its rows."""
    query = f"SELECT {_FIELDS} FROM answers WHERE model = ? ORDER BY key"  # noqa: S608 - only names of ours go in
    return project.write_parquet(query, out, model)
