"""The job that embeds every conversation that has no vector yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from deita_core.conversation import Conversation
from deita_core.embedding.protocol import Embedder, Paced, text_for
from deita_core.jobs.handover import Parameters, Part, WorkerChannel
from deita_core.project import Project
from deita_core.project.job_log import Progress
from deita_core.project.vectors import (
    add_embeddings,
    count_unembedded,
    register_embedder,
    write_unembedded,
)

if TYPE_CHECKING:
    import pyarrow as pa

# Larger batches pad less (3 % faster); smaller ones show progress sooner. While a large pool is
# embedded there is time to compile what its map will need.
BATCH, LARGE_BATCH = 512, 2048
LARGE_POOL = 20_000


class Embed:
    """parameters: {"embedder": name in the catalogue, "options": of its model, may be absent},
    "activate": false leaves the embedder that selection uses as it is."""

    name = "embed"
    label = "Embed"
    unit = "conversations"

    def work(self, parameters: Parameters, channel: WorkerChannel) -> None:
        """Embed batch by batch in row order."""
        import pyarrow.parquet as pq

        from deita_core.embedding.catalogue import load_embedder
        from deita_core.map.projection import compile_umap
        from deita_core.models.options import ModelOptions

        options = ModelOptions.from_json(parameters.get("options"))
        embedder = load_embedder(parameters["embedder"], options)
        folder, total = channel.get_input(identity_of(embedder))
        channel.report(Progress(stage="embedding", total=total))
        size = BATCH if total < LARGE_POOL else LARGE_BATCH
        size = embedder.rows_at_once if isinstance(embedder, Paced) else size
        done = 0
        with pq.ParquetFile(folder / "rows.parquet") as file:
            for batch in file.iter_batches(size):
                channel.put(_embed_batch(batch, embedder))
                # Once the embedder's own libraries are loaded: two threads that import the same
                # module wait for each other.
                if done == 0 and total >= LARGE_POOL:
                    Thread(target=compile_umap).start()
                done += batch.num_rows
                channel.report(Progress(stage="embedding", done=done, total=total))
        channel.put(Part({}, {"identity": identity_of(embedder), "finished": True}))

    def prepare(
        self, project: Project, parameters: Parameters, identity: Parameters, folder: Path
    ) -> int:
        """Write the conversations that lack a vector."""
        number = _number(project, identity, activate=False)
        write_unembedded(project, number, folder / "rows.parquet")
        return count_unembedded(project, number)

    def commit(self, project: Project, parameters: Parameters, part: Part) -> None:
        """Vectors of one batch; at the end selection uses them, not before (see `Score`)."""
        finished = bool(part.meta.get("finished", False))
        activate = finished and parameters.get("activate", True)
        number = _number(project, part.meta["identity"], activate=activate)
        if not finished:
            add_embeddings(project, number, part.tables["vectors"])

    def stopped(self, project: Project, parameters: Parameters) -> None:
        """What was committed stays; nothing to mark."""


def identity_of(embedder: Embedder) -> dict[str, Any]:
    """What tells an embedder apart from all others."""
    return {
        "id": embedder.id,
        "revision": embedder.revision,
        "dimension": embedder.dimension,
        "parameters": dict(embedder.parameters),
    }


def _number(project: Project, identity: Parameters, *, activate: bool) -> int:
    return register_embedder(
        project,
        identity["id"],
        identity["revision"],
        identity["dimension"],
        identity["parameters"],
        activate=activate,
    )


def _embed_batch(batch: Any, embedder: Embedder) -> Part:
    columns = batch.to_pydict()
    table = embed_table(embedder, columns["row"], columns["messages"])
    return Part({"vectors": table}, {"identity": identity_of(embedder)})


def embed_table(embedder: Embedder, rows: Sequence[int], messages: Sequence[str]) -> pa.Table:
    """The vectors of conversations (their messages as JSON), as `add_embeddings` takes them."""
    import numpy as np
    import pyarrow as pa

    result = embedder.embed([text_for(embedder, Conversation.from_json(m)) for m in messages])
    failed = np.array([reason is not None for reason in result.reasons])
    width = result.vectors.shape[1]
    good = np.ascontiguousarray(result.vectors[~failed])
    offsets = np.concatenate([[0], np.cumsum(np.where(failed, 0, width))]).astype(np.int32)
    vectors = pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(good.ravel(), pa.float32()), mask=pa.array(failed)
    )
    return pa.table(
        {
            "row": pa.array(rows, pa.int32()),
            "vector": vectors,
            "tokens": pa.array(result.tokens, pa.int32()),
            "truncated": pa.array(result.truncated, pa.bool_()),
            "reason": pa.array(result.reasons, pa.string()),
        }
    )
