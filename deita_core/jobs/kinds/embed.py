"""The job that embeds every conversation that has no vector yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, ClassVar

from deita_core.conversation import Conversation
from deita_core.embedding.protocol import Embedder, Paced, text_for
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kind import JobKind, JobSpec
from deita_core.jobs.kinds.model_batches import FINISHED, commit_results, identity_of, register
from deita_core.models.options import ModelOptions
from deita_core.project import Project
from deita_core.project.job_log import Progress
from deita_core.project.vectors import write_unembedded

if TYPE_CHECKING:
    import pyarrow as pa

# Larger batches pad less (3 % faster); smaller ones show progress sooner. While a large pool is
# embedded there is time to compile what its map will need.
BATCH, LARGE_BATCH = 512, 2048
LARGE_POOL = 20_000


class EmbedSpec(JobSpec):
    """embedder: its name in the catalogue. activate: selection uses the vectors once all are
    there; without (and until then), only where there are no others."""

    kind: ClassVar[str] = "embed"

    embedder: str = "minilm"
    options: ModelOptions = ModelOptions()
    activate: bool = True


class Embed(JobKind[EmbedSpec]):
    """Embeds batch by batch in row order."""

    spec = EmbedSpec
    label = "Embed"
    unit = "conversations"

    def work(self, spec: EmbedSpec, channel: WorkerChannel) -> None:
        """Load the embedder, then embed."""
        import pyarrow.parquet as pq

        from deita_core.embedding.catalogue import load_embedder
        from deita_core.map.projection import compile_umap

        embedder = load_embedder(spec.embedder, spec.options)
        folder, total = channel.get_input({"embedding": identity_of(embedder)})
        channel.report(Progress(stage="embedding", total=total))
        size = BATCH if total < LARGE_POOL else LARGE_BATCH
        size = embedder.rows_at_once if isinstance(embedder, Paced) else size
        done = 0
        with pq.ParquetFile(folder / "rows.parquet") as file:
            for batch in file.iter_batches(size):
                columns = batch.to_pydict()
                table = embed_rows(embedder, columns["row"], columns["messages"])
                channel.put(Part({"embedding": table}))
                # Once the embedder's own libraries are loaded: two threads that import the same
                # module wait for each other.
                if done == 0 and total >= LARGE_POOL:
                    Thread(target=compile_umap).start()
                done += batch.num_rows
                channel.report(Progress(stage="embedding", done=done, total=total))
        channel.put(FINISHED)

    def prepare(
        self, project: Project, spec: EmbedSpec, identities: Identities, folder: Path
    ) -> int:
        """Write the conversations that lack a vector."""
        number = register(project, identities)["embedding"]
        return write_unembedded(project, number, folder / "rows.parquet")

    def commit(self, project: Project, spec: EmbedSpec, identities: Identities, part: Part) -> None:
        """Vectors of one batch."""
        commit_results(project, identities, part, activate=spec.activate)


def embed_rows(embedder: Embedder, rows: Sequence[int], messages: Sequence[str]) -> pa.Table:
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
