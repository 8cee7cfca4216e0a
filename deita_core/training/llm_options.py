"""How a language model is trained to score: what a user may choose, and the presets behind it.

The preset `paper` is the recipe of the released scorers (arXiv 2312.15685; the reference's
train/train_scorers.py and its issue 3): all weights, 6 epochs, batches of 512 rows, a peak learning
rate of 2e-5 on a cosine, 2,048 tokens. The other two are ours: small matrices beside the frozen
weights (LoRA, arXiv 2106.09685; QLoRA, arXiv 2305.14314) for one consumer GPU, and a short run that
only shows whether everything works.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from deita_core.errors import ModelError
from deita_core.models.device import has_bf16, pick_device
from deita_core.models.language_model import check_max_tokens, check_precision, model_facts

Preset = Literal["paper", "consumer-gpu", "cpu-trial"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
TrainingDevice = Literal["cpu", "cuda", "mps"]
TrainingPrecision = Literal["fp32", "bf16"]
WARM_UP = 0.1  # of all steps, as the paper's models are trained
PACKAGES = ("trl", "peft", "accelerate")
_T = TypeVar("_T")


class Recipe(BaseModel):
    """A training with nothing left open. See `LlmTraining` for what each field says.

    lora_rank: 0 trains all weights. rows_at_once: rows of a batch on a device at the same time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    preset: Preset
    epochs: PositiveInt
    batch: PositiveInt
    learning_rate: PositiveFloat
    max_tokens: PositiveInt
    lora_rank: NonNegativeInt
    qlora: bool
    rows_at_once: PositiveInt
    device: TrainingDevice
    precision: TrainingPrecision
    seed: NonNegativeInt


@dataclass(frozen=True, slots=True)
class _Usual:
    epochs: int
    batch: int
    learning_rate: float
    max_tokens: int
    lora_rank: int
    qlora: bool
    rows_at_once: int


_USUAL: Mapping[Preset, _Usual] = {
    "paper": _Usual(6, 512, 2e-5, 2048, 0, False, 8),
    "consumer-gpu": _Usual(3, 64, 2e-4, 2048, 16, True, 4),
    "cpu-trial": _Usual(1, 16, 2e-4, 512, 8, False, 4),
}


class LlmTraining(BaseModel):
    """What is chosen for a training; None leaves it to the preset, or to this machine.

    base: the causal language model to begin with, a local folder or a name on the hub. epochs: how
    often each row is seen. batch: rows of one step, over all devices. learning_rate: at its peak;
    it rises over the first tenth and falls on a cosine. max_tokens: longest prompt; of a longer one
    the ends of its texts are cut, here and when the scorer is used. lora_rank: width of the small
    matrices that are trained; 0: all weights. qlora: the frozen weights in 4 bits (CUDA only).
    device: of this process. precision: of the arithmetic. seed: of order, dropout and new weights.
    A value out of range is a ModelError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    preset: Preset = "paper"
    epochs: PositiveInt | None = None
    batch: PositiveInt | None = None
    learning_rate: PositiveFloat | None = None
    max_tokens: PositiveInt | None = None
    lora_rank: NonNegativeInt | None = None
    qlora: bool | None = None
    rows_at_once: PositiveInt | None = None
    device: TrainingDevice | None = None
    precision: TrainingPrecision | None = None
    seed: NonNegativeInt = 1

    @model_validator(mode="wrap")
    @classmethod
    def _in_our_words(
        cls, given: Any, handler: ModelWrapValidatorHandler[LlmTraining]
    ) -> LlmTraining:
        try:
            return handler(given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name, value = (*first["loc"], "options")[0], first["input"]
            match first["type"]:
                case "extra_forbidden":
                    said = f"a training has no option {name!r} (known: {_known(cls.model_fields)})"
                case "literal_error":
                    said = f"{name} must be one of {_known(_CHOICES[str(name)])}, got {value!r}"
                case "missing":
                    said = f"{name} is missing: name a folder, or a model on the hub"
                case "greater_than" | "greater_than_equal":
                    least = "at least 0" if first["type"].endswith("equal") else "above 0"
                    said = f"{name} must be {least}, got {value}"
                case _:
                    said = f"{name}: {first['msg']}, got {value!r}"
            raise ModelError(said) from error

    def recipe(self) -> Recipe:
        """Everything filled in, for this machine.

        Raises ModelError when there is no such model, when it cannot read that many tokens, or when
        this machine lacks what is asked for (packages, a GPU).
        """
        usual, device = _USUAL[self.preset], self.device or _device()
        check_installed()
        facts = model_facts(self.base)
        rank = _chosen(self.lora_rank, usual.lora_rank)
        qlora = _chosen(self.qlora, usual.qlora and device == "cuda")
        if qlora:
            _check_qlora(rank, device)
        if device == "cuda" and pick_device().kind != "cuda":
            raise ModelError("device is cuda, but there is no CUDA GPU here: choose cpu")
        # The score stands behind the prompt, and has to fit as well.
        most = None if facts.context is None else facts.context - 1
        check_max_tokens(self.base, self.max_tokens, most)
        tokens = self.max_tokens or min(usual.max_tokens, most or usual.max_tokens)
        bf16 = device == "cuda" and has_bf16("cuda")
        return Recipe(
            base=self.base if facts.folder is None else str(facts.folder),
            preset=self.preset,
            epochs=self.epochs or usual.epochs,
            batch=self.batch or usual.batch,
            learning_rate=self.learning_rate or usual.learning_rate,
            max_tokens=tokens,
            lora_rank=rank,
            qlora=qlora,
            rows_at_once=self.rows_at_once or usual.rows_at_once,
            device=device,
            precision=self.precision or ("bf16" if bf16 else "fp32"),
            seed=self.seed,
        )


_CHOICES: Mapping[str, Sequence[str]] = {
    "preset": PRESETS,
    "device": get_args(TrainingDevice),
    "precision": get_args(TrainingPrecision),
}


def check_installed() -> None:
    """Raises ModelError, with the remedy, when a package is missing that trains."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"training a language model needs {', '.join(missing)}: run `pip install "
            f"'deita-studio[train]'` (or `pip install {' '.join(missing)}`), or train a light "
            "scorer, which needs none of them"
        )


def _check_qlora(rank: int, device: str) -> None:
    if rank == 0:
        raise ModelError(
            "weights in 4 bits cannot be trained themselves: choose a lora_rank (16, say), or "
            "qlora off"
        )
    if device != "cuda":
        raise ModelError(f"qlora needs a CUDA GPU, and the device is {device}: choose qlora off")
    check_precision("int4")


def _device() -> TrainingDevice:
    kind = pick_device().kind
    return "cuda" if kind == "cuda" else "mps" if kind == "mps" else "cpu"


def _chosen(given: _T | None, usual: _T) -> _T:
    return usual if given is None else given


def _known(names: Iterable[str]) -> str:
    return ", ".join(names)
