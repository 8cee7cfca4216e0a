"""Reading pools: detect what a file is, then read it row by row, however damaged it is.

    detection = detect(path)                 # the first rows only; preview and mapping
    for row in read(path, detection.mapping, container=detection.container):
        ...                                  # PoolRow or Reject, positions 0, 1, 2, ...

What is defined, for every layout:

- A row is a record, a line, or a whole message tree; each gives one `PoolRow` or `Reject`.
- No message at all, no user message, or only blank user messages: reject.
- A chat that starts with the assistant is kept, with a note; what stands before the first user
  message belongs to no turn (see `deita_core.conversation`).
- Two user messages in a row, or a user message at the end: kept, with a note; that turn has no
  response. Roles are taken from the file and never from the position, so nothing shifts. The
  one exception are lists of bare texts, which have no roles: user first, then in turn.
- System messages stay where they are, at any place; a system field beside the chat comes first.
- An empty answer ("") is an empty response and kept; a missing or null one is no response.
- A null text of a message is taken as empty, with a note, unless the message calls a tool.
- Numbers are turned into text and other values into JSON text, with a note. Of a list of parts
  the texts are joined; parts that are not text (images) are left out, with a note.
- A tool call becomes a `function_call` message {"name", "arguments"}; several calls of one
  message become several messages. Text beside a call becomes an assistant message before it.
- A role that is not known rejects the row; `Mapping.roles` can name it.
- Of a message tree the best-ranked path is taken (`read.trees`). A tree whose first message
  is missing or deleted is a reject; other orphans are left out, with a note.
- Optional fields (system, tools, history, input, output ...) are read under their usual names
  wherever a record has them, also where none of the first records has. A mapping can name
  another field, or "" for none: then the usual names are not read.
- Tools that are an empty list, an empty object or an empty text are no tools.
- Of several answers the first is taken, with a note. Of a preference pair the chosen one.
- Texts are exactly as in the file, white space too. The one change: half a surrogate pair, which
  is no character, becomes U+FFFD, with a note. The raw record keeps what the file had.
- Damage gives one reject for each record that can be told apart, and reading goes on after it.
  A comma with no record after it, or a missing end of the file, is one reject, too: it is the
  place of a record that is not there. A row with bytes that are not UTF-8 is a reject.
- Blank lines are no rows. The raw record of CSV and Parquet rows is their JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deita_core.formats.read.containers import Container, records
from deita_core.formats.read.detect import Detection, detect, record_test
from deita_core.formats.read.layout import Mapping, PoolRow, Reject
from deita_core.formats.read.rows import LAYOUTS, rows_of

__all__ = ["LAYOUTS", "Detection", "Mapping", "PoolRow", "Reject", "detect", "read"]


def read(
    path: Path,
    mapping: Mapping | None = None,
    start: int = 0,
    *,
    container: Container | None = None,
) -> Iterator[PoolRow | Reject]:
    """Every row of the file from position `start` on, streamed.

    container: as detected, together with the whole mapping; without it both are detected first,
    and `mapping` may leave columns out. Skipped rows are parsed, but not converted. Raises what
    `detect` raises, before the first row.
    """
    if container is None or mapping is None:
        found = detect(path, mapping)
        container, mapping = found.container, found.mapping
    return rows_of(records(path, container, record_test(mapping)), mapping, start)
