"""A training as written before it starts: everything in it, so that it can be run elsewhere.

Beside the scorer that it will make, in `OUT/training`:

    training.yaml     method, dimension, recipe, hashes of the labels, the command of several GPUs
    train.jsonl       the labelled turns to learn from
    held_out.jsonl    those whose loss is only watched
    checkpoints/      the last one, while the training lasts

`python -m deita_core.training.launch OUT/training/training.yaml` runs it, alone or under
`accelerate launch`; a folder that is copied to another machine runs there.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from deita_core.errors import ModelError
from deita_core.files import private_folder, whole_file
from deita_core.models.device import devices
from deita_core.scoring.llm.prompts import TEMPLATE
from deita_core.scoring.protocol import Dimension
from deita_core.training.labels import LabelledTurn
from deita_core.training.llm_options import Recipe
from deita_core.training.llm_rows import usable

Method = Literal["llm", "pairwise"]
FOLDER, PLAN, TRAIN, HELD_OUT = "training", "training.yaml", "train.jsonl", "held_out.jsonl"
CHECKPOINTS = "checkpoints"


class LabelFile(BaseModel):
    """Labelled turns in a file: their SHA-256 (64 hex digits), how many rows and groups, and how
    many of those given have nothing to score, by reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    rows: int
    groups: int
    left_out: Mapping[str, int]


class TrainingPlan(BaseModel):
    """A training with everything in it; `recipe` is the only place for what can be chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method
    dimension: Dimension
    template: str
    recipe: Recipe
    train: LabelFile
    held_out: LabelFile


def write_plan(
    method: Method,
    dimension: Dimension,
    rows: Iterable[LabelledTurn],
    held_out: Iterable[LabelledTurn],
    out: Path,
    recipe: Recipe,
) -> TrainingPlan:
    """Writes a training into `out`, or finds the same one there, begun before.

    Raises ModelError when another training was begun there, or the labels are not usable.
    """
    folder = out / FOLDER
    learnt, data = _label_file(dimension, rows)
    watched, held_data = _label_file(dimension, held_out, may_be_empty=True)
    plan = TrainingPlan(
        method=method,
        dimension=dimension,
        template=TEMPLATE,
        recipe=recipe,
        train=learnt,
        held_out=watched,
    )
    begun = (folder / CHECKPOINTS).exists() and (folder / PLAN).exists()
    if begun and (before := read_plan(folder / PLAN)) != plan:
        raise ModelError(
            f"in {out} another training was begun ({_difference(before, plan)}): choose another "
            f"name, or delete {folder / CHECKPOINTS} to begin again"
        )
    private_folder(folder)
    text = _as_yaml(plan, folder / PLAN).encode()
    for name, content in ((TRAIN, data), (HELD_OUT, held_data), (PLAN, text)):
        with whole_file(folder / name) as partial:
            partial.write_bytes(content)
    return plan


def read_plan(path: Path) -> TrainingPlan:
    """The training written in a file; ModelError when it is none."""
    import yaml

    try:
        return TrainingPlan.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ModelError(
            f"{path} does not hold a training: {said}; it is the {PLAN} that a training writes"
        ) from error


def read_rows(path: Path, expected: LabelFile) -> list[LabelledTurn]:
    """The labelled turns of a plan; ModelError when they are not those it was written with."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the labels {path} cannot be read: {error}") from error
    if hashlib.sha256(data).hexdigest() != expected.sha256:
        raise ModelError(f"{path} was changed since the training was written: train anew")
    return [LabelledTurn(**json.loads(line)) for line in data.decode().splitlines()]


def command(plan: Path, recipe: Recipe, processes: int) -> str:
    """The line of a shell that runs a written plan in so many processes of one machine."""
    words = ["accelerate", "launch", "--num_processes", str(processes), "--num_machines", "1"]
    words += ["--mixed_precision", "bf16" if recipe.precision == "bf16" else "no"]
    words += ["--dynamo_backend", "no"]
    words += ["--cpu"] if recipe.device == "cpu" else []
    words += ["--multi_gpu"] if processes > 1 and recipe.device == "cuda" else []
    words += ["-m", "deita_core.training.launch", str(plan.resolve())]
    return shlex.join(words)


def forget_checkpoints(out: Path) -> None:
    """Delete what only an unfinished training needs."""
    shutil.rmtree(out / FOLDER / CHECKPOINTS, ignore_errors=True)


def _label_file(
    dimension: Dimension, rows: Iterable[LabelledTurn], *, may_be_empty: bool = False
) -> tuple[LabelFile, bytes]:
    given = tuple(rows)
    kept, left_out = tuple[LabelledTurn, ...](), dict[str, int]()
    if given or not may_be_empty:
        found = usable(dimension, given)
        kept, left_out = found.turns, dict(found.left_out)
    # One line a row, in ASCII, so that halves of surrogate pairs can be written too.
    data = "".join(f"{json.dumps(asdict(row))}\n" for row in kept).encode("ascii")
    told = LabelFile(
        sha256=hashlib.sha256(data).hexdigest(),
        rows=len(kept),
        groups=len({row.group for row in kept}),
        left_out=left_out,
    )
    return told, data


def _as_yaml(plan: TrainingPlan, path: Path) -> str:
    import yaml

    text: str = yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return (
        "# A training of a scorer by Deita Studio. On all GPUs of this machine:\n"
        f"#   {command(path, plan.recipe, _gpus())}\n"
        "# It goes on from its last checkpoint where it was stopped.\n"
        f"{text}"
    )


def _gpus() -> int:
    return max(1, sum(one.name.startswith("cuda") for one in devices()))


def _difference(before: TrainingPlan, now: TrainingPlan) -> str:
    """The first thing in which they differ, in words."""
    for name, old in _flat(before.model_dump()):
        new = dict(_flat(now.model_dump()))[name]
        if old != new:
            return f"{name} was {old!r} and is {new!r}"
    return "in nothing"


def _flat(values: Mapping[str, Any], above: Sequence[str] = ()) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        here = [*above, name]
        if isinstance(value, Mapping) and name != "left_out":
            found += _flat(value, here)
        else:
            found.append((" ".join(here), value))
    return found
