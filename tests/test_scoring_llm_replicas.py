"""The logits of a replica, for architectures that treat their logits differently."""

from __future__ import annotations

import gc
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    PhiConfig,
    PhiForCausalLM,
)

from deita_core.errors import ModelError
from deita_core.models.language_model import LanguageModel
from deita_core.scoring.llm import replicas as llm_replica
from deita_core.scoring.llm.prompts import expected_scores, mass_on_scores
from deita_core.scoring.llm.replicas import Replica, shared_replica
from tests.tiny_models import random_model, tiny_model

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES: dict[str, Any] = {
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.5,
}
NETWORKS = {
    "soft cap, tied weights": lambda: Gemma2ForCausalLM(
        Gemma2Config(**SIZES, head_dim=8, final_logit_softcapping=3.0)
    ),
    "logits multiplied": lambda: CohereForCausalLM(CohereConfig(**SIZES, logit_scale=0.3)),
    "logits divided": lambda: GraniteForCausalLM(GraniteConfig(**SIZES, logits_scaling=4.0)),
    "bias": lambda: PhiForCausalLM(PhiConfig(**SIZES)),
    "absolute positions": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=100, n_embd=32, n_layer=2, n_head=4, n_positions=64)
    ),
}
DIGITS = (11, 13, 17, 19, 23, 29)
TOKENS = [[5, 6, 7], [8, 9, 10, 11, 12, 13, 14], [30]]


def replica_of(network: Any, precision: str = "fp32") -> Replica:
    tokenizer = SimpleNamespace(pad_token_id=0)
    return Replica(LanguageModel("tiny", "1", tokenizer, network.eval(), 64, "cpu", precision))


def plain(network: Any, tokens: list[int]) -> torch.Tensor:
    """The whole row of logits at the end of one text."""
    with torch.inference_mode():
        return network(input_ids=torch.tensor([tokens])).logits[0, -1].float()


@pytest.mark.parametrize("kind", NETWORKS)
def test_logits_are_those_of_the_whole_model(kind: str) -> None:
    torch.manual_seed(0)
    network = NETWORKS[kind]().eval()
    if kind == "bias":
        torch.nn.init.normal_(network.lm_head.bias)
    rows = [plain(network, tokens) for tokens in TOKENS]
    found = replica_of(network).logits(TOKENS, [0, 1, 2], DIGITS)
    for row, logits in zip(rows, found, strict=True):
        others = [place for place in range(100) if place not in DIGITS]
        assert logits[:6] == pytest.approx(row[list(DIGITS)], abs=1e-4)
        assert float(logits[6]) == pytest.approx(float(row[others].logsumexp(0)), abs=1e-4)


def test_only_the_ends_of_the_texts_meet_the_output_matrix() -> None:
    network = random_model("llama")
    replica, seen = replica_of(network), []
    network.lm_head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    replica.logits(TOKENS, [0, 1, 2], DIGITS)
    assert seen == [(1, 3, 64)]


def test_in_bfloat16_the_six_logits_are_not_rounded() -> None:
    network = random_model("llama").to(torch.bfloat16)
    found = replica_of(network, "bf16").logits(TOKENS, [0], DIGITS)[0, :6]
    assert found.dtype == torch.float32
    assert not torch.equal(found, found.bfloat16().float())


def test_a_model_that_picks_its_own_ends_is_refused() -> None:
    network = random_model("llama")
    real = network.forward
    network.forward = lambda **inputs: real(**inputs, logits_to_keep=1)
    with pytest.raises(ModelError, match="LlamaForCausalLM does not compute its logits"):
        replica_of(network).logits(TOKENS, [0, 1], DIGITS)


def test_a_model_without_an_output_matrix_is_refused() -> None:
    with pytest.raises(ModelError, match="no causal language model"):
        replica_of(random_model("llama").model)


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_four_bits_without_bitsandbytes_is_a_clear_error() -> None:
    with pytest.raises(ModelError, match=r"precision int4 needs bitsandbytes.* or choose fp32"):
        shared_replica(str(tiny_model("llama")), "int4", "cpu")


def test_a_model_that_does_not_fit_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory (pretended)")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(ModelError, match="does not fit into the memory of cpu: choose another"):
        shared_replica(str(tiny_model("llama")), "fp16", "cpu")


def test_flash_attention_is_asked_for_only_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def load(name: str, *, precision: str, device: str, attention: str | None) -> Any:
        asked.append(attention)
        return LanguageModel(name, "1", None, random_model("llama"), 64, device, precision)

    monkeypatch.setattr(llm_replica, "load_language_model", load)
    monkeypatch.setattr(llm_replica, "_flash_attention", lambda: True)
    made = [
        shared_replica("m", "bf16", "cuda:0"),
        shared_replica("m", "fp32", "cuda:0"),
        shared_replica("m", "bf16", "cpu"),
    ]
    assert asked == ["flash_attention_2", None, None]
    assert [replica.packed for replica in made] == [True, False, False]


def test_a_replica_that_nobody_uses_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    first = shared_replica(str(tiny_model("mistral")), "bf16", "cpu")
    number = id(first)
    del first
    gc.collect()
    assert number not in {id(replica) for replica in llm_replica._shared.values()}


def test_expected_scores_are_the_mean_of_one_to_six() -> None:
    logits = np.array([[0] * 6, [0, 0, 0, 0, 0, 1000], [1000, 1000, 0, 0, 0, 0]], np.float32)
    assert expected_scores(logits).tolist() == [3.5, 6.0, 1.5]


def test_a_number_that_is_not_finite_gives_no_score() -> None:
    logits = np.array([[np.nan, 0, 0, 0, 0, 0], [np.inf, 0, 0, 0, 0, 0]], np.float32)
    assert np.isnan(expected_scores(logits)).all()


def test_the_mass_is_the_softmax_over_the_vocabulary() -> None:
    logits = np.zeros((3, 6), np.float32)
    others = np.log(np.array([6, 18, 1e-30])).astype(np.float32)
    assert mass_on_scores(logits, others) == pytest.approx([0.5, 0.25, 1.0])
