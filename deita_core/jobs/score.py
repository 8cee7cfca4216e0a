"""The job that scores every turn that has no score of the chosen scorers yet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deita_core.errors import ModelError
from deita_core.jobs.desk import Desk
from deita_core.jobs.handover import Part
from deita_core.jobs.kind import Parameters
from deita_core.jobs.pace import Pace, Window
from deita_core.jobs.turn_batches import ConversationTurns, read_windows, score_rows
from deita_core.project import Project
from deita_core.project.scores import (
    add_scores,
    count_unscored,
    register_scorer,
    write_unscored,
)
from deita_core.scoring.health import ENOUGH, HealthTally
from deita_core.scoring.protocol import DIMENSIONS, Scorer


class Score:
    """parameters: {"complexity": name, "quality": name} of scorers in the catalogue, or one of
    the two; {"options": {"complexity": ModelOptions as JSON, ...}} and "despite_health": true to
    go on with a scorer that looks hopeless, both may be absent; so may "activate": false, to
    leave the scorers that count for selection as they are."""

    name = "score"
    label = "Score"
    unit = "conversations"

    def work(self, parameters: Parameters, desk: Desk) -> None:
        """Score in batches of a few seconds each, of like lengths."""
        scorers = loaded_scorers(parameters)
        folder, total = desk.get_input(_identity(scorers))
        run = _Run(scorers, desk, total, despite_health=bool(parameters.get("despite_health")))
        desk.report(0, total, "scoring")
        spread = True
        for conversations in read_windows(folder / "rows.parquet"):
            lengths = [one.characters for one in conversations]
            window = Window(conversations, lengths, spread=spread)
            spread = False
            while window:
                run.score(window.take(run.next_size))
        desk.put(Part({}, {"identity": _identity(scorers), "finished": True}))

    def prepare(
        self, project: Project, parameters: Parameters, identity: Parameters, folder: Path
    ) -> int:
        """Write the conversations that lack a score."""
        numbers = _numbers(project, identity, activate=False)
        write_unscored(project, numbers, folder / "rows.parquet")
        return count_unscored(project, numbers)

    def commit(self, project: Project, parameters: Parameters, part: Part) -> None:
        """Scores of one batch, one table a dimension; at the end they count for selection.

        Not before: a run that is stopped early leaves the scorers in use as they are.
        """
        activate = part.meta.get("finished", False) and parameters.get("activate", True)
        numbers = _numbers(project, part.meta["identity"], activate=activate)
        for dimension, table in part.tables.items():
            add_scores(project, numbers[dimension], table)

    def stopped(self, project: Project, parameters: Parameters) -> None:
        """What was committed stays; nothing to mark."""


class _Run:
    """The batches of one worker: hands them over, tells progress, stops a hopeless scorer."""

    def __init__(
        self, scorers: Sequence[Scorer], desk: Desk, total: int, *, despite_health: bool
    ) -> None:
        self.pace = Pace()
        self._scorers = scorers
        self._tallies = {scorer.dimension: HealthTally() for scorer in scorers}
        self._desk = desk
        self._total = total
        self._despite_health = despite_health
        self._done = 0
        self._tokens = 0
        self._seconds = 0.0

    @property
    def next_size(self) -> int:
        """Conversations for the next batch; the health is looked at in time."""
        missing = ENOUGH - self._done
        return min(self.pace.size, missing) if missing > 0 else self.pace.size

    def score(self, conversations: Sequence[ConversationTurns]) -> None:
        """One batch."""
        started = time.monotonic()
        tables: dict[str, Any] = {}
        for scorer in self._scorers:
            batch, tables[scorer.dimension] = score_rows(scorer, conversations)
            self._tallies[scorer.dimension].add(batch)
            self._tokens += sum(one.tokens(scorer.dimension) for one in conversations)
        taken = time.monotonic() - started
        self.pace.took(len(conversations), taken)
        self._seconds += taken
        self._desk.put(Part(tables, {"identity": _identity(self._scorers)}))
        self._done += len(conversations)
        self._desk.report(self._done, self._total, self._message())
        self._check_health()

    def _message(self) -> str:
        rate = self._done / max(self._seconds, 1e-6)
        tokens = self._tokens / max(self._seconds, 1e-6)
        parts = [f"{_figures(rate)} rows/s, about {_figures(tokens)} tokens/s"]
        for scorer in self._scorers:
            health = self._tallies[scorer.dimension].health
            parts += [f"{scorer.dimension}: {v.sentence}" for v in health.verdicts()[:1]]
        return "; ".join(parts)

    def _check_health(self) -> None:
        if self._despite_health:
            return
        for scorer in self._scorers:
            if sentence := self._tallies[scorer.dimension].health.hopeless:
                raise ModelError(
                    f"stopped: {scorer.dimension} by {scorer.id}: {sentence}. Choose another "
                    "scorer, or start again with the setting to score despite its health"
                )


def loaded_scorers(parameters: Parameters) -> list[Scorer]:
    """The scorers that a job's parameters name, with their options."""
    from deita_core.scoring.catalogue import load_scorer
    from deita_core.scoring.options import ModelOptions

    options = parameters.get("options") or {}
    return [
        load_scorer(parameters[d], d, ModelOptions.from_json(options.get(d)))
        for d in DIMENSIONS
        if parameters.get(d)
    ]


def identity_of(scorer: Scorer) -> dict[str, Any]:
    """What tells a scorer apart from all others."""
    return {"id": scorer.id, "revision": scorer.revision, "parameters": dict(scorer.parameters)}


def _identity(scorers: Sequence[Scorer]) -> dict[str, Any]:
    return {scorer.dimension: identity_of(scorer) for scorer in scorers}


def _numbers(project: Project, identity: Parameters, *, activate: bool) -> dict[str, int]:
    return {
        dimension: register_scorer(
            project,
            dimension,
            model["id"],
            model["revision"],
            model["parameters"],
            activate=activate,
        )
        for dimension, model in identity.items()
    }


def _figures(rate: float) -> str:
    """1,234 or 12.3 or 0.45."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}" if rate >= 1 else f"{rate:.2f}"
