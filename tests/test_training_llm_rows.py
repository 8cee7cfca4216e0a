"""Labelled turns as tokens: what is trained on is what a scorer asks, and options of a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deita_core.errors import ModelError
from deita_core.scoring import LLMScorer, ModelOptions, TurnText
from deita_core.scoring.llm import scorer as llm_module
from deita_core.scoring.llm.prompts import PromptTokenizer, prompt_of
from deita_core.scoring.protocol import DIMENSIONS, Dimension
from deita_core.training import llm_options, llm_plan
from deita_core.training.labels import LabelledTurn
from deita_core.training.llm_options import LlmTraining
from deita_core.training.llm_plan import command, read_plan, read_rows, write_plan
from deita_core.training.llm_rows import (
    IGNORED,
    PAIRS_A_GROUP,
    ordered_pairs,
    pair_rows,
    score_rows,
    usable,
    whole_score,
)
from deita_core.training.llm_run import last_checkpoint, split_batch
from tests.tiny_models import DIGITS, SPEECH, Kind, tiny_model, tiny_tokenizer

KINDS: tuple[Kind, ...] = ("llama", "mistral")


def labelled(score: float = 3.0, group: str = "g", words: int = 5, answer: int = 5) -> LabelledTurn:
    rng = np.random.default_rng(words + 100 * answer)
    instruction, response = (" ".join(rng.choice(SPEECH.split(), n)) for n in (words, answer))
    return LabelledTurn(group, instruction, response, score)


# Short ones, and ones far over the limit, on either side.
TURNS = [labelled(1 + n % 6, f"g{n}", *sizes) for n, sizes in enumerate([(3, 4), (90, 5), (5, 90)])]
LIMIT = 120


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_training_is_token_for_token_what_the_scorer_asks(
    kind: Kind, dimension: Dimension, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = score_rows(dimension, TURNS, PromptTokenizer(tiny_tokenizer(kind), LIMIT), seed=1)
    asked: list[list[int]] = []
    run_on = llm_module.run_on

    def seen(replicas: Any, ids: Sequence[Sequence[int]], *others: Any) -> Any:
        asked.extend(map(list, ids))
        return run_on(replicas, ids, *others)

    monkeypatch.setattr(llm_module, "run_on", seen)
    options = ModelOptions(precision="fp32", device="cpu", max_tokens=LIMIT)
    scorer = LLMScorer(tiny_model(kind), dimension, options=options)
    scorer.score([TurnText(row.instruction, row.response) for row in TURNS])
    assert [ids[:-1] for ids in rows.ids] == asked
    assert max(map(len, asked)) == LIMIT
    assert rows.cut == sum(len(ids) == LIMIT for ids in asked) >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_in_the_middle_is_cut_and_neither_cue_nor_score(kind: Kind) -> None:
    tokenizer = tiny_tokenizer(kind)
    for turn in TURNS:
        (ids,) = score_rows("quality", [turn], PromptTokenizer(tokenizer, LIMIT), seed=1).ids
        whole = tokenizer.encode(
            prompt_of("quality", TurnText(turn.instruction, turn.response)).text
        )
        assert ids[-1] == DIGITS[kind][int(turn.score) - 1]
        assert ids[:20] == whole[:20]
        assert ids[-6:-1] == whole[-5:], "the cue stands before the score"
        assert len(ids) == min(len(whole), LIMIT) + 1


def test_only_the_score_counts_for_the_loss() -> None:
    rows = score_rows("complexity", TURNS, PromptTokenizer(tiny_tokenizer("llama"), LIMIT), seed=1)
    for ids, labels in zip(rows.ids, rows.labels, strict=True):
        assert len(labels) == len(ids)
        assert set(labels[:-1]) == {IGNORED}
        assert labels[-1] == ids[-1]


def test_scores_between_two_numbers_are_drawn_so_that_their_mean_is_kept() -> None:
    rows = [LabelledTurn(str(n), "a", None, 2.25) for n in range(4_000)]
    drawn = [whole_score(row, seed=3) for row in rows]
    assert set(drawn) == {2, 3}
    assert np.mean(drawn) == pytest.approx(2.25, abs=0.03)
    assert drawn == [whole_score(row, seed=3) for row in rows]
    assert drawn != [whole_score(row, seed=4) for row in rows]
    assert {whole_score(labelled(score), seed=1) for score in (1.0, 6.0)} == {1, 6}


def test_rows_with_nothing_to_score_are_left_out_and_counted() -> None:
    rows = [labelled(), LabelledTurn("g", "a", None, 2), LabelledTurn("g", " ", "b", 2)]
    found = usable("quality", rows)
    assert found.turns == (rows[0],)
    assert found.left_out == {"no response": 1, "empty instruction": 1}
    with pytest.raises(ModelError, match="no row to learn quality from: 1 with no response"):
        usable("quality", rows[1:2])


@pytest.mark.parametrize("score", [0.5, 6.5, float("nan")])
def test_a_score_outside_one_to_six_is_refused(score: float) -> None:
    with pytest.raises(ModelError, match="label 2 is"):
        usable("quality", [labelled(), labelled(score)])


def test_pairs_stay_within_a_group_and_put_the_better_first() -> None:
    rows = [labelled(score, group) for score, group in zip([1, 3, 3, 6, 2], "aaabb", strict=True)]
    pairs, left_out = ordered_pairs(rows, seed=1)
    assert sorted(pairs) == [(1, 0), (2, 0), (3, 4)]
    assert left_out == 0


def test_a_group_of_many_turns_gives_no_more_pairs_than_the_limit() -> None:
    rows = [labelled(1 + n / 8, "a") for n in range(40)] + [labelled(1, "b"), labelled(2, "b")]
    pairs, left_out = ordered_pairs(rows, seed=1)
    assert len(pairs) == PAIRS_A_GROUP + 1
    assert left_out == 40 * 39 // 2 - PAIRS_A_GROUP
    assert all(rows[a].score > rows[b].score for a, b in pairs)
    assert ordered_pairs(rows, seed=2)[0] != pairs


def test_without_two_scores_in_a_group_there_are_no_pairs() -> None:
    rows = [labelled(1, "a"), labelled(2, "b"), labelled(2, "b")]
    with pytest.raises(ModelError, match="ranked chains"):
        pair_rows("quality", rows, PromptTokenizer(tiny_tokenizer("llama"), LIMIT), seed=1)


def chosen(**more: Any) -> LlmTraining:
    return LlmTraining(**{"base": str(tiny_model("llama")), "device": "cpu", **more})


def test_the_papers_preset_is_the_papers_recipe() -> None:
    recipe = chosen(base=str(tiny_model("llama", context=4096))).recipe()
    assert (recipe.epochs, recipe.batch, recipe.learning_rate) == (6, 512, 2e-5)
    assert (recipe.max_tokens, recipe.lora_rank, recipe.qlora) == (2048, 0, False)


def test_what_is_chosen_goes_before_the_preset() -> None:
    recipe = chosen(preset="consumer-gpu", epochs=1, lora_rank=0, qlora=False).recipe()
    assert (recipe.epochs, recipe.batch, recipe.lora_rank) == (1, 64, 0)
    assert recipe.max_tokens == 511, "the model reads 512, one of them the score"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epochs": 0}, "epochs must be above 0, got 0"),
        ({"lora_rank": -1}, "lora_rank must be at least 0"),
        ({"preset": "fast"}, "preset must be one of paper, consumer-gpu, cpu-trial"),
        ({"rate": 1}, "no option 'rate' .*learning_rate"),
        ({"device": "cuda:1"}, "device must be one of cpu, cuda, mps"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_right(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        chosen(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"base": "/nowhere"}, "there is no folder /nowhere"),
        ({"max_tokens": 512}, "reads at most 511"),
        ({"qlora": True, "lora_rank": 16}, "qlora needs a CUDA GPU"),
        ({"qlora": True}, "choose a lora_rank"),
    ],
)
def test_what_this_machine_or_model_cannot_do_is_said_before(
    given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        chosen(**given).recipe()


def test_without_the_packages_that_train_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(llm_options, "PACKAGES", ("trl", "no_such_package"))
    with pytest.raises(ModelError, match=r"needs no_such_package.*deita-studio\[train\].*light"):
        chosen().recipe()


def test_a_training_is_written_with_its_labels_and_read_again(tmp_path: Path) -> None:
    rows = [labelled(2), LabelledTurn("g", "half of a pair \ud800", "b", 3.5, "cluster")]
    plan = write_plan("llm", "quality", rows, rows[:1], tmp_path, chosen().recipe())
    folder = tmp_path / "training"
    assert read_plan(folder / "training.yaml") == plan
    assert read_rows(folder / "train.jsonl", plan.train) == rows
    assert (plan.train.rows, plan.train.groups, plan.held_out.rows) == (2, 1, 1)
    line = command(folder / "training.yaml", plan.recipe, 1)
    assert line in (folder / "training.yaml").read_text()
    (folder / "train.jsonl").write_text("{}\n")
    with pytest.raises(ModelError, match="was changed since"):
        read_rows(folder / "train.jsonl", plan.train)
    (folder / "training.yaml").write_text("method: none\n")
    with pytest.raises(ModelError, match="does not hold a training"):
        read_plan(folder / "training.yaml")


def test_another_training_does_not_go_on_from_the_checkpoints_of_the_first(tmp_path: Path) -> None:
    first = write_plan("llm", "quality", TURNS, [], tmp_path, chosen().recipe())
    (tmp_path / "training" / "checkpoints").mkdir()
    assert write_plan("llm", "quality", TURNS, [], tmp_path, chosen().recipe()) == first
    with pytest.raises(ModelError, match="recipe epochs was 6 and is 2"):
        write_plan("llm", "quality", TURNS, [], tmp_path, chosen(epochs=2).recipe())
    with pytest.raises(ModelError, match="train sha256 was"):
        write_plan("llm", "quality", TURNS[:2], [], tmp_path, chosen().recipe())
    assert read_rows(tmp_path / "training" / llm_plan.TRAIN, first.train) == TURNS


def test_the_command_of_several_gpus_names_them(tmp_path: Path) -> None:
    recipe = chosen().recipe().model_copy(update={"device": "cuda", "precision": "bf16"})
    line = command(tmp_path / "a folder" / "training.yaml", recipe, 4)
    assert line.startswith("accelerate launch --num_processes 4 ")
    assert "--multi_gpu" in line
    assert "--mixed_precision bf16" in line
    assert line.endswith(f"-m deita_core.training.launch '{tmp_path}/a folder/training.yaml'")


def test_a_batch_is_shared_by_processes_exactly() -> None:
    for batch, at_once, count in [(512, 8, 4), (6, 4, 1), (7, 4, 1), (2, 8, 2)]:
        rows, accumulated = split_batch(batch, at_once, count)
        assert rows * accumulated * count == batch
        assert rows <= at_once
    with pytest.raises(ModelError, match="multiple of 3"):
        split_batch(512, 8, 3)


def test_a_torn_checkpoint_is_not_gone_on_from(tmp_path: Path) -> None:
    folder = tmp_path / "training" / "checkpoints"
    for step, state in ((9, "{}"), (10, None), (11, '{"torn')):
        (folder / f"checkpoint-{step}").mkdir(parents=True)
        if state is not None:
            (folder / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path) == str(folder / "checkpoint-9")
    assert [path.name for path in folder.iterdir()] == ["checkpoint-9"]
    assert last_checkpoint(tmp_path / "elsewhere") is None
