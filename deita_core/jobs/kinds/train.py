"""The job that trains a scorer of one's own: labels, split, fit, report, card.

The worker makes the whole folder within the job's, where it outlives a kill; the owner moves it to
the project's scorers once it is finished. A training that was cancelled is resumed by another job,
which takes over what the first one left.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from deita_core.errors import JobError
from deita_core.files import whole_file
from deita_core.jobs.handover import SPEC, Handover, Identities, Part, WorkerChannel
from deita_core.jobs.kind import JobSpec, OutPath
from deita_core.jobs.label_sources import (
    LabelSource,
    labels_of_chains,
    labels_of_file,
    labels_of_reviews,
)
from deita_core.jobs.trained import check_scorer_name, keep_trained
from deita_core.models.options import ModelOptions
from deita_core.project import Project
from deita_core.project.job_log import Progress
from deita_core.scoring.light.scorer import LightScorer, load_weights
from deita_core.scoring.protocol import Dimension, Scorer, TurnText
from deita_core.scoring.trained import FACTS, TrainedScorer, TrainingMethod
from deita_core.training.card import CARD, card_text
from deita_core.training.figures import Values
from deita_core.training.labels import LabelledTurn, TrainingStep
from deita_core.training.llm_options import LlmTraining
from deita_core.training.report import HeldOut, TrainingReport, measure, write_report
from deita_core.training.split import split_turns

LabelsFrom = Literal["chains", "file", "reviews"]
# Where the folder is made, in that of the job.
_MADE, _LABELS = "scorer", "labels.json"
_BATCH = 256
_MOST_POINTS = 100


class TrainSpec(JobSpec):
    """Trains a scorer of this name.

    labels: ranked chains of the evolution `run`, the file `file`, or what people scored (in one
    `queue`, by its number). scale: lowest and highest score of a file. held_out: the share of the
    groups that it never sees. llm: for the methods "llm" and "pairwise".
    """

    kind = "train"
    label = "Train a scorer"
    unit = "steps"

    name: str
    dimension: Dimension
    method: TrainingMethod = "light"
    labels: LabelsFrom
    run: str | None = None
    file: OutPath | None = None
    queue: int | None = None
    scale: tuple[float, float] = (1.0, 6.0)
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: Annotated[int, Field(ge=0)] = 1
    llm: LlmTraining | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.labels == "chains") != (self.run is not None):
            raise JobError("labels from chains need the name of the run, others have none")
        if (self.labels == "file") != (self.file is not None):
            raise JobError("labels out of a file need the file, others have none")
        if self.queue is not None and self.labels != "reviews":
            raise JobError("a queue can be given for labels from reviews only: leave it out")
        if (self.method == "light") != (self.llm is None):
            raise JobError(
                "a light scorer has no language model; the methods llm and pairwise need one: name "
                "the model to begin with"
            )
        return self

    def check(self, project: Project) -> None:
        """Raises DeitaError for a name that is taken, too few labels, or a model not there."""
        check_scorer_name(project, self.name)
        split_turns(self.label_source(project).labels.turns, self.held_out, self.seed)
        if self.llm is not None:
            self.llm.recipe()

    def label_source(self, project: Project) -> LabelSource:
        """The labels as they are now."""
        if self.run is not None:
            return labels_of_chains(project, self.run, self.dimension)
        if self.file is not None:
            return labels_of_file(self.file, self.dimension, self.scale)
        return labels_of_reviews(project, self.dimension, self.queue)

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write the labels as they are now; checkpoints of the same training are taken over."""
        self._take_over(project, folder.parent / _MADE)
        found = self.label_source(project)
        split_turns(found.labels.turns, self.held_out, self.seed)
        told = {
            "said": found.said,
            "sentence": found.labels.sentence(),
            "turns": [asdict(turn) for turn in found.labels.turns],
        }
        (folder / _LABELS).write_text(json.dumps(told), encoding="utf-8")
        return len(found.labels.turns)

    def _take_over(self, project: Project, made: Path) -> None:
        """Go on from what an earlier job of this training left. Whether its checkpoints are of the
        same labels, the trainer sees."""
        if made.exists():
            return
        mine = self.kind, self.to_json()
        for left in project.folder.glob(f"job-*/{_MADE}"):
            if Handover(left.parent).told(SPEC) == mine:
                left.rename(made)
                return

    def work(self, channel: WorkerChannel) -> None:
        """Train, measure on what was held out, write the folder, hand it over."""
        folder, _ = channel.get_input()
        told = json.loads((folder / _LABELS).read_text(encoding="utf-8"))
        turns = [LabelledTurn(**one) for one in told["turns"]]
        learnt, held_out = split_turns(turns, self.held_out, self.seed)
        made = folder.parent / _MADE
        facts = self._trained(learnt, held_out, made, _Teller(channel))
        scores = [
            _scores(channel, self._scorer(made), held_out),
            _scores(channel, LightScorer(self.dimension), [*learnt, *held_out]),
        ]
        count = len(learnt)
        report = measure(
            self.dimension,
            learnt,
            scores[1][:count],
            HeldOut(held_out, scores[0], scores[1][count:]),
            self.seed,
        )
        self._write(made, told, turns, report, facts)
        channel.put(Part(meta={"made": str(made)}))
        figure = report.spearman
        result = [told["sentence"], report.verdict]
        if figure.scorer is not None:
            result.insert(1, f"Spearman {figure.scorer:.2f} on {figure.n:,} held-out turns")
        channel.report(Progress(done=1, total=1, result=tuple(result)))

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        keep_trained(project, self.name, Path(part.meta["made"]))

    def _trained(
        self,
        learnt: Sequence[LabelledTurn],
        held_out: Sequence[LabelledTurn],
        made: Path,
        told: _Teller,
    ) -> dict[str, str]:
        """Trains into `made`; what the card says of how."""
        if self.llm is None:
            from deita_core.training.light import train_light

            shutil.rmtree(made, ignore_errors=True)  # it is fitted anew in seconds
            fit = train_light(learnt, self.dimension, made, told, self.seed)
            return {"weights": f"revision {fit.revision}", "fitted": fit.parts}
        from deita_core.training.llm import train_llm
        from deita_core.training.pairwise import train_pairwise

        train = train_llm if self.method == "llm" else train_pairwise
        train(learnt, held_out, self.dimension, made, self.llm, told)
        return {"base model": self.llm.base, "recipe": "training.json, training/training.yaml"}

    def _scorer(self, made: Path) -> Scorer:
        """What was trained, before it has its place."""
        if self.method == "light":
            return LightScorer(self.dimension, made, own=True)
        options = ModelOptions(device=None if self.llm is None else self.llm.device)
        if self.method == "llm":
            from deita_core.scoring.llm.scorer import LLMScorer

            return LLMScorer(str(made), self.dimension, options=options)
        from deita_core.scoring.llm.reward import RewardScorer

        return RewardScorer(made, self.dimension, options)

    def _write(
        self,
        made: Path,
        told: dict[str, Any],
        turns: Sequence[LabelledTurn],
        report: TrainingReport,
        facts: dict[str, str],
    ) -> None:
        """What the folder says of itself; `scorer.json`, which makes it one, comes last."""
        revision = ""
        if self.method == "light":
            revision = load_weights(made / f"light-{self.dimension}.safetensors")[1]
        scorer = TrainedScorer(
            name=self.name,
            dimension=self.dimension,
            method=self.method,
            source=told["said"],
            labels_sha256=_hash_of(turns),
            revision=revision,
            learnt=report.learnt,
            held_out=report.held_out,
            groups=report.groups_learnt + report.groups_held_out,
            seed=self.seed,
            beats_length=report.beats_length,
            made=datetime.now(UTC),
        )
        write_report(report, made)
        card = card_text(scorer, report, {"counts": told["sentence"], **facts})
        (made / CARD).write_text(card, encoding="utf-8")
        with whole_file(made / FACTS) as partial:
            partial.write_text(f"{scorer.model_dump_json(indent=2)}\n", encoding="utf-8")


class _Teller:
    """Tells the owner of the steps of a training, with the losses so far."""

    def __init__(self, channel: WorkerChannel) -> None:
        self._channel = channel
        self._curve: list[tuple[int, float]] = []
        self._started, self._first = time.monotonic(), 0

    def __call__(self, step: TrainingStep) -> None:
        """Raises JobCancelledError when the job is to stop."""
        if step.loss is not None and (not self._curve or self._curve[-1][0] != step.done):
            self._curve.append((step.done, step.loss))
        # A training that goes on has seen rows before; another stage counts its rows anew.
        if step.rows and not 0 < self._first <= step.rows:
            self._started, self._first = time.monotonic(), step.rows
        seconds = time.monotonic() - self._started
        measured = bool(self._curve) and step.rows > self._first and seconds > 1
        self._channel.report(
            Progress(
                stage=step.stage,
                done=step.done,
                total=step.total,
                loss=self._curve[-1][1] if self._curve else None,
                model_rate=(step.rows - self._first) / seconds if measured else None,
                curve=_thinned(self._curve),
            )
        )
        self._channel.check()


def _thinned(curve: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """At most about `_MOST_POINTS` of them, the last among them."""
    every = max(1, -(-len(curve) // _MOST_POINTS))
    return tuple(curve[::-1][::every][::-1])


def _scores(channel: WorkerChannel, scorer: Scorer, turns: Sequence[LabelledTurn]) -> Values:
    """(n,) float64, NaN for none; looks for a cancel between batches."""
    found = [np.zeros(0)]
    for start in range(0, len(turns), _BATCH):
        stage = "scoring what was held out"
        channel.report(Progress(stage=stage, done=start, total=len(turns)))
        some = turns[start : start + _BATCH]
        texts = [TurnText(turn.instruction, turn.response) for turn in some]
        found.append(scorer.score(texts).scores.astype(np.float64))
    return np.concatenate(found)


def _hash_of(turns: Sequence[LabelledTurn]) -> str:
    lines = (json.dumps(asdict(turn), sort_keys=True) for turn in turns)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
