"""Tiny language models learn to score: what can be learnt, in pieces and whole alike."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

from deita_core.errors import JobCancelledError, ModelError
from deita_core.scoring import LLMScorer, ModelOptions, TurnText
from deita_core.scoring.llm.reward import RewardScorer
from deita_core.scoring.protocol import Scorer
from deita_core.training import llm
from deita_core.training.labels import LabelledTurn, Told, TrainingStep
from deita_core.training.llm import train_llm
from deita_core.training.llm_options import LlmTraining
from deita_core.training.llm_plan import command, write_plan
from deita_core.training.llm_rows import IGNORED, score_rows
from deita_core.training.llm_run import Labels, read_record
from deita_core.training.pairwise import rising_line, train_pairwise
from tests.tiny_models import SPEECH, Kind, tiny_model

pytestmark = pytest.mark.usefixtures("one_thread")

FP32 = ModelOptions(precision="fp32", device="cpu")
# The score of an instruction is the place of the one of these words that it has.
LEVELS = ("sort", "list", "examples", "explain", "function", "numbers")
WORDS = tuple(dict.fromkeys(word.strip(".,:").lower() for word in SPEECH.split()))
OTHERS = tuple(word for word in WORDS if word not in LEVELS)


def toy_labels(groups: int, seed: int) -> list[LabelledTurn]:
    """Three of the six scores for each seed instruction; no length tells them apart."""
    rng = np.random.default_rng(seed)
    rows = []
    for group in range(groups):
        for level in rng.permutation(6)[:3].tolist():
            words = list(rng.choice(OTHERS[:12], 4))
            words.insert(int(rng.integers(5)), LEVELS[level])
            rows.append(LabelledTurn(f"{seed}-{group}", " ".join(words), None, level + 1.0))
    return rows


def shuffled(rows: list[LabelledTurn]) -> list[LabelledTurn]:
    """The same texts with each other's scores."""
    scores = np.random.default_rng(4).permutation([row.score for row in rows]).tolist()
    return [replace(row, score=score) for row, score in zip(rows, scores, strict=True)]


def options(kind: Kind = "llama", **more: Any) -> LlmTraining:
    usual = {"epochs": 4, "batch": 32, "rows_at_once": 32, "learning_rate": 3e-3, "lora_rank": 0}
    usual |= {"preset": "cpu-trial", "device": "cpu", "precision": "fp32", "max_tokens": 250}
    return LlmTraining(base=str(tiny_model(kind)), **(usual | more))


def quiet(step: TrainingStep) -> None:
    """Says nothing."""


def agreement(scorer: Scorer, rows: list[LabelledTurn]) -> float:
    """Spearman of scores and labels."""
    batch = scorer.score([TurnText(row.instruction, row.response) for row in rows])
    assert set(batch.reasons) == {None}
    return float(spearmanr(batch.scores, [row.score for row in rows]).statistic)


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_what_can_be_learnt_is_learnt_for_seeds_never_seen(kind: Kind, tmp_path: Path) -> None:
    steps: list[TrainingStep] = []
    held_out = toy_labels(60, seed=2)
    rows, watched = toy_labels(100, 1), held_out[:30]
    train_llm(rows, watched, "complexity", tmp_path, options(kind), steps.append)
    scorer = LLMScorer(tmp_path, "complexity", options=FP32)
    assert agreement(scorer, held_out) > 0.9
    assert scorer.parameters["max_tokens"] == 250, "prompts are cut as they were in training"
    record = read_record(tmp_path)
    trained = [step for step in steps if step.stage == "training"]
    assert [step.done for step in trained] == list(range(1, 41))
    assert {step.total for step in trained} == {record.steps} == {40}
    assert trained[-1].rows == 1200
    losses = [point.loss for point in record.curve if point.loss is not None]
    assert losses == pytest.approx([step.loss for step in trained])
    looked_at = [point.held_out for point in record.curve if point.held_out is not None]
    assert len(looked_at) == 4
    assert looked_at[-1] < looked_at[0]
    assert not (tmp_path / "training" / "checkpoints").exists()


def test_from_shuffled_labels_nothing_is_learnt(tmp_path: Path) -> None:
    rows = shuffled(toy_labels(160, seed=1))
    train_llm(rows[:300], [], "complexity", tmp_path, options(epochs=2), quiet)
    scorer = LLMScorer(tmp_path, "complexity", options=FP32)
    assert abs(agreement(scorer, rows[300:])) < 0.2


def test_pairs_teach_an_order_that_holds_for_seeds_never_seen(tmp_path: Path) -> None:
    held_out = toy_labels(60, seed=2)
    chosen = options(epochs=3, batch=16, rows_at_once=16)
    train_pairwise(toy_labels(50, 1), held_out, "complexity", tmp_path, chosen, quiet)
    scorer = RewardScorer(tmp_path, "complexity", FP32)
    assert agreement(scorer, held_out) > 0.9
    scores = scorer.score([TurnText(row.instruction, None) for row in held_out]).scores
    assert np.abs(scores - [row.score for row in held_out]).mean() < 1
    assert read_record(tmp_path).pairs == 150
    turn = TurnText(held_out[0].instruction, None)
    assert scorer.score([turn]).scores[0] == scores[0], "the same bits in any batch"
    assert scorer.score([TurnText("", None)]).reasons == ("empty instruction",)
    with pytest.raises(ModelError, match="scores complexity, not quality"):
        RewardScorer(tmp_path, "quality", FP32)
    (tmp_path / "reward.json").write_text("{}")
    with pytest.raises(ModelError, match="no scorer trained on pairs"):
        RewardScorer(tmp_path, "complexity", FP32)


def stopping_at(step: int, then: list[TrainingStep]) -> Told:
    def told(at: TrainingStep) -> None:
        then.append(at)
        if at.stage == "training" and at.done == step:
            raise JobCancelledError("stopped")

    return told


def test_a_stopped_training_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    rows, chosen = toy_labels(16, 1), options(epochs=1, batch=8, lora_rank=4)
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    train_llm(rows, [], "complexity", whole, chosen, quiet)
    told: list[TrainingStep] = []
    with pytest.raises(JobCancelledError):
        train_llm(rows, [], "complexity", parted, chosen, stopping_at(3, told))
    assert told[-1].done == 3, "it stopped at once"
    assert not (parted / "config.json").exists(), "there is no scorer yet"
    train_llm(rows, [], "complexity", parted, chosen, told.append)
    assert [at.done for at in told if at.stage == "training"] == [1, 2, 3, 4, 5, 6]
    assert read_record(parted).curve == read_record(whole).curve
    # Dropout draws from where it had been; the small matrices are merged into the weights.
    np.testing.assert_array_equal(weights(parted), weights(whole))
    assert np.abs(weights(whole) - weights(tiny_model("llama"))).max() > 0
    assert not list(whole.glob("adapter*"))
    told.clear()
    train_llm(rows, [], "complexity", whole, chosen, told.append)
    assert told == [], "it is there already"


def weights(folder: Path) -> NDArray[np.float32]:
    from safetensors.numpy import load_file

    found: NDArray[np.float32] = load_file(folder / "model.safetensors")[
        "model.layers.0.self_attn.q_proj.weight"
    ]
    return found


def test_what_trl_trains_on_are_the_rows_and_its_loss_is_ours(tmp_path: Path) -> None:
    import torch
    from trl import SFTTrainer

    rows = toy_labels(4, 1)
    plan = write_plan("llm", "complexity", rows, rows, tmp_path, options().recipe())
    labels = Labels(plan, tmp_path)
    tokens = score_rows("complexity", rows, labels.prompts, seed=1)
    trainer = llm._trainer(plan, tmp_path, labels, tokens, tokens)
    (batch,) = list(trainer.get_train_dataloader())
    seen = sorted(
        ids[mask.bool()].tolist()
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    )
    assert seen == sorted(tokens.ids)
    assert (batch["labels"] != IGNORED).sum(1).tolist() == [1] * len(rows)
    with torch.no_grad():
        ours = trainer.compute_loss(trainer.model, dict(batch))
        theirs = SFTTrainer.compute_loss(trainer, trainer.model, dict(batch))
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


@pytest.mark.parametrize("scores", [[1.0, 2.0, 6.0], [3.0, 3.0, 3.0], [6.0, 2.0, 1.0]])
def test_the_line_to_scores_always_rises(scores: list[float]) -> None:
    numbers = np.array([-3.0, 0.0, 1.0])
    slope, low = rising_line(numbers, np.array(scores))
    assert slope > 0
    assert (slope * numbers + low).mean() == pytest.approx(np.mean(scores))


def test_the_line_to_scores_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=50)
    scores = 2 + 0.7 * numbers + rng.normal(size=50)
    assert rising_line(numbers, scores) == pytest.approx(tuple(np.polyfit(numbers, scores, 1)))


@pytest.mark.slow
def test_the_command_that_is_written_trains_as_written(tmp_path: Path) -> None:
    chosen = options(epochs=1, batch=16).recipe()
    write_plan("llm", "complexity", toy_labels(16, 1), [], tmp_path, chosen)
    line = command(tmp_path / "training" / "training.yaml", chosen, 2)
    program, *rest = shlex.split(line)
    done = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *rest],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "training 3/3, loss" in done.stdout
    assert json.loads((tmp_path / "training.json").read_text())["steps"] == 3
    LLMScorer(tmp_path, "complexity", options=FP32)
