"""The light scorers: what they promise, and their fast paths against plain ones."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deita_core.errors import ModelError
from deita_core.scoring import LightScorer, Scorer, TurnText
from deita_core.scoring.light.features import MAX_CHARS
from deita_core.scoring.light.scorer import WEIGHTS, calibrated
from deita_core.scoring.protocol import Dimension

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
EASY = TurnText("What color is the sky?", "Blue.")
HARD = TurnText(
    "Prove that the sum of two independent Poisson variables is Poisson, derive its rate, and "
    "explain why the same argument fails for two dependent ones, with a counterexample.",
    "Let X and Y be independent with rates a and b. By convolution, the probability that their "
    "sum is n equals a sum over k, and the binomial theorem collapses it to the Poisson mass "
    "function with rate a + b. For dependent variables the product step fails: take Y = X, then "
    "2X only takes even values, so it cannot be Poisson.",
)


@pytest.fixture(scope="module")
def complexity() -> LightScorer:
    return LightScorer("complexity")


@pytest.fixture(scope="module")
def quality() -> LightScorer:
    return LightScorer("quality")


def one(scorer: Scorer, instruction: str, response: str | None = None) -> float:
    return float(scorer.score([TurnText(instruction, response)]).scores[0])


def test_a_proof_is_more_complex_than_a_trivial_question(complexity: LightScorer) -> None:
    easy, hard = complexity.score([EASY, HARD]).scores
    assert hard > easy + 0.5


def test_a_worked_answer_is_better_than_one_word(quality: LightScorer) -> None:
    short = TurnText(HARD.instruction, "Yes.")
    good, poor = quality.score([HARD, short]).scores
    assert good > poor + 0.5


def test_complexity_does_not_look_at_the_response(complexity: LightScorer) -> None:
    assert one(complexity, HARD.instruction, "x") == one(complexity, HARD.instruction, None)


@pytest.mark.parametrize(
    ("turn", "of_complexity", "of_quality"),
    [
        (TurnText("", "a"), "empty instruction", "empty instruction"),
        (TurnText(" \n\t", None), "empty instruction", "empty instruction"),
        (TurnText("Hi", None), None, "no response"),
        (TurnText("Hi", ""), None, "empty response"),
        (TurnText("Hi", " \n"), None, "empty response"),
        (TurnText("Hi", "Hello!"), None, None),
    ],
)
def test_what_cannot_be_scored_is_nan_with_a_reason(
    turn: TurnText,
    of_complexity: str | None,
    of_quality: str | None,
    complexity: LightScorer,
    quality: LightScorer,
) -> None:
    assert complexity.score([turn]).reasons == (of_complexity,)
    assert quality.score([turn]).reasons == (of_quality,)


def test_no_turns_give_no_scores(quality: LightScorer) -> None:
    assert quality.score([]).scores.shape == (0,)


def mixed_turns(count: int) -> list[TurnText]:
    """Turns of many lengths; some have nothing to score in one dimension or the other."""
    words = ("why", "does", "the", "sum", "of", "two", "variables", "follow", "3", "laws,", "not?")
    turns = []
    for n in range(count):
        asked = f"Explain step {n}: " + " ".join(words[(n * k) % 11] for k in range(n % 37))
        response = None if n % 29 == 0 else " ".join(words[(n + k) % 11] for k in range(n % 83))
        turns.append(TurnText("" if n % 61 == 0 else asked, response))
    return turns


def bits(scores: np.ndarray) -> list[bytes]:
    return [score.tobytes() for score in scores]


@pytest.mark.parametrize("dimension", ["complexity", "quality"])
def test_the_bits_of_a_score_do_not_depend_on_its_batch(dimension: Dimension) -> None:
    scorer, turns = LightScorer(dimension), mixed_turns(700)
    together = bits(scorer.score(turns).scores)
    for size in (1, 2, 3, 7, 90, 511, 512, 513):
        few = turns[: 60 * size]
        parts = [scorer.score(few[i : i + size]).scores for i in range(0, len(few), size)]
        assert bits(np.concatenate(parts)) == together[: len(few)], size


@pytest.mark.parametrize("dimension", ["complexity", "quality"])
def test_the_bits_of_a_score_do_not_depend_on_its_neighbours(dimension: Dimension) -> None:
    scorer, turns = LightScorer(dimension), mixed_turns(300)
    together = scorer.score(turns).scores
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(turns))
        shuffled = scorer.score([turns[i] for i in order]).scores
        assert bits(shuffled) == bits(together[order])
    beside = scorer.score([TurnText("word " * 9000, "long " * 9000), *turns]).scores[1:]
    assert bits(beside) == bits(together)


@pytest.mark.parametrize("dimension", ["complexity", "quality"])
def test_the_bits_of_a_score_do_not_depend_on_threads(dimension: Dimension) -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    scorer, turns = LightScorer(dimension), mixed_turns(300)
    together = bits(scorer.score(turns).scores)
    for threads in (1, 2, 5):
        with threadpoolctl.threadpool_limits(threads):
            assert bits(scorer.score(turns).scores) == together


def test_the_bits_of_a_score_do_not_depend_on_the_kernels_of_the_matrix_library() -> None:
    code = (
        "import sys; from tests.test_scoring_light import LightScorer, mixed_turns\n"
        "for name in ('complexity', 'quality'):\n"
        "    print(LightScorer(name).score(mixed_turns(200)).scores.tobytes().hex())"
    )
    kernels = ["Prescott", "Haswell"]
    if Path("/proc/cpuinfo").exists() and "avx512f" in Path("/proc/cpuinfo").read_text():
        kernels.append("SkylakeX")
    found = set()
    for kernel in kernels:
        environment = os.environ | {"OPENBLAS_CORETYPE": kernel}
        run = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert run.returncode == 0, run.stderr
        found.add(run.stdout)
    assert len(found) == 1


def test_scoring_twice_gives_the_same_bits(complexity: LightScorer) -> None:
    first, second = (complexity.score([EASY, HARD]).scores for _ in range(2))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize(
    "text",
    [
        "请解释一下量子纠缠，并举一个生活中的例子。" * 3,
        "量子もつれを説明してください。",
        "Объясните квантовую запутанность простыми словами.",
        "اشرح التشابك الكمي بكلمات بسيطة",
        "🎉🎉🎉",
        "\ud800 broken \udfff",
        "\x00\x01",
        "a",
        "```",
        "\u200b",
    ],
)
def test_any_script_gets_a_score_inside_the_scale(
    text: str, complexity: LightScorer, quality: LightScorer
) -> None:
    for score in (one(complexity, text), one(quality, text, text), one(quality, "Hi", text)):
        assert 1.05 < score < 5.95


def test_very_long_texts_are_read_up_to_the_cap(
    complexity: LightScorer, quality: LightScorer
) -> None:
    long = "word " * 60_000
    cut = long[:MAX_CHARS]
    assert one(complexity, long) == one(complexity, cut)
    assert one(quality, "Hi", long) == one(quality, "Hi", cut)
    assert 1 < one(quality, long, "汉" * 100_000) < 6


@pytest.mark.parametrize("dimension", ["complexity", "quality"])
def test_id_revision_and_parameters_name_the_exact_model(dimension: str) -> None:
    scorer = LightScorer(dimension)  # type: ignore[arg-type]
    content = (WEIGHTS / f"light-{dimension}.safetensors").read_bytes()
    assert scorer.id == f"deita-studio/light-{dimension}"
    assert scorer.revision == hashlib.sha256(content).hexdigest()[:16]
    assert scorer.parameters == {"max_chars": MAX_CHARS}
    assert scorer.dimension == dimension


def test_the_figures_on_record_belong_to_the_shipped_weights(
    complexity: LightScorer, quality: LightScorer
) -> None:
    figures = json.loads((WEIGHTS / "held_out.json").read_text())
    assert figures["revisions"] == {"complexity": complexity.revision, "quality": quality.revision}


def test_the_model_card_names_the_shipped_revisions(
    complexity: LightScorer, quality: LightScorer
) -> None:
    card = (WEIGHTS / "MODEL_CARD.md").read_text()
    assert complexity.revision in card
    assert quality.revision in card


def test_the_weights_are_small_and_hold_no_pickle() -> None:
    files = list(WEIGHTS.iterdir())
    assert sum(file.stat().st_size for file in files) < 3_500_000
    assert {file.suffix for file in files} == {".safetensors", ".json", ".md"}


def test_an_unknown_dimension_is_named() -> None:
    with pytest.raises(ModelError, match="'beauty'"):
        LightScorer("beauty")  # type: ignore[arg-type]


def test_missing_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"recipes\.light_scorers\.train"):
        LightScorer("quality", tmp_path)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "light-quality.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="not a safetensors file"):
        LightScorer("quality", tmp_path)


def test_calibration_rises_and_never_reaches_the_ends() -> None:
    scores = calibrated(np.linspace(-3, 3, 50, dtype=np.float32), -0.4, 0.8)
    assert np.all(np.diff(scores) > 0)
    assert 1 < scores[0] < scores[-1] < 6


@pytest.mark.skipif(not (SHARED / "labels").is_dir(), reason="../shared/data is not there")
def test_the_held_out_tenth_gives_the_figure_on_record(quality: LightScorer) -> None:
    from scipy.stats import spearmanr

    from deita_core.training.split import buckets_of
    from recipes.light_scorers.labels import read_rated

    rated = read_rated(SHARED / "labels", SHARED / "pools")
    test = np.flatnonzero(buckets_of(rated.instructions, 10) == 9)
    turns = [TurnText(rated.instructions[i], rated.responses[i]) for i in test]
    scores = quality.score(turns).scores
    recorded = json.loads((WEIGHTS / "held_out.json").read_text())
    figure = recorded["alpaca ratings, held-out tenth"]["quality score"]
    found = spearmanr(scores, rated.ratings[test].mean(axis=1), nan_policy="omit").statistic
    assert found == pytest.approx(figure["spearman"], abs=1e-3)
    assert found > figure["length"] + 0.05
    assert np.nanquantile(scores, 0.999) < 5.9
    assert np.nanquantile(scores, 0.001) > 1.1


@pytest.mark.skipif(not (SHARED / "pools").is_dir(), reason="../shared/data is not there")
def test_chinese_chats_spread_over_the_scale(complexity: LightScorer, quality: LightScorer) -> None:
    text = (SHARED / "pools" / "sharegpt_zh_1K.json").read_text(encoding="utf-8")
    chats = [json.loads(line)["conversations"] for line in text.splitlines()[:200]]
    turns = [TurnText(c[0]["value"], c[1]["value"]) for c in chats if len(c) > 1]
    for scorer in (complexity, quality):
        scores = scorer.score(turns).scores
        assert np.nanstd(scores) > 0.2
        assert 1.1 < np.nanmin(scores) < np.nanmax(scores) < 5.9
