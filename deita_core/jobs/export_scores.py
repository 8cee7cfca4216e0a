"""The job that writes the active scores to a file.

deita    what the reference implementation of the paper writes and its filter reads: a JSON array
         of ShareGPT conversations with the lists `complexity_scores` and `quality_scores`, one
         number a turn. It cannot express a missing score, so conversations with one are left
         out, and counted.
csv      one row a turn, with the reason where there is no score
parquet  the same
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deita_core.conversation import Conversation
from deita_core.errors import JobError
from deita_core.jobs.desk import Desk
from deita_core.jobs.handover import Part
from deita_core.jobs.kind import Parameters
from deita_core.project import Project
from deita_core.project.score_export import write_scored_rows, write_turn_scores

FORMATS = ("deita", "csv", "parquet")
DIMENSIONS = ("complexity", "quality")


class ExportScores:
    """parameters: {"out": path, "format": one of `FORMATS`}."""

    name = "export_scores"
    label = "Export scores"
    unit = "rows"

    def work(self, parameters: Parameters, desk: Desk) -> None:
        """Write the file; it appears whole or not at all."""
        folder, total = desk.get_input({})
        out = Path(parameters["out"])
        writers: Mapping[str, Callable[[Path, Path, Desk, int], str]] = {
            "deita": _write_deita,
            "csv": _write_csv,
            "parquet": _write_parquet,
        }
        partial = out.with_name(f".{out.name}.partial")
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            said = writers[parameters["format"]](folder / "rows.parquet", partial, desk, total)
            os.replace(partial, out)
        except OSError as error:
            raise JobError(f"{out} cannot be written: {error}") from error
        finally:
            partial.unlink(missing_ok=True)
        desk.report(total, total, f"{said}, {out.stat().st_size:,} bytes")

    def prepare(
        self, project: Project, parameters: Parameters, identity: Parameters, folder: Path
    ) -> int:
        """Write the scores, and for the reference's format the conversations."""
        if parameters["format"] == "deita":
            return write_scored_rows(project, folder / "rows.parquet")
        return write_turn_scores(project, folder / "rows.parquet")

    def commit(self, project: Project, parameters: Parameters, part: Part) -> None:
        """An export hands over no batches."""

    def stopped(self, project: Project, parameters: Parameters) -> None:
        """A file that was not finished was never put in place."""


def _write_deita(rows: Path, out: Path, desk: Desk, total: int) -> str:
    written = left_out = 0
    with out.open("w", encoding="utf-8") as file:
        file.write("[")
        for row in _rows(rows):
            if any(None in row[d] for d in DIMENSIONS if row[d] is not None):
                left_out += 1
            else:
                file.write(",\n" if written else "\n")
                json.dump(deita_record(row), file, ensure_ascii=False)
                written += 1
            desk.report(written + left_out, total, "writing")
        file.write("\n]\n")
    said = f"{written:,} conversations"
    return f"{said}; {left_out:,} left out (a turn has no score)" if left_out else said


def deita_record(row: Mapping[str, Any]) -> dict[str, Any]:
    """A conversation as the reference implementation writes it.

    It pairs messages by position, so each turn gives exactly two; an open question at the end
    gives one. A system message goes into a field of its own.
    """
    conversation = Conversation.from_json(row["messages"])
    said: list[dict[str, str]] = []
    for turn in conversation.turns:
        said.append({"from": "human", "value": turn.instruction})
        said.append({"from": "gpt", "value": turn.response or ""})
    if conversation.turns and conversation.turns[-1].response is None:
        said.pop()
    record: dict[str, Any] = {"id": row["id"], "conversations": said}
    if conversation.system is not None:
        record["system"] = conversation.system
    for dimension in DIMENSIONS:
        if row[dimension] is not None:
            record[f"{dimension}_scores"] = row[dimension]
    return record


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(1024):
            yield from batch.to_pylist()


def _write_csv(rows: Path, out: Path, desk: Desk, total: int) -> str:
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    done = 0
    with pq.ParquetFile(rows) as file, pc.CSVWriter(str(out), file.schema_arrow) as writer:
        for batch in file.iter_batches(8192):
            writer.write_batch(batch)
            done += batch.num_rows
            desk.report(done, total, "writing")
    return f"{done:,} turns"


def _write_parquet(rows: Path, out: Path, desk: Desk, total: int) -> str:
    import pyarrow.parquet as pq

    table = pq.read_table(rows)
    pq.write_table(table, out, compression="zstd")
    return f"{len(table):,} turns"
