"""What jobs that ask a chat model have in common: nothing that was answered is paid for twice.

The worker keeps every answer in a file of the job's folder the moment it arrives, and hands it over
with the next batch. A job begins with all that the project knows, and with what a job before it was
given but could not hand over, because it was killed or cancelled.
"""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, TypeVar

from pydantic import AfterValidator

from deita_core.errors import DeitaError
from deita_core.evolving.prompts import Prompts, our_prompts, read_prompts
from deita_core.jobs.handover import SPEC, Handover, Part, WorkerChannel
from deita_core.jobs.kind import JobSpec
from deita_core.models.answers import AnswerLog, answers_of, answers_table
from deita_core.models.chat_models import OpenChat, checked_chat_name, open_chat
from deita_core.models.options import ModelOptions
from deita_core.models.running import run_chats, run_here
from deita_core.models.spending import SpendingLimit, Spent
from deita_core.project import Project
from deita_core.project.answers import keep_answers, write_answers
from deita_core.project.job_log import Progress

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

ChatName = Annotated[str, AfterValidator(checked_chat_name)]
_LOG: Final = "answers.jsonl"
_KNOWN, _BEFORE = "answers.parquet", "spent.json"
# A batch is handed over after so many seconds, or results.
_SECONDS, _MOST = 2.0, 64


class Results(ABC, Generic[T]):
    """Worker: what becomes of the results of coroutines."""

    @abstractmethod
    def part(self, results: Sequence[T], answers: pa.Table) -> Part:
        """A batch of results, with the answers that have come since the last one."""

    @abstractmethod
    def progress(self, results: Sequence[T], spent: Spent) -> Progress:
        """How far the job is. results: the new ones; each is told once."""


class ChatJob(JobSpec):
    """Asks a chat model.

    chat: its name (see `models.chat_models`). limit: of what may be spent in all, before the job
    was stopped and after. prompts: the text of a user's file of prompts, None for ours. batch: by
    the batch interface of the endpoint, at half the price.
    """

    chat: ChatName
    options: ModelOptions = ModelOptions()
    limit: SpendingLimit = SpendingLimit()
    prompts: str | None = None
    batch: bool = False

    @property
    def read_prompts(self) -> Prompts:
        """The prompts, checked."""
        return our_prompts() if self.prompts is None else read_prompts(self.prompts)

    def write_known(self, project: Project, folder: Path, before: Callable[[], Spent]) -> None:
        """Owner: write what is known already, and what was spent `before`, told when all of it is
        in the project."""
        keep_left_answers(project)
        write_answers(project, self.chat, folder / _KNOWN)
        (folder / _BEFORE).write_text(before().model_dump_json(), encoding="utf-8")

    def spent_before(self, folder: Path) -> Spent:
        """Owner: what this job was answered before it was stopped. folder: of the input."""
        log = AnswerLog(folder.parent / _LOG)
        found = log.fresh().values()
        log.close()
        return Spent(
            requests=len(found),
            prompt_tokens=sum(one.prompt_tokens for one in found),
            answer_tokens=sum(one.answer_tokens for one in found),
        )

    def batches_in(self, folder: Path) -> Path:
        """Where the batches of this chat model are noted, beside the job's folder: whichever job
        asks next collects them."""
        name = hashlib.sha256(self.chat.encode()).hexdigest()[:16]
        return folder.parent / f"batches-{name}.jsonl"

    def ask_all(
        self,
        channel: WorkerChannel,
        folder: Path,
        work: Callable[[OpenChat], Iterable[Coroutine[Any, Any, T]]],
        results: Results[T],
    ) -> None:
        """Worker: run it all, and hand over what is finished; also what is when it ends early."""
        import pyarrow.parquet as pq

        known = answers_of(pq.read_table(folder / _KNOWN).to_pylist())
        before = Spent.model_validate_json((folder / _BEFORE).read_bytes())
        log = AnswerLog(folder.parent / _LOG, known)
        batch = _Batch(self, channel, log, results)
        try:
            run_here(batch.run(work, before))
        except BaseException:
            with suppress(DeitaError):  # a cancel; what is not handed over is in the log
                batch.put()
            raise
        finally:
            log.close()
        batch.put()


class _Batch(Generic[T]):
    """The results since the last batch, and when that was."""

    def __init__(
        self, job: ChatJob, channel: WorkerChannel, log: AnswerLog, results: Results[T]
    ) -> None:
        self._job, self._channel, self._log, self._results = job, channel, log, results
        self._waiting: list[T] = []
        self._untold: list[T] = []
        self._put_at = time.monotonic()

    async def run(
        self, work: Callable[[OpenChat], Iterable[Coroutine[Any, Any, T]]], before: Spent
    ) -> None:
        job = self._job
        batches = job.batches_in(self._channel.folder) if job.batch else None
        async with open_chat(
            job.chat, job.options, self._log, job.limit, before, batches=batches
        ) as chat:

            def tell() -> None:
                untold, self._untold = self._untold, []
                self._channel.report(self._results.progress(untold, chat.spent))

            def take(result: T) -> None:
                self._waiting.append(result)
                self._untold.append(result)
                since = time.monotonic() - self._put_at
                if since > _SECONDS or len(self._waiting) >= _MOST:
                    self.put()
                tell()

            tell()
            await run_chats(work(chat), take, most=chat.most_open, watch=tell)
            tell()

    def put(self) -> None:
        """Hand over what there is."""
        answers = self._log.fresh()
        if self._waiting or answers:
            self._channel.put(self._results.part(self._waiting, answers_table(answers)))
        self._waiting = []
        self._put_at = time.monotonic()


def keep_left_answers(project: Project) -> int:
    """Owner: keep answers that jobs were given and could not hand over; returns how many were new.

    Their files stay, for a job that is resumed; what is in both counts once.
    """
    new = 0
    for path in sorted(project.folder.glob(f"job-*/{_LOG}")):
        spec = Handover(path.parent).told(SPEC)
        if spec is None or not path.stat().st_size:
            continue
        log = AnswerLog(path)
        left = log.fresh()
        log.close()
        name = spec[1].get("name") if spec[0] == "evolve" else None
        found = project.values("SELECT evolution FROM evolutions WHERE name = ?", name)
        evolution = found[0] if found else None
        new += keep_answers(project, answers_table(left), str(spec[1]["chat"]), evolution)
    return new
