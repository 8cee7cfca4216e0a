"""Answers of chat models that were paid for, kept so that none is ever asked for twice.

A worker that is killed starts its chains from the beginning; every request whose key is known is
answered from here. The file lies in the job's folder, which outlives the worker: a line for each
answer, written the moment it arrives. The owner commits them into the project (`fresh`), and a
resumed job gets those of the project as `known`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from deita_core.models.chat import ChatAnswer

if TYPE_CHECKING:
    import pyarrow as pa

_FIELDS = tuple(field.name for field in fields(ChatAnswer))


class AnswerLog:
    """Answers by the key of their request (`ChatRequest.key`).

    path: a file of lines that exists or is to be made; a last line that a kill has torn is left
    out. known: answers from elsewhere, which are not written again. OSError where the file cannot
    be written.
    """

    def __init__(self, path: Path, known: Mapping[str, ChatAnswer] | None = None) -> None:
        self.path = path
        self._known = known or {}
        self._answers: dict[str, ChatAnswer] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            _read_into(self._answers, line)
        self._file.truncate(whole)  # or the next line would be glued to a torn one
        self._fresh = [key for key in self._answers if key not in self._known]

    def __len__(self) -> int:
        return len(self._known.keys() | self._answers.keys())

    def get(self, key: str) -> ChatAnswer | None:
        """The answer to the request with this key, or None while it has none."""
        return self._answers.get(key) or self._known.get(key)

    def add(self, key: str, answer: ChatAnswer) -> None:
        """Keep an answer that has just arrived; it is in the file when this returns."""
        line = json.dumps({"key": key, **asdict(answer)}, separators=(",", ":"))
        self._file.write(line.encode("ascii") + b"\n")
        self._file.flush()
        self._answers[key] = answer
        self._fresh.append(key)

    def fresh(self) -> dict[str, ChatAnswer]:
        """The answers that no earlier call gave, by key: for the owner. After a kill those that
        are not `known` come again, and committing one twice changes nothing."""
        found = {key: self._answers[key] for key in self._fresh}
        self._fresh.clear()
        return found

    def forget(self) -> None:
        """Empty the file: what was made of its answers has been handed over."""
        self._answers.clear()
        self._fresh.clear()
        self._file.truncate(0)

    def close(self) -> None:
        """Close the file; the answers stay."""
        self._file.close()


def _read_into(answers: dict[str, ChatAnswer], line: bytes) -> None:
    # A line that a full disk has spoilt costs its answer, not the job.
    try:
        found = json.loads(line)
        answers[found["key"]] = ChatAnswer(**{name: found[name] for name in _FIELDS})
    except (ValueError, KeyError, TypeError):
        return


def answers_table(answers: Mapping[str, ChatAnswer]) -> pa.Table:
    """A table of n answers: key and the fields of `ChatAnswer`."""
    import pyarrow as pa

    types = {"prompt_tokens": pa.int64(), "answer_tokens": pa.int64()}
    types |= {"seconds": pa.float64(), "cut": pa.bool_()}
    columns = {"key": pa.array(list(answers), pa.string())}
    for name in _FIELDS:
        values = [getattr(one, name) for one in answers.values()]
        columns[name] = pa.array(values, types.get(name, pa.string()))
    return pa.table(columns)


def answers_of(rows: Iterable[Mapping[str, object]]) -> dict[str, ChatAnswer]:
    """The answers by key, out of rows as `answers_table` has them."""
    return {
        str(row["key"]): ChatAnswer(**{name: row[name] for name in _FIELDS})  # type: ignore[arg-type]
        for row in rows
    }
