"""Training a language model to answer the paper's prompts with a score (arXiv 2312.15685).

Supervised fine-tuning by TRL on rows that are tokens already; the loss is that of the one token of
the score. The folder it makes is a model of its own that `llm:FOLDER` loads: small matrices (LoRA)
are merged into the weights, so that every program that reads a model reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deita_core.scoring.protocol import Dimension
from deita_core.training.labels import LabelledTurn, Told, TrainingStep
from deita_core.training.llm_options import LlmTraining, check_installed
from deita_core.training.llm_plan import TrainingPlan, write_plan
from deita_core.training.llm_rows import IGNORED, ScoreRows, score_rows
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


def train_llm(
    rows: Sequence[LabelledTurn],
    held_out: Sequence[LabelledTurn],
    dimension: Dimension,
    out: Path,
    options: LlmTraining,
    told: Told,
) -> None:
    """Makes the folder `out` a scorer, trained on `rows`; the loss on `held_out` is only watched.

    `out` is kept when the training is stopped, and the same call goes on from there; where `launch`
    made the scorer meanwhile, it has nothing to do. Raises ModelError, and JobCancelledError when
    `told` does.
    """
    recipe = options.recipe()
    plan = write_plan("llm", dimension, rows, held_out, out, recipe)
    run_llm(plan, out, told)


def run_llm(plan: TrainingPlan, out: Path, told: Told) -> None:
    """Runs a plan that is written in `out`, in one process or in many."""
    if is_made(plan, out):
        return
    check_installed()
    told(TrainingStep("loading the model", 0, 1))
    labels, recipe = Labels(plan, out), plan.recipe
    train = score_rows(plan.dimension, labels.train, labels.prompts, recipe.seed)
    held_out = score_rows(plan.dimension, labels.held_out, labels.prompts, recipe.seed)
    with in_our_words(recipe.base):
        trainer = _trainer(plan, out, labels, train, held_out)
        seconds = run(trainer, told, out, len(train.ids))
        steps, history = trainer.state.global_step, trainer.state.log_history
        revision = str(getattr(trainer.model.config, "_commit_hash", None) or "unknown")
        if not trainer.is_world_process_zero():
            return
        del trainer
        told(TrainingStep("saving the model", steps, steps))
        _publish(plan, out)
    write_record(
        TrainingRecord(
            plan=plan,
            base_revision=revision,
            cut=train.cut,
            steps=steps,
            seconds=seconds,
            rows_per_second=recipe.epochs * len(train.ids) / seconds,
            curve=curve_of(history),
            versions=versions(),
        ),
        out,
    )


def _trainer(
    plan: TrainingPlan, out: Path, labels: Labels, train: ScoreRows, held_out: ScoreRows
) -> Any:
    from trl.trainer.sft_config import SFTConfig

    recipe = plan.recipe
    settings = trainer_settings(recipe, out, len(train.ids), len(held_out.ids))
    arguments = SFTConfig(
        **settings,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},  # they are tokens, and labelled
        model_init_kwargs=base_weights(recipe),
    )
    return _one_token_trainer()(
        model=recipe.base,
        args=on_one_gpu(arguments),
        train_dataset=_dataset(train),
        eval_dataset=_dataset(held_out) if held_out.ids else None,
        processing_class=labels.plain,
        peft_config=adapter(recipe, "CAUSAL_LM"),
    )


def _one_token_trainer() -> Any:
    """TRL's trainer, which on a CPU does not compute the logits of all places of a row, over all of
    the vocabulary, for the loss of one (on CUDA it does not do so by itself)."""
    import torch
    from trl.trainer.sft_trainer import SFTTrainer

    class OneTokenTrainer(SFTTrainer):
        def compute_loss(
            self,
            model: Any,
            inputs: Any,
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            if self.args.device.type == "cuda":
                usual: Any = super().compute_loss
                return usual(model, inputs, return_outputs, num_items_in_batch)
            labels = inputs["labels"]  # (B, T), one place of a row is not ignored
            rows, places = (labels != IGNORED).nonzero(as_tuple=True)
            kept, where = (places - 1).unique(return_inverse=True)
            given = {name: value for name, value in inputs.items() if name != "labels"}
            outputs = model(**given, use_cache=False, logits_to_keep=kept)
            picked = outputs.logits[rows, where].float()  # (B, V)
            loss = torch.nn.functional.cross_entropy(
                picked, labels[rows, places], reduction="sum"
            ) / (len(rows) if num_items_in_batch is None else num_items_in_batch)
            return (loss, outputs) if return_outputs else loss

    return OneTokenTrainer


def _dataset(rows: ScoreRows) -> Any:
    from datasets import Dataset

    return Dataset.from_dict({"input_ids": rows.ids, "labels": rows.labels})


def _publish(plan: TrainingPlan, out: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = finished_model(plan, out, AutoModelForCausalLM, {})
    publish(plan, out, model, Labels(plan, out).plain)
