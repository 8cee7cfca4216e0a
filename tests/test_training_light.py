"""A light scorer from labels of one's own: it learns, is the same twice, and says what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from deita_core.errors import ModelError
from deita_core.scoring.catalogue import check_scorer, load_scorer, name_of_scorer
from deita_core.scoring.light.own import check_revision
from deita_core.scoring.light.scorer import LightScorer, load_weights
from deita_core.scoring.protocol import TurnText
from deita_core.scoring.trained import FACTS, TrainedScorer
from deita_core.training import light
from deita_core.training.labels import LabelledTurn, TrainingStep
from deita_core.training.light import train_light
from deita_core.training.light_fit import FitSizes

SOUND = ["because", "therefore", "first", "second", "example", "finally"]
VAGUE = ["maybe", "thing", "stuff", "well", "kind", "sort"]
# fmt: off
OTHER = [
    "river", "bread", "tax", "poem", "matrix", "cloud", "stone", "lamp", "road", "winter", "glass",
    "paper", "music", "garden", "engine", "letter", "island", "market", "table", "window", "doctor",
]
# fmt: on
WEIGHTS = "light-quality.safetensors"


def turns_of(count: int, seed: int) -> list[LabelledTurn]:
    """The score is how many words of the response are sound ones and not vague; the rest, two
    words of three, says nothing. Four turns a group."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        sound = random.random()
        count_of = int(random.integers(12, 24))
        words = [
            random.choice(SOUND if random.random() < sound else VAGUE) for _ in range(count_of)
        ]
        score = 1 + 5 * sum(word in SOUND for word in words) / count_of
        words += random.choice(OTHER, 2 * count_of).tolist()
        random.shuffle(words)
        group = f"Question {number // 4}"
        found.append(LabelledTurn(group, group, " ".join(words), score))
    return found


def shuffled(turns: list[LabelledTurn], seed: int) -> list[LabelledTurn]:
    """The same texts and the same scores, but each text with the score of some other."""
    scores = np.random.default_rng(seed).permutation([turn.score for turn in turns]).tolist()
    return [
        LabelledTurn(turn.group, turn.instruction, turn.response, score)
        for turn, score in zip(turns, scores, strict=True)
    ]


def silent(step: TrainingStep) -> None:
    assert 0 <= step.done <= step.total


def correlation(folder: Path, unseen: list[LabelledTurn]) -> float:
    texts = [TurnText(turn.instruction, turn.response) for turn in unseen]
    scores = LightScorer("quality", folder, own=True).score(texts).scores
    return float(spearmanr(scores, [turn.score for turn in unseen]).statistic)


def test_it_learns_what_can_be_learnt_and_nothing_from_shuffled_labels(tmp_path: Path) -> None:
    turns, unseen = turns_of(240, 1), turns_of(120, 2)
    fit = train_light(turns, "quality", tmp_path / "good", silent)
    assert correlation(tmp_path / "good", unseen) > 0.9
    assert fit.unseen_error < 0.5
    found = []
    for seed in range(5):
        mixed = shuffled(turns, seed)
        fit = train_light(mixed, "quality", tmp_path / "mixed", silent)
        found.append(correlation(tmp_path / "mixed", unseen))
        assert fit.unseen_error > 1
    assert abs(np.mean(found)) < 0.2


def test_perceptrons_join_where_there_are_labels_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert light.sizes_for(light.MANY - 1).seeds == ()
    assert len(light.sizes_for(light.MANY).seeds) == 3
    few = FitSizes(projected=16, seeds=(0, 1), hidden=32, epochs=8, batch=32)
    monkeypatch.setattr(light, "sizes_for", lambda labels: few)
    fit = train_light(turns_of(160, 1), "quality", tmp_path, silent)
    assert "2 perceptrons" in fit.parts
    assert "rating.mlp.2.weight.2" in load_weights(tmp_path / WEIGHTS)[0]
    assert correlation(tmp_path, turns_of(120, 2)) > 0.9


def test_the_same_labels_give_the_same_bytes_and_a_score_depends_on_its_turn_alone(
    tmp_path: Path,
) -> None:
    turns = turns_of(60, 1)
    first, again = tmp_path / "first", tmp_path / "again"
    assert train_light(turns, "quality", first, silent) == train_light(
        turns, "quality", again, silent
    )
    assert (first / WEIGHTS).read_bytes() == (again / WEIGHTS).read_bytes()
    scorer = LightScorer("quality", first, own=True)
    texts = [TurnText(turn.instruction, turn.response) for turn in turns]
    together = scorer.score(texts).scores
    alone = np.array([scorer.score([text]).scores[0] for text in texts])
    assert together.tobytes() == alone.tobytes()


def test_ten_labels_of_three_groups_are_enough_to_train_on(tmp_path: Path) -> None:
    train_light(turns_of(10, 1), "complexity", tmp_path, silent)
    scores = LightScorer("complexity", tmp_path).score([TurnText("Question 3", None)]).scores
    assert 1 < scores[0] < 6


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    fit = train_light(turns_of(40, 1), "quality", folder, silent)
    facts = TrainedScorer(
        name="own",
        dimension="quality",
        method="light",
        source="a test",
        labels_sha256="0" * 64,
        revision=fit.revision,
        learnt=40,
        held_out=0,
        groups=10,
        seed=0,
        beats_length=False,
        made=datetime(2026, 11, 29, tzinfo=UTC),
    )
    (folder / FACTS).write_text(facts.model_dump_json(), encoding="utf-8")
    return folder


def copied(own: Path, folder: Path) -> Path:
    for name in (FACTS, WEIGHTS):
        (folder / name).write_bytes((own / name).read_bytes())
    return folder


def test_the_catalogue_loads_it_by_its_folder_and_its_revision_is_that_of_its_weights(
    own: Path,
) -> None:
    name = f"light:{own}"
    check_scorer(name, "quality")
    scorer = load_scorer(name, "quality")
    assert scorer.id == name == name_of_scorer(scorer.id)
    assert scorer.revision == load_weights(own / WEIGHTS)[1]
    check_revision(name, scorer.revision)
    with pytest.raises(ModelError, match="and 0000 is asked for"):
        check_revision(name, "0000")
    with pytest.raises(ModelError, match="trained for quality and cannot score complexity"):
        check_scorer(name, "complexity")


def test_a_damaged_folder_says_what_is_wrong_with_it(own: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"it has no scorer\.json"):
        load_scorer(f"light:{tmp_path}", "quality")
    copied(own, tmp_path)
    weights = tmp_path / WEIGHTS
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(ModelError, match="were changed since they were trained"):
        load_scorer(f"light:{tmp_path}", "quality")
    weights.write_bytes(good[:100])
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_scorer(f"light:{tmp_path}", "quality")
    (tmp_path / FACTS).write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match=r"scorer\.json is damaged: name"):
        check_scorer(f"light:{tmp_path}", "quality")
