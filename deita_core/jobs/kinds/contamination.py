"""The job that holds the pool against a benchmark file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import field_validator

from deita_core.conversation import Conversation, Message, without_surrogates
from deita_core.errors import JobError, PathError, PoolError
from deita_core.files import sha256_of
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kind import JobSpec, OutPath
from deita_core.jobs.kinds.model_runs import identity_of
from deita_core.project import Project
from deita_core.project.contamination import set_benchmark
from deita_core.project.job_log import Progress
from deita_core.project.models import active_model
from deita_core.project.vectors import embedders, load_vectors
from deita_core.similarity.contamination import RUN, SHORTEST, BenchmarkRuns, close_pairs

_BATCH = 2048
_SHOWN = 1000  # characters of a benchmark's text that the project keeps


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of the benchmark: of which record, which part of it, and as what it is embedded."""

    position: int
    part: str
    text: str
    conversation: Conversation

    @property
    def is_whole(self) -> bool:
        """A whole record with its answers; its words are those of its messages."""
        return self.part == "whole"


class ContaminationSpec(JobSpec):
    """Finds rows that share words with a benchmark file, or lie close to it.

    file: of any format and layout that a pool may have. run: how many words in a row count (see
    `similarity.contamination`). threshold: also rows whose vector is more similar than this to
    that of a question, or of a whole record with its answers; None: words alone.
    """

    kind = "contamination"
    label = "Contamination"
    unit = "rows"

    file: OutPath
    run: int = RUN
    threshold: float | None = None

    @field_validator("run")
    @classmethod
    def _is_long(cls, run: int) -> int:
        if run < SHORTEST:
            raise JobError(f"a run has at least {SHORTEST} words, got {run}: choose more")
        return run

    @field_validator("threshold")
    @classmethod
    def _is_cosine(cls, threshold: float | None) -> float | None:
        if threshold is not None and not -1.0 <= threshold <= 1.0:
            raise JobError(f"a threshold is a cosine from -1 to 1, got {threshold:g}")
        return threshold

    def check(self, project: Project) -> None:
        """Raises PathError for no file, JobError where vectors are asked for and are not there."""
        if not self.file.is_file():
            raise PathError(f"there is no file {self.file}: check the path")
        self._embedder(project)

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write the messages, and the vectors with the name of their embedder."""
        embedder = self._embedder(project)
        if embedder is not None:
            from deita_core.embedding.catalogue import name_of_embedder

            (one,) = (e for e in embedders(project) if e.embedder == embedder)
            name = f"{name_of_embedder(one.model)}\n{one.revision}"
            (folder / "embedder").write_text(name, encoding="utf-8")
            rows, vectors = load_vectors(project, embedder)
            np.save(folder / "rows.npy", rows)
            np.save(folder / "vectors.npy", vectors)
        query = "SELECT row, messages FROM conversations ORDER BY row"
        return project.write_parquet(query, folder / "rows.parquet")

    def _embedder(self, project: Project) -> int | None:
        if self.threshold is None:
            return None
        embedder = active_model(project, "embedding")
        if embedder is None:
            raise JobError(
                "closeness to a benchmark needs embeddings, and there are none: embed the pool "
                "first, or leave the threshold out"
            )
        return embedder

    def work(self, channel: WorkerChannel) -> None:
        folder, total = channel.get_input()
        texts = benchmark_texts(self.file)
        said = [text for text in texts if not text.is_whole]
        index = BenchmarkRuns([one.text for one in said], self.run)
        found: dict[tuple[int, _Text], dict[str, Any]] = {}
        for shared in self._shared(index, folder, total, channel):
            told = {"share": shared.share, "longest": shared.longest}
            found[shared.row, said[shared.item]] = told
        if self.threshold is not None:
            channel.report(Progress(stage="embedding the benchmark", done=total, total=total))
            for row, text, similarity in _close(texts, folder, self.threshold):
                found.setdefault((row, text), {})["similarity"] = similarity
        facts = {
            "name": self.file.name,
            "sha256": sha256_of(self.file),
            "run": self.run,
            "threshold": self.threshold,
            "rows": total,
            "texts": len(said),
            "short": len(index.short),
        }
        channel.put(Part({"pairs": _table(found)}, facts))
        rows = len({row for row, _ in found})
        result = f"{rows:,} of {total:,} rows are contaminated, in {len(found):,} pairs"
        channel.report(Progress(done=total, total=total, result=(result,)))

    def _shared(
        self, index: BenchmarkRuns, folder: Path, total: int, channel: WorkerChannel
    ) -> Iterator[Any]:
        import pyarrow.parquet as pq

        done = 0
        with pq.ParquetFile(folder / "rows.parquet") as file:
            for batch in file.iter_batches(_BATCH):
                columns = batch.to_pydict()
                talks = map(Conversation.from_json, columns["messages"])
                yield from index.shared(
                    columns["row"], ([m.content for m in talk.messages] for talk in talks)
                )
                done += batch.num_rows
                channel.report(Progress(stage="comparing", done=done, total=total))

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        set_benchmark(project, dict(part.meta), part.tables["pairs"])


def benchmark_texts(path: Path) -> list[_Text]:
    """Every message of user and assistant in a file, and each record with answers as a whole.

    Raises PoolError when nothing in it can be read.
    """
    from deita_core.formats.read import PoolRow, read

    found: list[_Text] = []
    names = {"user": "question", "assistant": "answer"}
    for row in read(path):
        if not isinstance(row, PoolRow):
            continue
        count = dict.fromkeys(names, 0)
        talk = row.conversation.without_reasoning
        for message in talk.messages:
            if message.role in names and message.content.strip():
                count[message.role] += 1
                part = f"{names[message.role]} {count[message.role]}"
                alone = Conversation((Message("user", message.content),))
                found.append(_Text(row.position, part, message.content, alone))
        if count["assistant"]:
            found.append(_Text(row.position, "whole", talk.text, talk))
    if not found:
        raise PoolError(f"{path.name} holds no text that could be compared: check the file")
    return found


def _close(
    texts: list[_Text], folder: Path, threshold: float
) -> Iterator[tuple[int, _Text, float]]:
    from deita_core.embedding.catalogue import load_embedder
    from deita_core.embedding.protocol import text_for

    name, revision = (folder / "embedder").read_text(encoding="utf-8").split("\n")
    embedder = load_embedder(name)
    if identity_of(embedder).revision != revision:
        raise JobError(
            f"the pool was embedded with {name} {revision}, and here is {embedder.revision}: embed "
            "the pool again, or leave the threshold out"
        )
    asked = [one for one in texts if one.is_whole or one.part.startswith("question")]
    vectors = embedder.embed([text_for(embedder, one.conversation) for one in asked]).vectors
    pool = np.load(folder / "vectors.npy", mmap_mode="r")
    found = close_pairs(pool, np.load(folder / "rows.npy"), vectors, threshold)
    for row, item, near in zip(
        found.row.tolist(), found.item.tolist(), found.similarity.tolist(), strict=True
    ):
        yield row, asked[item], near


def _table(found: dict[tuple[int, _Text], dict[str, Any]]) -> Any:
    import pyarrow as pa

    keys = list(found)
    told = list(found.values())
    shown = [without_surrogates(text.text[:_SHOWN]) for _, text in keys]
    return pa.table(
        {
            "row": pa.array([row for row, _ in keys], pa.int32()),
            "position": pa.array([text.position for _, text in keys], pa.int64()),
            "part": pa.array([text.part for _, text in keys], pa.string()),
            "share": pa.array([one.get("share") for one in told], pa.float64()),
            "longest": pa.array([one.get("longest") for one in told], pa.string()),
            "similarity": pa.array([one.get("similarity") for one in told], pa.float64()),
            "text": pa.array(shown, pa.string()),
        }
    )
