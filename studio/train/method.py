"""How a scorer is trained: light, or a language model on scores or on pairs; its settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import streamlit as st

from deita_core.errors import DeitaError
from deita_core.models.device import pick_device
from deita_core.scoring.trained import TrainingMethod
from deita_core.training.labels import LabelledTurn
from deita_core.training.light import parts_in_words, sizes_for
from deita_core.training.llm_options import (
    PRESETS,
    LlmTraining,
    Preset,
    Recipe,
    TrainingDevice,
    TrainingPrecision,
)
from studio.score.allowed import model_named
from studio.shell import state
from studio.shell.text import escape, plural

_METHODS: dict[TrainingMethod, str] = {
    "light": "Light",
    "llm": "Language model",
    "pairwise": "Language model on pairs",
}
_COSTS: dict[TrainingMethod, str] = {
    "light": "Small models on token features: seconds to minutes on a CPU, no download. "
    "The same kind as the scorers that are built in.",
    "llm": "A language model learns to answer the paper's prompt with one score token, as the "
    "paper's scorers did. A GPU for billions of parameters.",
    "pairwise": "A language model learns which of two turns of one group is the better; a line "
    "brings its number to 1 to 6. For labels whose order is surer than their size.",
}
_PRESETS: dict[Preset, str] = {
    "paper": "The paper's recipe",
    "consumer-gpu": "One consumer GPU",
    "cpu-trial": "Trial on a CPU",
}
_AS_PRESET = "as the preset"


@dataclass(frozen=True, slots=True)
class MethodChoice:
    """How to train. llm: None for a light scorer, and while no model is named. recipe: `llm` with
    all of it filled in. error: why it cannot run."""

    method: TrainingMethod
    llm: LlmTraining | None = None
    recipe: Recipe | None = None
    error: str = ""

    @property
    def complete(self) -> bool:
        """True when nothing is missing."""
        return not self.error and (self.method == "light" or self.recipe is not None)

    def sentence(self, learnt: Sequence[LabelledTurn]) -> str:
        """What will be trained on these turns, escaped."""
        if self.recipe is None:
            if self.method != "light":
                return "Name the model to begin with."
            parts = parts_in_words(sizes_for(len(learnt)))
            return f"A light scorer will be trained: {escape(parts)}."
        return _of_recipe(self.recipe, self.method, len(learnt))


def method_choice() -> MethodChoice:
    """Draw the choice of a method and its settings."""
    method = state.bound_choice("Method", _METHODS, key=state.TRAIN_METHOD)
    st.caption(_COSTS[method])
    return MethodChoice("light") if method == "light" else _language_model(method)


def _language_model(method: TrainingMethod) -> MethodChoice:
    left, right = st.columns([3, 2])
    text = left.text_input(
        "Model to begin with",
        placeholder="owner/name, or a folder below data/models",
        key="train_base",
        persist_state="session",
    )
    usual = PRESETS.index("paper" if pick_device().kind == "cuda" else "cpu-trial")
    preset = right.selectbox(
        "Preset",
        PRESETS,
        index=usual,
        format_func=_PRESETS.__getitem__,
        key="train_preset",
        persist_state="session",
        help="The paper's: all weights, 6 epochs, batches of 512, 2e-5, 2,048 tokens. The other "
        "two train small matrices beside the weights (QLoRA, LoRA).",
    )
    given = _settings()
    if not (text or "").strip():
        return MethodChoice(method)
    given |= {"base": "", "preset": preset}
    try:
        given["base"] = model_named(text.strip())
    except DeitaError as error:
        return MethodChoice(method, error=str(error))
    recipe, error = _looked_up(tuple(sorted(given.items())))
    if recipe is None:
        return MethodChoice(method, error=error)
    return MethodChoice(method, LlmTraining(**given), recipe)


@st.cache_data(show_spinner="Looking at the model", ttl=20, max_entries=32)
def _looked_up(given: tuple[tuple[str, Any], ...]) -> tuple[Recipe | None, str]:
    """The whole recipe for this machine, or why there is none."""
    try:
        return LlmTraining(**dict(given)).recipe(), ""
    except DeitaError as error:
        return None, str(error)


def _settings() -> dict[str, Any]:
    """What is set otherwise than the preset has it."""
    with st.expander("Settings", icon=":material/tune:"):
        first, second, third = st.columns(3)
        found: dict[str, Any] = {}
        with first:
            found["epochs"] = _whole("Epochs", "epochs")
            found["batch"] = _whole("Rows of a step", "batch", help="Over all devices.")
            found["learning_rate"] = st.number_input(
                "Learning rate",
                min_value=1e-7,
                value=None,
                format="%.1e",
                placeholder=_AS_PRESET,
                key="train_learning_rate",
                persist_state="session",
                help="At its peak: it rises over the first tenth and falls on a cosine.",
            )
        with second:
            found["lora_rank"] = _whole("LoRA rank", "lora_rank", least=0, help="0: all weights.")
            found["qlora"] = _one_of("Frozen weights", "qlora", {"4 bits": True, "whole": False})
            found["rows_at_once"] = _whole(
                "Rows at once", "rows_at_once", help="On one device. Fewer take less memory."
            )
        with third:
            found["max_tokens"] = _whole(
                "Longest prompt", "max_tokens", help="In tokens. The middle of what is longer is "
                "cut, never the cue or the score.",
            )  # fmt: skip
            devices = {one: one for one in get_args(TrainingDevice)}
            found["device"] = _one_of("Device", "device", devices)
            precisions = {one: one for one in get_args(TrainingPrecision)}
            found["precision"] = _one_of("Precision", "precision", precisions)
    return {name: value for name, value in found.items() if value is not None}


def _whole(label: str, name: str, *, least: int = 1, help: str | None = None) -> int | None:
    value = st.number_input(
        label,
        min_value=least,
        value=None,
        step=1,
        placeholder=_AS_PRESET,
        key=f"train_{name}",
        persist_state="session",
        help=help,
    )
    return None if value is None else int(value)


def _one_of(label: str, name: str, values: dict[str, Any]) -> Any:
    chosen = st.selectbox(
        label, [_AS_PRESET, *values], key=f"train_{name}", persist_state="session"
    )
    return values.get(chosen or "")


def _base_label(base: str) -> str:
    """A hub's name, or the last two parts of a folder."""
    return "/".join(base.split("/")[-2:])


def _of_recipe(recipe: Recipe, method: TrainingMethod, rows: int) -> str:
    weights = f"matrices of rank {recipe.lora_rank} beside the weights"
    if not recipe.lora_rank:
        weights = "all weights"
    elif recipe.qlora:
        weights += " (frozen in 4 bits)"
    said = (
        f"**{escape(_base_label(recipe.base))}** will be trained, {weights}: "
        f"{plural(recipe.epochs, 'epoch', 'epochs')} in batches of {recipe.batch:,}, learning rate "
        f"{recipe.learning_rate:g}, up to {recipe.max_tokens:,} tokens, in {recipe.precision} on "
        f"{recipe.device}."
    )
    if method == "pairwise":
        return said + " It learns from the pairs within each group whose labels differ."
    steps = recipe.epochs * math.ceil(rows / recipe.batch)
    few = ""
    if steps < 10:
        few = " So few steps hardly move a model: a smaller batch or more epochs give more."
    return f"{said} That is {plural(steps, 'step', 'steps')}.{few}"
