"""What training by scores and training by pairs have in common: how a plan is run by TRL.

A run goes on from the last whole checkpoint in its folder. One that is stopped by the user writes a
checkpoint first; one that is killed has one from the tenth of the training before. What it made
stands in the folder of the scorer only when all of it is there.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from deita_core.errors import JobCancelledError, ModelError
from deita_core.files import whole_file
from deita_core.models.batches import out_of_memory
from deita_core.models.language_model import DTYPES, load_tokenizer
from deita_core.scoring.llm.prompts import PromptTokenizer
from deita_core.training.labels import LabelledTurn, Told, TrainingStep
from deita_core.training.llm_options import WARM_UP, Recipe
from deita_core.training.llm_plan import (
    CHECKPOINTS,
    FOLDER,
    HELD_OUT,
    TRAIN,
    TrainingPlan,
    forget_checkpoints,
    read_rows,
)

RECORD = "training.json"
FINISHED = "finished"  # what TRL saved, before it is made into a model that stands alone
CHECKPOINTS_A_TRAINING = 10
_VERSIONS = ("torch", "transformers", "trl", "peft", "accelerate")


class CurvePoint(BaseModel):
    """The loss of a step; held_out: that of the rows not learnt from, where it was looked at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    loss: float | None = None
    held_out: float | None = None


class TrainingRecord(BaseModel):
    """What a trained scorer's folder says of its training, in `training.json`.

    base_revision: the commit on the hub, "unknown" for a folder. cut: rows (for pairs, turns) that
    lost text to the limit of tokens. pairs: for pairwise training, with those over the limit of a
    group. seconds, rows_per_second: of the last stretch, where the training was resumed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: TrainingPlan
    base_revision: str
    cut: int
    pairs: int | None = None
    pairs_left_out: int = 0
    steps: int
    seconds: float
    rows_per_second: float
    curve: tuple[CurvePoint, ...]
    versions: Mapping[str, str]


class Labels:
    """The rows of a plan, and the tokenizer of its base model with the plan's limit."""

    def __init__(self, plan: TrainingPlan, out: Path) -> None:
        """Raises ModelError when files were changed, or the tokenizer cannot ask for scores."""
        self.train: Sequence[LabelledTurn] = read_rows(out / FOLDER / TRAIN, plan.train)
        self.held_out: Sequence[LabelledTurn] = read_rows(out / FOLDER / HELD_OUT, plan.held_out)
        base = plan.recipe.base
        try:
            self.plain = load_tokenizer(base)
        except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
            raise ModelError(f"the tokenizer of {base} cannot be loaded: {error}") from error
        self.prompts = PromptTokenizer(self.plain, plan.recipe.max_tokens)


def trainer_settings(recipe: Recipe, out: Path, rows: int, held_out: int) -> dict[str, Any]:
    """The arguments that `SFTConfig` and `RewardConfig` share. rows: of an epoch."""
    at_once, accumulated = split_batch(recipe.batch, recipe.rows_at_once, processes())
    steps = recipe.epochs * math.ceil(rows / recipe.batch)
    gpu = recipe.device == "cuda"
    return {
        "output_dir": str(out / FOLDER / CHECKPOINTS),
        "num_train_epochs": recipe.epochs,
        "per_device_train_batch_size": at_once,
        "per_device_eval_batch_size": at_once,
        "gradient_accumulation_steps": accumulated,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": WARM_UP,
        "max_length": None,  # cut before, in the middle
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "use_cpu": recipe.device == "cpu",
        "bf16": recipe.precision == "bf16",
        "gradient_checkpointing": gpu,  # a CPU has the memory, and not the time
        "dataloader_pin_memory": gpu,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": max(1, steps // CHECKPOINTS_A_TRAINING),
        "save_total_limit": 1,
        "eval_strategy": "epoch" if held_out else "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def on_one_gpu(arguments: Any) -> Any:
    """The arguments, changed so that a process uses one GPU: transformers would take all that it
    sees, in a way that TRL refuses."""
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def processes() -> int:
    """How many processes train together, as `accelerate launch` says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def split_batch(batch: int, at_once: int, count: int) -> tuple[int, int]:
    """Rows that one of `count` processes has at once, and how many such it adds up, so that a step
    is exactly a batch; ModelError when the processes cannot share it evenly.

    >>> split_batch(512, 8, 4)
    (8, 16)
    >>> split_batch(6, 4, 1)
    (3, 2)
    """
    share, rest = divmod(batch, count)
    if rest or not share:
        raise ModelError(
            f"{count} processes cannot share a batch of {batch} rows evenly: choose a batch that "
            f"is a multiple of {count}"
        )
    fitting = max(n for n in range(1, min(share, at_once) + 1) if share % n == 0)
    return fitting, share // fitting


def base_weights(recipe: Recipe) -> dict[str, Any]:
    """How the base model is loaded to be trained, as `from_pretrained` wants it.

    Weights that are trained themselves stay in float32, whatever the arithmetic: steps of 2e-5
    vanish in bfloat16. Frozen ones need no more than the arithmetic has.
    """
    frozen = recipe.lora_rank > 0
    settings: dict[str, Any] = {"dtype": DTYPES[recipe.precision] if frozen else "float32"}
    if recipe.qlora:
        import torch
        from transformers import BitsAndBytesConfig

        compute = getattr(torch, DTYPES[recipe.precision])
        settings["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute,
        )
        settings["device_map"] = {"": int(os.environ.get("LOCAL_RANK", "0"))}
    return settings


def adapter(recipe: Recipe, task: str) -> Any:
    """peft's description of the small matrices, on all linear layers; None for all weights."""
    if recipe.lora_rank == 0:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=2 * recipe.lora_rank,
        lora_dropout=0.05,
        target_modules="all-linear",
        task_type=task,
    )


@contextmanager
def in_our_words(base: str) -> Iterator[None]:
    """Errors of loading and training a model as ModelError, with what helps."""
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    except (OSError, ValueError, ImportError, KeyError, RuntimeError, MemoryError) as error:
        if out_of_memory(error):
            raise ModelError(
                f"the memory is too small to train {base}: choose fewer rows_at_once, lora_rank 16 "
                "(or qlora on a GPU), fewer max_tokens, or a smaller model"
            ) from error
        raise ModelError(f"{base} cannot be trained: {error}") from error


def run(trainer: Any, told: Told, out: Path, rows: int) -> float:
    """Trains from the last checkpoint on, and saves into `training/finished`; returns the seconds.

    rows: of an epoch. Raises JobCancelledError when `told` does, after a checkpoint was written.
    """
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    watch = _watch(told, rows)
    trainer.add_callback(watch)
    begun = time.monotonic()
    trainer.train(resume_from_checkpoint=last_checkpoint(out))
    if watch.cancelled is not None:
        raise watch.cancelled
    seconds = time.monotonic() - begun
    finished = out / FOLDER / FINISHED
    if trainer.is_world_process_zero():
        shutil.rmtree(finished, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    trainer.save_model(str(finished))
    return seconds


def last_checkpoint(out: Path) -> str | None:
    """The newest checkpoint that was written whole; one that a kill left torn is deleted."""
    found = sorted(
        (out / FOLDER / CHECKPOINTS).glob("checkpoint-*"),
        key=lambda path: int(path.name.rpartition("-")[2]),
    )
    for path in reversed(found):
        try:  # written last
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(path, ignore_errors=True)
            continue
        return str(path)
    return None


def _watch(told: Told, rows: int) -> Any:
    """A callback of transformers that tells each step, and stops the training when told to."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        cancelled: JobCancelledError | None = None

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if not state.is_world_process_zero or "loss" not in (logs or {}):
                return
            loss = float(logs["loss"])
            if not math.isfinite(loss):
                raise ModelError(
                    f"the loss of step {state.global_step} is no finite number: choose a lower "
                    "learning_rate, or precision fp32"
                )
            seen = round((state.epoch or 0.0) * rows)
            try:
                told(TrainingStep("training", state.global_step, state.max_steps, seen, loss))
            except JobCancelledError as error:
                self.cancelled = error
                control.should_save = control.should_training_stop = True

    return Watch()


def curve_of(history: Sequence[Mapping[str, Any]]) -> tuple[CurvePoint, ...]:
    """The losses out of the log of a trainer, which goes on over checkpoints, by step."""
    points: dict[int, dict[str, float]] = {}
    for entry in history:
        at = points.setdefault(int(entry["step"]), {})
        for name, key in (("loss", "loss"), ("eval_loss", "held_out")):
            if name in entry:
                at[key] = float(entry[name])
    return tuple(CurvePoint(step=step, **at) for step, at in sorted(points.items()) if at)


def publish(plan: TrainingPlan, out: Path, model: Any, tokenizer: Any) -> None:
    """Writes model and tokenizer into `out`; the configuration, without which a folder is no model,
    comes last."""
    made = out / FOLDER / "made"
    shutil.rmtree(made, ignore_errors=True)
    # What reads the folder cuts prompts as they were cut here.
    tokenizer.model_max_length = plan.recipe.max_tokens
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
    for path in sorted(made.iterdir(), key=lambda path: path.name == "config.json"):
        os.replace(path, out / path.name)
    made.rmdir()


def finished_model(plan: TrainingPlan, out: Path, kind: Any, settings: Mapping[str, Any]) -> Any:
    """The trained model on the CPU, in the precision of its arithmetic, small matrices merged into
    the weights. kind: the class of transformers that loads it."""
    finished = out / FOLDER / FINISHED
    precision = DTYPES[plan.recipe.precision]
    if plan.recipe.lora_rank == 0:
        return kind.from_pretrained(finished, dtype=precision, **settings)
    from peft import PeftModel

    base = kind.from_pretrained(plan.recipe.base, dtype=precision, **settings)
    return PeftModel.from_pretrained(base, str(finished)).merge_and_unload()


def write_record(record: TrainingRecord, out: Path) -> None:
    """Writes `training.json` and deletes what only an unfinished training needs."""
    with whole_file(out / RECORD) as partial:
        partial.write_text(f"{record.model_dump_json(indent=2)}\n", encoding="utf-8")
    shutil.rmtree(out / FOLDER / FINISHED, ignore_errors=True)
    forget_checkpoints(out)


def read_record(folder: Path) -> TrainingRecord:
    """What a trained scorer's folder says of its training; ModelError when it says nothing."""
    try:
        return TrainingRecord.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} has no readable {RECORD}: {error}") from error


def is_made(plan: TrainingPlan, out: Path) -> bool:
    """Whether `out` holds the scorer of that very plan: made by `launch`, say, on other GPUs."""
    try:
        return read_record(out).plan == plan and (out / "config.json").exists()
    except ModelError:
        return False


def versions() -> dict[str, str]:
    """Of the packages that trained."""
    return {name: version(name) for name in _VERSIONS}
