"""Training a language model on which of two turns is the better one.

TRL's reward training on pairs within a seed: the loss is -log sigmoid(better - worse), after
Bradley and Terry (as in arXiv 2203.02155, section 3.5). The model has one number as its output; a
line fitted on the labels it was trained with makes that a score from 1 to 6. `reward:FOLDER` loads
what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.files import whole_file
from deita_core.models.options import ModelOptions
from deita_core.scoring.llm.prompts import TEMPLATE
from deita_core.scoring.llm.reward import LINE, RewardLine, RewardModel
from deita_core.scoring.protocol import Dimension
from deita_core.training.labels import LabelledTurn, Told, TrainingStep
from deita_core.training.llm_options import LlmTraining, check_installed
from deita_core.training.llm_plan import TrainingPlan, write_plan
from deita_core.training.llm_rows import PairRows, ordered_pairs, pair_rows, turn_of
from deita_core.training.llm_run import (
    Labels,
    TrainingRecord,
    adapter,
    base_weights,
    curve_of,
    finished_model,
    in_our_words,
    is_made,
    on_one_gpu,
    publish,
    run,
    trainer_settings,
    versions,
    write_record,
)

FITTED_ON = 2_000  # rows are enough for a straight line
# The flattest line there is, as a share of the one that gives scores the spread of the labels: a
# model that learnt nothing still has an order, which a report can then call worthless.
FLATTEST = 0.01


def train_pairwise(
    rows: Sequence[LabelledTurn],
    held_out: Sequence[LabelledTurn],
    dimension: Dimension,
    out: Path,
    options: LlmTraining,
    told: Told,
) -> None:
    """Makes the folder `out` a scorer, trained on pairs of `rows` that share a group; the loss on
    pairs of `held_out` is only watched. Otherwise as `train_llm`."""
    plan = write_plan("pairwise", dimension, rows, held_out, out, options.recipe())
    run_pairwise(plan, out, told)


def run_pairwise(plan: TrainingPlan, out: Path, told: Told) -> None:
    """Runs a plan that is written in `out`, in one process or in many."""
    if is_made(plan, out):
        return
    check_installed()
    told(TrainingStep("loading the model", 0, 1))
    labels, recipe = Labels(plan, out), plan.recipe
    train = pair_rows(plan.dimension, labels.train, labels.prompts, recipe.seed)
    watched = ordered_pairs(labels.held_out, recipe.seed)[0]
    held_out = (
        pair_rows(plan.dimension, labels.held_out, labels.prompts, recipe.seed) if watched else None
    )
    with in_our_words(recipe.base):
        trainer = _trainer(plan, out, labels, train, held_out)
        seconds = run(trainer, told, out, len(train.better))
        steps, history = trainer.state.global_step, trainer.state.log_history
        revision = str(getattr(trainer.model.config, "_commit_hash", None) or "unknown")
        filler = trainer.model.config.get_text_config().pad_token_id
        if not trainer.is_world_process_zero():
            return
        del trainer
        told(TrainingStep("saving the model", steps, steps))
        _publish(plan, out, labels, filler)
    write_record(
        TrainingRecord(
            plan=plan,
            base_revision=revision,
            cut=train.cut,
            pairs=len(train.better),
            pairs_left_out=train.left_out,
            steps=steps,
            seconds=seconds,
            rows_per_second=recipe.epochs * len(train.better) / seconds,
            curve=curve_of(history),
            versions=versions(),
        ),
        out,
    )


def _trainer(
    plan: TrainingPlan, out: Path, labels: Labels, train: PairRows, held_out: PairRows | None
) -> Any:
    from trl.trainer.reward_config import RewardConfig
    from trl.trainer.reward_trainer import RewardTrainer

    recipe = plan.recipe
    watched = 0 if held_out is None else len(held_out.better)
    arguments = RewardConfig(
        **trainer_settings(recipe, out, len(train.better), watched),
        model_init_kwargs=base_weights(recipe),
    )
    return RewardTrainer(
        model=recipe.base,
        args=on_one_gpu(arguments),
        train_dataset=_dataset(train),
        eval_dataset=None if held_out is None else _dataset(held_out),
        processing_class=labels.plain,
        peft_config=adapter(recipe, "SEQ_CLS"),
    )


def _dataset(rows: PairRows) -> Any:
    from datasets import Dataset

    return Dataset.from_dict({"chosen_ids": rows.better, "rejected_ids": rows.worse})


def _publish(plan: TrainingPlan, out: Path, labels: Labels, filler: int) -> None:
    from transformers import AutoModelForSequenceClassification

    model = finished_model(plan, out, AutoModelForSequenceClassification, {"num_labels": 1})
    model.config.get_text_config().pad_token_id = filler
    publish(plan, out, model, Labels(plan, out).plain)
    del model
    line = _line(plan.dimension, labels.train, out, plan.recipe.seed)
    with whole_file(out / LINE) as partial:
        partial.write_text(f"{line.model_dump_json(indent=2)}\n", encoding="utf-8")


def _line(dimension: Dimension, rows: Sequence[LabelledTurn], out: Path, seed: int) -> RewardLine:
    chosen = np.random.default_rng(seed).permutation(len(rows))[:FITTED_ON].tolist()
    turns = [turn_of(rows[place]) for place in chosen]
    numbers, _, _ = RewardModel(out, ModelOptions()).numbers(dimension, turns)
    scores = np.array([rows[place].score for place in chosen])
    slope, low = rising_line(numbers[np.isfinite(numbers)], scores[np.isfinite(numbers)])
    return RewardLine(dimension=dimension, template=TEMPLATE, slope=slope, low=low)


def rising_line(numbers: NDArray[np.float64], scores: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and height at 0 of the line of least squares from (n,) numbers to (n,) scores, its
    slope kept above 0 (see `FLATTEST`)."""
    spread = float(numbers.std())
    if spread == 0.0:  # one number for all: any line says the same
        return 1.0, float(scores.mean() - numbers.mean())
    fitted = float(((numbers - numbers.mean()) * (scores - scores.mean())).mean()) / spread**2
    slope = max(fitted, FLATTEST * max(float(scores.std()), FLATTEST) / spread)
    return slope, float(scores.mean() - slope * numbers.mean())
