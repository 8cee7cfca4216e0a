"""Jobs that ask a chat model about each instruction and count what it names: a score of complexity.

InsTag counts tags, which are kept beside the scores; Tree-Instruct counts nodes. All turns of the
pool are asked for before the first score stands, because tags are made alike over all of them.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
from pydantic import Field

from deita_core.conversation import Conversation, without_surrogates
from deita_core.errors import EvolvingError
from deita_core.evolving.asking import Reply
from deita_core.evolving.nodes import NodeTree, instruction_nodes
from deita_core.evolving.prompts import Prompts
from deita_core.evolving.tags import EmbedTags, TagRule, make_alike, tag_instruction
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kinds.chat_jobs import ChatJob, Results
from deita_core.jobs.kinds.model_runs import FINISHED
from deita_core.models.chat import Chat
from deita_core.models.spending import Spent
from deita_core.project import Project
from deita_core.project.answers import keep_answers
from deita_core.project.job_log import Progress
from deita_core.project.models import ModelIdentity, register_model
from deita_core.project.scores import add_scores
from deita_core.project.turn_tags import add_turn_tags

if TYPE_CHECKING:
    import pyarrow as pa

PILOT = 20
_BATCH = 20_000
_NO_INSTRUCTION = "the turn has no instruction"
Said = TypeVar("Said")


class _Turn(NamedTuple):
    row: int
    turn: int
    instruction: str


class _Answered(NamedTuple, Generic[Said]):
    place: int
    reply: Reply[Said]


class _Gathered(Results[_Answered[Said]]):
    """The replies by the place of their turn; batches hold answers alone."""

    def __init__(self, total: int) -> None:
        self.replies: dict[int, Reply[Said]] = {}
        self.spent = Spent()
        self._total = total

    def part(self, results: Sequence[_Answered[Said]], answers: pa.Table) -> Part:
        """The answers."""
        return Part({"answers": answers})

    def progress(self, results: Sequence[_Answered[Said]], spent: Spent) -> Progress:
        """Turns that are done, and how many of them gave nothing."""
        self.replies |= {one.place: one.reply for one in results}
        self.spent = spent
        failed = sum(reply.value is None for reply in self.replies.values())
        done = len(self.replies)
        counts = {"turns answered": done - failed, "without an answer": failed}
        return Progress(stage="asking", done=done, total=self._total, counts=counts, spent=spent)


class TurnCountSpec(ChatJob, Generic[Said]):
    """Counts what the chat model names in each instruction of the pool.

    first: only about so many turns, as a pilot that says what the rest will cost, without scores.
    activate: the scores become the active ones of complexity.
    """

    unit = "turns"
    scorer: ClassVar[str]

    first: int | None = Field(default=None, ge=1)
    activate: bool = False

    @property
    def parameters(self) -> dict[str, str | int | float | bool]:
        """What else the scores depend on."""
        return {}

    @property
    def identity(self) -> ModelIdentity:
        """The scorer's: the chat model, and the version of the prompts as revision."""
        return ModelIdentity(
            id=f"{self.scorer}:{self.chat}",
            revision=self.read_prompts.version,
            parameters=self.parameters,
        )

    @abstractmethod
    async def ask(self, chat: Chat, instruction: str, prompts: Prompts) -> Reply[Said]:
        """What the model names in an instruction."""

    @abstractmethod
    def tables(self, turns: Sequence[_Turn], replies: Sequence[Reply[Said]]) -> dict[str, pa.Table]:
        """The scores ("complexity") of all turns, and what else is kept of them."""

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write the conversations, those of a pilot at random."""
        self.write_known(project, folder, lambda: self.spent_before(folder))
        turns = project.number("SELECT coalesce(sum(turns), 0) FROM conversations")
        if not turns:
            raise EvolvingError("the pool has no turn to ask about: import a file first")
        query = (
            "SELECT row, messages FROM (SELECT row, messages FROM conversations WHERE turns > 0 "
            "ORDER BY hash(row), row LIMIT ?) ORDER BY row"
        )
        project.write_parquet(query, folder / "rows.parquet", self.first or turns)
        (folder / "turns.json").write_text(json.dumps(turns), encoding="utf-8")
        return turns if self.first is None else min(self.first, turns)

    def work(self, channel: WorkerChannel) -> None:
        folder, total = channel.get_input()
        turns = _turns(folder / "rows.parquet")[:total]
        prompts, gathered = self.read_prompts, _Gathered[Said](total)

        async def asked(chat: Chat, place: int) -> _Answered[Said]:
            instruction = turns[place].instruction
            if not instruction.strip():
                return _Answered(place, Reply(None, _NO_INSTRUCTION, ()))
            return _Answered(place, await self.ask(chat, instruction, prompts))

        self.ask_all(
            channel,
            folder,
            lambda chat: (asked(chat, place) for place in range(len(turns))),
            gathered,
        )
        if self.first is not None:
            everything = json.loads((folder / "turns.json").read_text(encoding="utf-8"))
            said = self._cost(gathered.spent, total, everything - total)
            channel.report(Progress(done=total, total=total, result=(said,)))
            return
        replies = [gathered.replies[place] for place in range(len(turns))]
        found = self.tables(turns, replies)
        for start in range(0, len(turns), _BATCH):
            channel.put(Part({name: table.slice(start, _BATCH) for name, table in found.items()}))
        if self.activate:
            channel.put(FINISHED)
        scored = total - found["complexity"]["score"].null_count
        said = f"{scored:,} of {total:,} turns scored; {gathered.spent.sentence()}"
        channel.report(Progress(done=total, total=total, result=(said,)))

    def _cost(self, spent: Spent, asked: int, left: int) -> str:
        """What the turns that were not asked about will take, by those that were."""
        tokens = [round(t / asked * left) for t in (spent.prompt_tokens, spent.answer_tokens)]
        money = self.limit.money(*tokens)
        priced = "" if money is None else f", {money:,.2f} in the currency of the prices"
        return (
            f"{asked:,} turns took {spent.tokens:,} tokens; the {left:,} others take about "
            f"{sum(tokens):,}{priced}"
        )

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        """Answers, or at the end scores and tags."""
        if "answers" in part.tables:
            keep_answers(project, part.tables["answers"], self.chat)
            return
        done = part.meta == FINISHED.meta
        number = register_model(project, "complexity", self.identity, activate=done)
        if "complexity" in part.tables:
            add_scores(project, number, part.tables["complexity"])
        if "tags" in part.tables:
            add_turn_tags(project, number, part.tables["tags"])


def _turns(path: Path) -> list[_Turn]:
    import pyarrow.parquet as pq

    columns = pq.read_table(path).to_pydict()
    return [
        _Turn(row, turn.index, turn.instruction)
        for row, messages in zip(columns["row"], columns["messages"], strict=True)
        for turn in Conversation.from_json(messages).turns
    ]


def _scores(
    turns: Sequence[_Turn], replies: Sequence[Reply[Said]], count: Callable[[int], float]
) -> pa.Table:
    """As `add_scores` takes them. count: of what the reply at a place names."""
    import pyarrow as pa

    named = [reply.value is not None for reply in replies]
    scores = [count(place) if there else None for place, there in enumerate(named)]
    reasons = [
        None if there else without_surrogates(reply.reason or "no answer")
        for there, reply in zip(named, replies, strict=True)
    ]
    return pa.table(
        {
            "row": pa.array([one.row for one in turns], pa.int32()),
            "turn": pa.array([one.turn for one in turns], pa.int32()),
            "score": pa.array(scores, pa.float32()),
            "reason": pa.array(reasons, pa.string()),
        }
    )


class TagSpec(TurnCountSpec[tuple[str, ...]]):
    """Tags each instruction after InsTag, and scores its complexity by how many tags it has.

    rule: how tags are made alike; MiniLM compares what they mean.
    """

    kind = "tags"
    label = "Tags"
    scorer = "instag"

    rule: TagRule = TagRule()

    @property
    def parameters(self) -> dict[str, str | int | float | bool]:
        """The rule; a similarity of 0 merges none."""
        return {"least": self.rule.least, "similarity": self.rule.similarity or 0.0}

    async def ask(self, chat: Chat, instruction: str, prompts: Prompts) -> Reply[tuple[str, ...]]:
        return await tag_instruction(chat, instruction, prompts)

    def tables(
        self, turns: Sequence[_Turn], replies: Sequence[Reply[tuple[str, ...]]]
    ) -> dict[str, pa.Table]:
        import pyarrow as pa

        given = [reply.value for reply in replies]
        embed = None if self.rule.similarity is None else _embed_tags()
        alike = make_alike(given, self.rule, embed).rows
        places = [place for place, tags in enumerate(alike) if tags is not None]
        texts = pa.list_(pa.string())
        plain = [[without_surrogates(tag) for tag in given[place] or ()] for place in places]
        tags = pa.table(
            {
                "row": pa.array([turns[place].row for place in places], pa.int32()),
                "turn": pa.array([turns[place].turn for place in places], pa.int32()),
                "given": pa.array(plain, texts),
                "tags": pa.array([list(alike[place] or ()) for place in places], texts),
            }
        )
        scores = _scores(turns, replies, lambda place: float(len(alike[place] or ())))
        return {"complexity": scores, "tags": tags}


def _embed_tags() -> EmbedTags:
    from deita_core.embedding.catalogue import load_embedder

    embedder = load_embedder("minilm")

    def embed(tags: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.nan_to_num(embedder.embed(list(tags)).vectors)

    return embed


class NodesSpec(TurnCountSpec[NodeTree]):
    """Scores the complexity of each instruction by the nodes of its tree, after Tree-Instruct."""

    kind = "nodes"
    label = "Nodes"
    scorer = "nodes"

    async def ask(self, chat: Chat, instruction: str, prompts: Prompts) -> Reply[NodeTree]:
        return await instruction_nodes(chat, instruction, prompts)

    def tables(
        self, turns: Sequence[_Turn], replies: Sequence[Reply[NodeTree]]
    ) -> dict[str, pa.Table]:
        def nodes(place: int) -> float:
            tree = replies[place].value
            return float(len(tree)) if tree is not None else 0.0

        return {"complexity": _scores(turns, replies, nodes)}
