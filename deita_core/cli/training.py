"""The commands that train a scorer of one's own, and list, show and delete those there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from typer import Argument, BadParameter, Option

from deita_core.cli.options import JSON, ProjectOptions, choice, flag, print_json, value
from deita_core.cli.progress_bars import run_jobs
from deita_core.files import one_line
from deita_core.jobs.kinds import ScoreSpec, TrainSpec
from deita_core.jobs.trained import (
    TrainedFolder,
    delete_trained,
    find_trained,
    trained_scorers,
)
from deita_core.project import Project
from deita_core.project.queues import find_queue
from deita_core.scoring.protocol import DIMENSIONS
from deita_core.scoring.trained import METHODS, TrainingMethod
from deita_core.training.llm_options import PRESETS, LlmTraining, Preset
from deita_core.training.report import Figure


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """What a scorer is trained on."""

    dimension: str = choice(..., DIMENSIONS, "what is learnt")
    labels: str = Option(
        ...,
        "--from",
        metavar="chains|reviews|FILE",
        help="ranked chains (of --run), what people scored, or a labelled file",
    )
    run: str | None = value(None, "NAME", "of `evolve` (default: named after the dimension)")
    queue: str | None = value(None, "NAME", "with reviews: only what was scored in this queue")
    scale: str = value("1:6", "LOW:HIGH", "the lowest and highest score of a file")
    held_out: float = value(0.2, "SHARE", "of the groups (seed instructions) never learnt from")
    seed: int = value(1, "N", "of the split and the training")

    @property
    def of_project(self) -> bool:
        """Whether the labels stand in the project."""
        return self.labels in ("chains", "reviews")

    def spec(
        self, project: Project, name: str, method: TrainingMethod, llm: LlmTraining | None
    ) -> TrainSpec:
        """The job. Raises DeitaError for what cannot be."""
        chains, queue = self.labels == "chains", None
        if self.queue is not None:
            queue = find_queue(project, self.queue).queue
        if self.run is not None and not chains:
            raise BadParameter("--run goes with --from chains")
        return TrainSpec.read(
            {
                "name": name,
                "dimension": self.dimension,
                "method": method,
                "labels": self.labels if self.of_project else "file",
                "run": (self.run or self.dimension) if chains else None,
                "file": None if self.of_project else self.labels,
                "queue": queue,
                "scale": _scale(self.scale),
                "held_out": self.held_out,
                "seed": self.seed,
                "llm": llm,
            }
        )


def _scale(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    try:
        return float(low), float(high)
    except ValueError as error:
        raise BadParameter(f"--scale takes LOW:HIGH, e.g. 0:10, got {text!r}") from error


@dataclass(frozen=True, kw_only=True)
class LlmOptions:
    """How a language model is trained, for the methods llm and pairwise."""

    base: str | None = value(None, "MODEL", "the model to begin with: a folder, or its hub name")
    preset: str = choice("paper", PRESETS, "the recipe that the next options change")
    epochs: int | None = value(None, "N", "how often each row is seen")
    batch: int | None = value(None, "N", "rows of a step")
    learning_rate: float | None = value(None, "RATE", "at its peak")
    max_tokens: int | None = value(None, "N", "of a prompt; of a longer one texts lose their ends")
    lora_rank: int | None = value(None, "N", "of LoRA's matrices; 0 trains all weights")
    device: str | None = value(None, "DEVICE", "cpu, cuda or mps")

    def training(self, seed: int) -> LlmTraining | None:
        """None where no model is named; ModelError for a value out of range."""
        if self.base is None:
            return None
        return LlmTraining(
            base=self.base,
            preset=cast(Preset, self.preset),
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            max_tokens=self.max_tokens,
            lora_rank=self.lora_rank,
            device=cast(Any, self.device),
            seed=seed,
        )


def train_scorer(
    labels: LabelOptions,
    language_model: LlmOptions,
    target: ProjectOptions,
    method: str = choice("light", METHODS, "light runs on a CPU; the others train --base"),
    name: str | None = value(None, "NAME", "of the scorer (default: DIMENSION-METHOD)"),
    use: bool = flag("--use", "then score the pool with it, and let its scores count"),
    as_json: bool = JSON,
) -> None:
    """Train a scorer on your labels, and say how good it is on turns it never saw."""
    name = name or f"{labels.dimension}-{method}"
    training = language_model.training(labels.seed)
    with target.opened(create=not labels.of_project) as project:
        spec = labels.spec(project, name, cast(TrainingMethod, method), training)
        spec.check(project)
        said = run_jobs(project, [spec], quiet=target.quiet)[0].message
        found = find_trained(project, name)
        if use:
            scorer = {labels.dimension: found.loads}
            run_jobs(project, [ScoreSpec.model_validate(scorer)], quiet=target.quiet)
        if as_json:
            print_json(_object(found))
            return
        print(said)
        _print_report(found)
        if use:
            print(f"the scores of {found.name} count for {labels.dimension}")


def show_trained(
    target: ProjectOptions,
    name: str | None = Argument(None, metavar="[NAME]", help="of one, with its whole report"),
    card: bool = flag("--card", "print its model card, in Markdown"),
    delete: bool = flag("--delete", "delete it; what it has scored stays"),
    as_json: bool = JSON,
) -> None:
    """List the scorers that were trained in the project, or show one."""
    with target.opened() as project:
        if name is None:
            if card or delete:
                raise BadParameter("--card and --delete need the name of a scorer")
            _list(project, as_json)
            return
        found = find_trained(project, name)
        if delete:
            delete_trained(project, name)
            print(f"{name} is deleted")
        elif card:
            print(found.card)
        elif as_json:
            print_json(_object(found))
        else:
            print(_line(found))
            _print_report(found)


def _list(project: Project, as_json: bool) -> None:
    found = trained_scorers(project)
    if as_json:
        print_json({"scorers": [_object(one) for one in found]})
        return
    for one in found:
        print(_line(one))
    if not found:
        print("no scorer was trained in this project yet: see `train-scorer`")


def _line(one: TrainedFolder) -> str:
    if one.facts is None or one.report is None:
        return f"{one.name}: {one_line(one.fault or 'damaged')}"
    facts = one.facts
    return (
        f"{one.name}: {facts.dimension}, {facts.method}, from {one_line(facts.source)}, "
        f"{facts.learnt:,} turns learnt from and {facts.held_out:,} held out. "
        f"{one.report.verdict} Load it as {one_line(one.loads)}"
    )


def _print_report(one: TrainedFolder) -> None:
    if one.report is None:
        return
    print(f"{'on held-out turns':<26}{'n':>8}{'scorer':>9}{'length':>9}{'shipped':>9}")
    for figure in one.report.figures:
        print(_figure_line(figure))


def _figure_line(figure: Figure) -> str:
    values = (figure.scorer, figure.length, figure.shipped)
    numbers = "".join(f"{'–' if value is None else f'{value:.3f}':>9}" for value in values)
    return f"{figure.name:<26}{figure.n:>8,}{numbers}"


def _object(one: TrainedFolder) -> dict[str, Any]:
    return {
        "name": one.name,
        "folder": str(one.folder),
        "fault": one.fault,
        "loads": None if one.facts is None else one.loads,
        "facts": None if one.facts is None else one.facts.model_dump(mode="json"),
        "report": None if one.report is None else one.report.model_dump(mode="json"),
    }
