"""The job that evolves seeds of the pool, ranks their chains, and keeps both in the project.

What is drawn depends on the plan and the seed's text alone, so a job that is started again runs its
chains from the start: what was answered before costs nothing, and gives the same chain.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from deita_core.evolving.chain import evolve_chain
from deita_core.evolving.plan import EvolvePlan, RankPlan
from deita_core.evolving.prompts import Prompts
from deita_core.evolving.ranking import rank_chain
from deita_core.evolving.variant import Ranking, Seed, Variant
from deita_core.jobs.evolve_seeds import SeedChoice, chosen_seeds
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kinds.chat_jobs import ChatJob, Results
from deita_core.models.chat import Chat
from deita_core.models.spending import Spent
from deita_core.project import Project
from deita_core.project.evolutions import (
    EvolutionPlan,
    add_chains,
    begin_evolution,
    paid_by,
    ranking_table,
    reopen_failed,
    same_evolution,
    seeds_left,
    variant_table,
)
from deita_core.project.job_log import Progress

if TYPE_CHECKING:
    import pyarrow as pa

PILOT = 20


class Evolved(NamedTuple):
    """A chain that has nothing left to ask."""

    variants: list[Variant]
    rankings: list[Ranking]


class _Tally(Results[Evolved]):
    """Counts what came of the chains of a run. total: chains of this job."""

    def __init__(self, evolution: int, total: int) -> None:
        self._evolution, self._total = evolution, total
        self._chains = self._kept = self._eliminated = self._ranked = 0

    def part(self, results: Sequence[Evolved], answers: pa.Table) -> Part:
        """Their variants, rankings and answers."""
        tables = {
            "variants": variant_table(v for one in results for v in one.variants),
            "rankings": ranking_table(r for one in results for r in one.rankings),
            "answers": answers,
        }
        chains = [one.variants[0].chain for one in results]
        return Part(tables, {"evolution": self._evolution, "chains": chains})

    def progress(self, results: Sequence[Evolved], spent: Spent) -> Progress:
        """Chains that are done, and the fates of their variants."""
        for chain in results:
            kept = sum(one.eliminated is None and one.round > 0 for one in chain.variants)
            self._chains += 1
            self._kept += kept
            self._eliminated += sum(one.eliminated is not None for one in chain.variants)
            self._ranked += any(one.scores for one in chain.rankings)
        return Progress(
            stage="evolving",
            done=self._chains,
            total=self._total,
            counts={
                "variants": self._kept,
                "eliminated": self._eliminated,
                "chains ranked": self._ranked,
            },
            spent=spent,
        )


class EvolveSpec(ChatJob):
    """Evolves each seed, and ranks what was kept of its chain.

    name: of the run in the project; the same name with the same plan goes on with it. seeds: which
    turns. rank: None leaves the chains without ranks. first: only so many of its chains, as a pilot
    that says what the rest will cost. again: also chains in which a request failed.
    """

    kind = "evolve"
    label = "Evolve"
    unit = "chains"

    name: str
    plan: EvolvePlan
    rank: RankPlan | None = RankPlan()
    seeds: SeedChoice = SeedChoice()
    first: int | None = None
    again: bool = False

    def check(self, project: Project) -> None:
        """Raises DeitaError for unknown methods, no seeds, or a name that is taken."""
        self.read_prompts.methods(self.plan)
        if same_evolution(project, self.name, self.evolution_plan()) is None:
            chosen_seeds(project, self.seeds, self.plan)

    def evolution_plan(self) -> EvolutionPlan:
        """What tells the run apart from others: all that decides what is asked."""
        decides = self.model_dump(mode="json", include={"plan", "rank", "seeds"})
        return EvolutionPlan(
            kind=self.plan.kind,
            model=self.chat,
            prompts=self.read_prompts.version,
            rounds=self.plan.rounds,
            spec=json.dumps(decides, sort_keys=True),
        )

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Begin the run, or go on with it: write the seeds whose chains are not done."""
        plan = self.evolution_plan()
        evolution = same_evolution(project, self.name, plan)
        if evolution is None:
            found = chosen_seeds(project, self.seeds, self.plan)
            evolution = begin_evolution(project, self.name, plan, found.seeds, unfit=found.unfit)
        if self.again:
            reopen_failed(project, evolution)
        self.write_known(project, folder, partial(paid_by, project, evolution))
        left = seeds_left(project, evolution, below=self.first)
        given = {"evolution": evolution, "seeds": [asdict(one) for one in left]}
        (folder / "seeds.json").write_text(json.dumps(given), encoding="utf-8")
        return len(left)

    def work(self, channel: WorkerChannel) -> None:
        folder, total = channel.get_input()
        given = json.loads((folder / "seeds.json").read_text(encoding="utf-8"))
        seeds = [Seed(**one) for one in given["seeds"]]
        prompts = self.read_prompts
        self.ask_all(
            channel,
            folder,
            lambda chat: (self._chain(chat, one, prompts) for one in seeds),
            _Tally(given["evolution"], total),
        )

    async def _chain(self, chat: Chat, seed: Seed, prompts: Prompts) -> Evolved:
        variants = await evolve_chain(chat, seed, self.plan, prompts)
        if self.rank is None:
            return Evolved(variants, [])
        rankings = await rank_chain(chat, variants, self.plan.kind, self.rank, prompts)
        return Evolved(variants, rankings)

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        add_chains(
            project,
            part.meta["evolution"],
            part.meta["chains"],
            part.tables["variants"],
            part.tables["rankings"],
            part.tables["answers"],
        )
