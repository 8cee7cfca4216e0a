"""The job that finds near-duplicates by their wording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import field_validator

from deita_core.conversation import Conversation
from deita_core.errors import JobError
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kind import JobSpec
from deita_core.project import Project
from deita_core.project.duplicates import set_text_duplicates, visiting_order
from deita_core.project.job_log import Progress
from deita_core.similarity.duplicates import LEAST_OVERLAP

_BATCH = 2048


class TextDuplicatesSpec(JobSpec):
    """Groups the rows that share more than `threshold` of their runs of three words."""

    kind = "text_duplicates"
    label = "Near-duplicates"
    unit = "rows"

    threshold: float = 0.8

    @field_validator("threshold")
    @classmethod
    def _is_served(cls, threshold: float) -> float:
        if not LEAST_OVERLAP <= threshold <= 1.0:
            raise JobError(
                f"by text, near-duplicates are found above a share of {LEAST_OVERLAP:g} to 1, got "
                f"{threshold:g}: choose another threshold"
            )
        return threshold

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write the messages, best row first, and how many rows the pool has."""
        order = visiting_order(project).tolist()
        if not order:
            raise JobError("the pool has no rows to compare: import a file first")
        size = project.number("SELECT count(*) FROM conversations")
        (folder / "size").write_text(str(size), encoding="utf-8")
        return project.write_parquet(
            "SELECT c.row, c.messages FROM (SELECT unnest(?::INTEGER[]) AS row, "
            "generate_subscripts(?::INTEGER[], 1) AS nth) w JOIN conversations c USING (row) "
            "ORDER BY w.nth",
            folder / "rows.parquet",
            order,
            order,
        )

    def work(self, channel: WorkerChannel) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from deita_core.similarity.duplicates import groups_by_text

        folder, total = channel.get_input()
        size = int((folder / "size").read_text(encoding="utf-8"))
        path = folder / "rows.parquet"
        rows = pq.read_table(path, columns=["row"])["row"].to_numpy()

        def tell(done: int) -> None:
            channel.report(Progress(stage="comparing", done=done, total=total))

        found = groups_by_text(_texts(path), rows, size, self.threshold, tell)
        dropped = found.dropped
        groups = len(np.unique(found.keeper[dropped]))
        columns = {
            "row": pa.array(dropped, pa.int32()),
            "keeper": pa.array(found.keeper[dropped], pa.int32()),
            "similarity": pa.array(found.similarity[dropped], pa.float64()),
        }
        meta = {"threshold": self.threshold, "rows": size}
        channel.put(Part({"groups": pa.table(columns)}, meta))
        result = f"{len(dropped):,} near-duplicates by text, in {groups:,} groups"
        channel.report(Progress(done=total, total=total, result=(result,)))

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        meta = part.meta
        set_text_duplicates(project, part.tables["groups"], meta["threshold"], meta["rows"])


def _texts(path: Path) -> Iterator[str]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH, columns=["messages"]):
            for messages in batch.column(0).to_pylist():
                yield Conversation.from_json(messages).text
