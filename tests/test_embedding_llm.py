"""embedding.llm and embedding.sentence: equal to one row at a time, whatever the batch."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deita_core.conversation import Conversation, Message
from deita_core.embedding.catalogue import load_embedder, name_of_embedder
from deita_core.embedding.models import LLMEmbedder, SentenceEmbedder
from deita_core.embedding.protocol import finished, text_for
from deita_core.errors import ModelError
from deita_core.models import batches
from deita_core.models.options import ModelOptions
from tests.fakes import HashEmbedder
from tests.tiny_models import Kind, random_model, session_folder, tiny_model, tiny_tokenizer

FP32 = ModelOptions(precision="fp32", device="cpu")
TEXTS = [f"USER: why {'and ' * n}so? ASSISTANT: {'word ' * (3 * n)}</s>" for n in range(1, 40, 3)]


@pytest.fixture(scope="module")
def llama() -> LLMEmbedder:
    return LLMEmbedder(str(tiny_model("llama")), options=FP32)


@cache
def whole_model(kind: Kind) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model(kind), dtype="float32")


def naive(kind: Kind, text: str, limit: int = 512) -> Any:
    """The states of the last layer at every token: one row, no padding, whole model."""
    import torch

    ids = tiny_tokenizer(kind)(text, return_tensors="pt", truncation=True, max_length=limit)
    with torch.no_grad():
        states = whole_model(kind)(**ids, output_hidden_states=True).hidden_states[-1][0]
    return states.numpy()


def unit(vector: Any) -> Any:
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_the_vector_is_the_last_token_of_the_last_layer(kind: Kind):
    found = LLMEmbedder(str(tiny_model(kind)), options=FP32).embed(TEXTS)
    expected = np.array([unit(naive(kind, text)[-1]) for text in TEXTS])
    assert np.abs(found.vectors - expected).max() < 1e-5
    assert found.reasons == (None,) * len(TEXTS)


def test_mean_pooling_is_the_mean_over_all_tokens():
    found = LLMEmbedder(str(tiny_model()), pooling="mean", options=FP32).embed(TEXTS)
    expected = np.array([unit(naive("llama", text).mean(axis=0)) for text in TEXTS])
    assert np.abs(found.vectors - expected).max() < 1e-5


def test_weighted_pooling_weighs_each_token_by_its_place():
    found = LLMEmbedder(str(tiny_model()), pooling="weighted", options=FP32).embed(TEXTS)
    for text, vector in zip(TEXTS, found.vectors, strict=True):
        hidden = naive("llama", text)
        weights = np.arange(1, len(hidden) + 1)
        expected = sum(w * h for w, h in zip(weights, hidden, strict=True)) / weights.sum()
        np.testing.assert_allclose(vector, unit(expected), atol=1e-5)


def test_a_long_text_is_cut_at_the_limit_and_flagged(llama: LLMEmbedder):
    long = "word " * 600
    found = llama.embed([long, "short"])
    assert found.tokens[0] > 512
    assert found.truncated.tolist() == [True, False]
    assert np.abs(found.vectors[0] - unit(naive("llama", long)[-1])).max() < 1e-5


def test_max_tokens_cuts_earlier():
    options = ModelOptions(precision="fp32", device="cpu", max_tokens=20)
    found = LLMEmbedder(str(tiny_model()), options=options).embed([TEXTS[5]])
    assert np.abs(found.vectors[0] - unit(naive("llama", TEXTS[5], 20)[-1])).max() < 1e-5


def test_an_empty_text_gets_a_reason_and_no_vector(llama: LLMEmbedder):
    found = llama.embed(["one", " \n"])
    assert found.reasons == (None, "the text is empty")
    assert np.isnan(found.vectors[1]).all()
    assert llama.embed([]).vectors.shape == (0, 64)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("pooling", ["last", "mean", "weighted"])
def test_a_vector_has_the_same_bits_in_any_company_and_on_any_number_of_threads(
    precision: Any, pooling: Any, monkeypatch
):
    options = ModelOptions(precision=precision, device="cpu", batch_tokens=300)
    embedder = LLMEmbedder(str(tiny_model("mistral")), pooling=pooling, options=options)
    together = embedder.embed(TEXTS).vectors
    monkeypatch.setattr(batches, "cpu_threads", lambda: 5)
    order = np.random.default_rng(1).permutation(len(TEXTS))
    shuffled = embedder.embed([TEXTS[place] for place in order]).vectors
    np.testing.assert_array_equal(shuffled, together[order])
    alone = np.concatenate([embedder.embed([text]).vectors for text in TEXTS])
    np.testing.assert_array_equal(alone, together)


def test_running_out_of_memory_changes_no_vector(llama: LLMEmbedder, monkeypatch):
    expected = llama.embed(TEXTS).vectors
    small = LLMEmbedder(str(tiny_model()), options=FP32)
    small._budget = batches.TokenBudget(2048)  # as on a GPU
    whole = small._pooled

    def tight(tokens: Any, rows: list[int]) -> Any:
        if len(rows) > 2:
            raise RuntimeError("CUDA out of memory")
        return whole(tokens, rows)

    monkeypatch.setattr(small, "_pooled", tight)
    assert np.abs(small.embed(TEXTS).vectors - expected).max() < 1e-5
    assert small._budget.halved > 0


def test_a_vector_that_is_not_a_number_gets_a_reason():
    raw = np.array([[1.0, 0.0], [np.nan, 1.0], [0.0, 0.0], [3.0, 4.0]], np.float32)
    made = finished(raw, np.ones(4, np.int32), np.zeros(4, np.bool_), {3: "out of memory"})
    bad = "the embedder gave a vector that is not a number"
    assert made.reasons == (None, bad, bad, "out of memory")
    assert np.isfinite(made.vectors).all(axis=1).tolist() == [True, False, False, False]


def test_a_conversation_is_rendered_in_the_template(llama: LLMEmbedder):
    asked = Conversation((Message("user", "Why?"), Message("assistant", "So.")))
    assert text_for(llama, asked).endswith("questions. USER: Why? ASSISTANT: So.</s>")
    assert text_for(HashEmbedder(), asked) == "Why?\n\nSo."


def test_the_id_loads_the_same_embedder_again(llama: LLMEmbedder):
    again = load_embedder(name_of_embedder(llama.id), FP32)
    assert (again.id, again.revision, again.dimension) == (llama.id, llama.revision, 64)
    assert again.parameters == {
        "precision": "fp32",
        "max_tokens": 512,
        "pooling": "last",
        "template": "vicuna_v1.1",
    }


def test_other_weights_are_another_revision(tmp_path: Path, llama: LLMEmbedder):
    random_model("llama", seed=8).save_pretrained(tmp_path)
    tiny_tokenizer("llama").save_pretrained(tmp_path)
    assert LLMEmbedder(str(tmp_path), options=FP32).revision != llama.revision


@pytest.mark.parametrize("name", ["llm:", "llm:/no/such/folder", "st:/no/such/folder", "nothing"])
def test_a_model_that_is_not_there_is_an_error_with_a_remedy(name: str):
    with pytest.raises(ModelError, match=r"folder|known"):
        load_embedder(name)


# sentence-transformers


@pytest.fixture(scope="module")
def sentence_model() -> Path:
    """A folder as sentence-transformers saves it: tiny BERT, mean pooling, 16 tokens."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules
    from tokenizers import Tokenizer, pre_tokenizers, processors
    from tokenizers.models import WordLevel
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh"]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    folder = session_folder() / "sentence"
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=16
    ).save_pretrained(folder / "bert")
    BertModel(
        BertConfig(
            vocab_size=12,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=16,
        )
    ).save_pretrained(folder / "bert")
    bert = modules.Transformer(str(folder / "bert"), max_seq_length=16)
    SentenceTransformer(modules=[bert, modules.Pooling(32)], device="cpu").save(str(folder / "st"))
    return folder / "st"


def test_a_model_of_sentence_transformers_gives_its_own_vectors(sentence_model: Path):
    from sentence_transformers import SentenceTransformer

    embedder = SentenceEmbedder(str(sentence_model), FP32)
    texts = ["a b", "c " * 9, "h", "a b c d e f g h " * 4, " "]
    plain = SentenceTransformer(str(sentence_model), device="cpu")
    expected = [unit(plain.encode([text])[0]) for text in texts[:4]]
    found = embedder.embed(texts)
    assert np.abs(found.vectors[:4] - np.array(expected)).max() < 1e-5
    assert found.tokens[:4].tolist() == [4, 11, 3, 34]
    assert found.truncated[:4].tolist() == [False, False, False, True]
    assert found.reasons[4] == "the text is empty"
    assert load_embedder(embedder.id, FP32).revision == embedder.revision


def test_a_vector_of_sentence_transformers_has_the_same_bits_in_any_company(
    sentence_model: Path, monkeypatch
):
    monkeypatch.setattr(batches, "cpu_threads", lambda: 5)
    embedder = SentenceEmbedder(str(sentence_model), FP32)
    texts = [" ".join("abcdefgh"[n % 7 :] * (n % 5 + 1)) for n in range(60)]
    together = embedder.embed(texts).vectors
    alone = np.concatenate([embedder.embed([text]).vectors for text in texts])
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(embedder.embed(texts[::-1]).vectors[::-1], together)
