"""The job that imports pool files: read, describe, hand over rows and rejects."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingType
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from deita_core.conversation import Conversation, without_surrogates
from deita_core.errors import FormatError
from deita_core.files import sha256_of
from deita_core.formats.read.chat import unknown_roles
from deita_core.formats.read.containers import Container
from deita_core.formats.read.layout import Mapping, PoolRow, Reject
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kind import JobSpec
from deita_core.project import Project
from deita_core.project.folder import data_folder
from deita_core.project.job_log import Progress
from deita_core.project.pool import (
    Source,
    add_rows,
    finish_source,
    forget_source,
    next_position,
    set_source_facts,
    sources,
    stop_sources,
)

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 2048
PREVIEW_CHARACTERS = 200


# Files, each with the first of its rows that is not in the project yet.
_TO_READ = TypeAdapter(list[tuple[Source, int]])


class ImportSpec(JobSpec):
    """Reads every file from where the project already is. sources: their numbers in it."""

    kind = "import"
    label = "Import"
    unit = "rows"

    sources: Sequence[int]

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write which files to read, and from which row on."""
        to_read = [
            (s, next_position(project, s.source))
            for s in sources(project)
            if s.source in self.sources and s.state != "imported"
        ]
        (folder / "sources.json").write_bytes(_TO_READ.dump_json(to_read))
        return 0

    def work(self, channel: WorkerChannel) -> None:
        folder, _ = channel.get_input()
        done = 0
        for source, start in _TO_READ.validate_json((folder / "sources.json").read_bytes()):
            done += self._read_file(source, start, channel, done) - start

    def _read_file(self, source: Source, start: int, channel: WorkerChannel, done: int) -> int:
        """Hand over the rows from `start` on; returns how many rows the file has."""
        from deita_core.formats.read import detect, read

        path = _local_file(source.path, channel)
        mapping = Mapping.from_json(source.mapping) if source.mapping else None
        container = Container.from_json(source.container) if source.container else None
        explanation = source.explanation
        if mapping is None or container is None:  # not detected yet where it was registered
            try:
                found = detect(path, mapping)
            except FormatError:
                # Nothing is left of it, so that the same file can be tried with another mapping.
                channel.put(Part(meta={"source": source.source, "unreadable": True}))
                raise
            mapping, container, explanation = found.mapping, found.container, found.explanation
        size = path.stat().st_size
        facts = {
            "source": source.source,
            "path": str(path),
            "sha256": sha256_of(path),
            "bytes": size,
            "container": container.to_json(),
            "mapping": mapping.to_json(),
            "explanation": explanation,
        }
        channel.put(Part(meta=facts))
        plain = container.kind != "parquet" and not container.compression
        position, consumed = start, 0
        for batch in _batches(read(path, mapping, start, container=container)):
            position = batch[-1].position + 1
            rows, rejects = rows_and_rejects(batch)
            meta = {"source": source.source, "end": position}
            channel.put(Part({"rows": rows, "rejects": rejects}, meta))
            consumed += sum(len(row.raw.encode("utf-8", "replace")) for row in batch)
            here = position - start
            # About how many rows are still to come, from the bytes that `here` rows took.
            total = done + max(here, round(size * here / consumed) - start) if plain else None
            told = Progress(
                stage="reading", done=done + here, total=total, item=source.name, item_done=position
            )
            channel.report(told)
        channel.put(Part(meta={"source": source.source, "read": position}))
        return position

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        """Facts of a file, a batch of its rows, or its end."""
        meta = part.meta
        if "sha256" in meta:
            set_source_facts(project, meta["source"], meta)
        elif "unreadable" in meta:
            forget_source(project, meta["source"])
        elif "read" in meta:
            finish_source(project, meta["source"], meta["read"])
        elif next_position(project, meta["source"]) < meta["end"]:
            add_rows(project, meta["source"], part.tables["rows"], part.tables["rejects"])

    @classmethod
    def stopped(cls, project: Project) -> None:
        """The import of these files can be resumed."""
        stop_sources(project)


@dataclass(frozen=True, slots=True)
class Refused:
    """A file none of whose rows could be imported.

    reason: the most frequent one, of `count` among `rows` rows. layout: as which it was read.
    roles: what the unknown names of roles in it may mean.
    """

    name: str
    rows: int
    reason: str
    count: int
    layout: str
    roles: MappingType[str, str]

    @property
    def sentence(self) -> str:
        """What happened, and why."""
        return (
            f"{self.name}: none of its {self.rows:,} rows could be imported; "
            f"{self.count:,} times: {self.reason}"
        )

    @property
    def options(self) -> str:
        """What may help on the command line."""
        if not self.roles:
            return f"say which field is which, e.g. --layout {self.layout} --column OURS=THEIRS"
        named = (quote(f"{theirs}={ours}") for theirs, ours in self.roles.items())
        return f"try --layout {self.layout} {' '.join(f'--role {name}' for name in named)}"


def refused(project: Project, numbers: Sequence[int] | None = None) -> list[Refused]:
    """Of these files, or of all, the ones that were read and refused whole."""
    wanted = (s for s in sources(project) if numbers is None or s.source in numbers)
    return [_refused(project, s) for s in wanted if s.rejected and s.fruitless]


def _refused(project: Project, source: Source) -> Refused:
    query = "SELECT reason, raw FROM rejects WHERE source = ? ORDER BY position LIMIT 10000"
    found = project.rows(query, source.source)
    # The reasons without what stands in the one row.
    reasons = Counter(reason.split(" (it has")[0].split(" near ")[0] for reason, _ in found)
    ((reason, count),) = reasons.most_common(1)
    mapping = Mapping.from_json(source.mapping) if source.mapping else Mapping("")
    names: dict[str, None] = {}
    for _, raw in found[:_LOOKED_AT]:
        with suppress(ValueError, RecursionError):
            names |= dict.fromkeys(unknown_roles(json.loads(raw), mapping))
    roles = dict(zip(names, ("user", "assistant", "system", "tool"), strict=False))
    return Refused(source.name, source.rejected, reason, count, mapping.layout, roles)


_LOOKED_AT = 50
_HUB = "hub:"


def hub_path(name: str, split: str) -> str:
    """The path of a source that is still on the Hugging Face hub."""
    return f"{_HUB}{name}@{split}"


def _local_file(path: str, channel: WorkerChannel) -> Path:
    if not path.startswith(_HUB):
        return Path(path)
    from deita_core.formats.hub import snapshot

    name, _, split = path.removeprefix(_HUB).rpartition("@")

    def tell(rows: int) -> None:
        channel.report(Progress(stage="downloading", done=rows, item=name, item_done=rows))

    return snapshot(name, split, data_folder() / "hub", tell)


def preview_of(conversation: Conversation) -> str:
    """The beginning of the first instruction on one line, at most `PREVIEW_CHARACTERS` long."""
    text = conversation.turns[0].instruction if conversation.turns else conversation.text
    line = " ".join(text[: 4 * PREVIEW_CHARACTERS].split())
    return line if len(line) <= PREVIEW_CHARACTERS else line[: PREVIEW_CHARACTERS - 1] + "…"


def _batches(rows: Iterator[PoolRow | Reject]) -> Iterator[list[PoolRow | Reject]]:
    batch: list[PoolRow | Reject] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += len(row.raw)
        # Long chats would make a batch of 2,048 rows weigh hundreds of megabytes.
        if len(batch) == BATCH or characters > 32_000_000:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def rows_and_rejects(batch: list[PoolRow | Reject]) -> tuple[pa.Table, pa.Table]:
    """A batch as the two tables that `project.pool.add_rows` takes."""
    import pyarrow as pa

    bad = [row for row in batch if isinstance(row, Reject)]
    rejects = pa.table(
        {
            "position": pa.array([r.position for r in bad], pa.int64()),
            "line": pa.array([r.line for r in bad], pa.int64()),
            "reason": pa.array([without_surrogates(r.reason) for r in bad], pa.string()),
            "raw": pa.array([without_surrogates(r.raw) for r in bad], pa.string()),
        }
    )
    return _rows_table([row for row in batch if isinstance(row, PoolRow)]), rejects


def _rows_table(rows: list[PoolRow]) -> pa.Table:
    import pyarrow as pa

    from deita_core.describe import describe

    facts = [describe(row.conversation) for row in rows]
    turns = [row.conversation.turns for row in rows]
    whole, text = pa.int32(), pa.string()
    columns: dict[str, tuple[list[Any], Any]] = {
        "id": ([r.conversation.id for r in rows], text),
        "position": ([r.position for r in rows], pa.int64()),
        "line": ([r.line for r in rows], pa.int64()),
        "messages": ([without_surrogates(r.conversation.to_json()) for r in rows], text),
        "tools": ([r.conversation.tools for r in rows], text),
        "original": ([without_surrogates(r.raw) for r in rows], text),
        "notes": ([list(map(without_surrogates, r.notes)) for r in rows], pa.list_(text)),
        "preview": ([without_surrogates(preview_of(r.conversation)) for r in rows], text),
        "language": ([f.language for f in facts], text),
        "language_confidence": ([f.language_confidence for f in facts], pa.float32()),
        "turns": ([f.turns for f in facts], whole),
        "characters": ([f.characters for f in facts], whole),
        "tokens": ([f.tokens for f in facts], whole),
        "flags": ([list(f.flags) for f in facts], pa.list_(text)),
        "instruction_characters": (
            [[len(t.instruction) for t in ts] for ts in turns],
            pa.list_(whole),
        ),
        "response_characters": (
            [[None if t.response is None else len(t.response) for t in ts] for ts in turns],
            pa.list_(whole),
        ),
    }
    return pa.table({name: pa.array(values, kind) for name, (values, kind) in columns.items()})
