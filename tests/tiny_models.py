"""Tiny LLaMA and Mistral models for tests: real architectures and tokenizers, made weights.

`tiny_model("llama")` and `tiny_model("mistral")` give a folder as `save_pretrained` writes it,
made once a session. Both have 32,000 tokens with the digits at the places the real models have
them. Mistral's tokenizer is the real one (from the package mistral-common; the test skips without
it); LLaMA's is built here: byte fallback, merges learned from a few sentences.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest

Kind = Literal["llama", "mistral"]
VOCABULARY = 32_000
LLAMA_DIGITS = (29896, 29906, 29941, 29946, 29945, 29953)
MISTRAL_DIGITS = (28740, 28750, 28770, 28781, 28782, 28784)
DIGITS = {"llama": LLAMA_DIGITS, "mistral": MISTRAL_DIGITS}
BLANK = "▁"
SPEECH = """You are a helpful assistant. Please identify the complexity score of the following
user query. Query Complexity Question Response Quality: write a function which sorts a list of
numbers, explain what it does and why the answer is right, then give three examples of its use."""


@cache
def session_folder() -> Path:
    """A folder that is removed when the tests end."""
    folder = Path(tempfile.mkdtemp(prefix="deita-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def tiny_model(kind: Kind = "llama", *, scorer: bool = True, context: int = 512) -> Path:
    """Folder of a tiny causal LM in fp32: 2 layers, width 64.

    scorer: the model puts nearly all of its probability on the six digits after the scorers'
    prompts, as a trained scorer does; else the weights are as initialised.
    """
    folder = session_folder() / f"{kind}-{scorer}-{context}"
    tokenizer = tiny_tokenizer(kind)
    model = random_model(kind, context=context)
    if scorer:
        lean_on_digits(model, tokenizer.convert_tokens_to_ids(BLANK), DIGITS[kind])
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def random_model(kind: Kind, *, context: int = 512, seed: int = 7) -> Any:
    """A LlamaForCausalLM or MistralForCausalLM with random weights, fp32, for inference."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": context,
    }
    torch.manual_seed(seed)
    if kind == "llama":
        model = LlamaForCausalLM(LlamaConfig(**sizes))
    else:
        # A window shorter than some texts: the mask differs from the plain causal one.
        config = MistralConfig(**sizes, num_key_value_heads=2, sliding_window=96)
        model = MistralForCausalLM(config)
    with torch.no_grad():
        for layer in model.model.layers:  # so that what stands before the last token counts
            layer.self_attn.o_proj.weight *= 8
            layer.mlp.down_proj.weight *= 8
    return model.eval()


def lean_on_digits(model: Any, blank: int, digits: tuple[int, ...]) -> None:
    """Let the digits' rows of the output matrix point where the last token (a blank) points."""
    import torch

    with torch.no_grad():
        embedding = model.get_input_embeddings().weight
        embedding[blank] *= 24
        direction = embedding[blank] / embedding[blank].norm()
        head = model.get_output_embeddings().weight
        for digit in digits:
            head[digit] = 2.2 * direction + 10 * head[digit]


@cache
def tiny_tokenizer(kind: Kind) -> Any:
    """A tokenizer of 32,000 tokens (see the top of this file)."""
    from transformers import AutoTokenizer

    folder = session_folder() / f"{kind}-tokenizer"
    folder.mkdir()
    if kind == "mistral":
        _copy_mistral(folder)
    else:
        _build_llama(folder)
    return AutoTokenizer.from_pretrained(folder)


def _copy_mistral(folder: Path) -> None:
    found = importlib.util.find_spec("mistral_common")
    if found is None or found.origin is None or importlib.util.find_spec("sentencepiece") is None:
        pytest.skip("needs the packages mistral-common and sentencepiece")
    data = Path(found.origin).parent / "data" / "tokenizer.model.v1"
    shutil.copy(data, folder / "tokenizer.model")
    _write_config(folder)


def _build_llama(folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers

    learner = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=400, show_progress=False)
    text = BLANK + " ".join(SPEECH.split()).replace(" ", BLANK)
    learner.train_from_iterator(text.split(BLANK), trainer)
    learned = json.loads(learner.to_str())["model"]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), BLANK]
    names += [token for token in learned["vocab"] if token not in "0123456789"]
    vocabulary = {token: number for number, token in enumerate(names)}
    vocabulary |= {str(digit + 1): place for digit, place in enumerate(LLAMA_DIGITS)}
    taken = set(vocabulary.values())
    vocabulary |= {f"<{n}>": n for n in range(VOCABULARY) if n not in taken}
    merges = [tuple(merge) for merge in learned["merges"]]
    made = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>"))
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)]
    )
    made.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    made.decoder = decoders.Sequence([decoders.Replace(BLANK, " "), decoders.ByteFallback()])
    made.save(str(folder / "tokenizer.json"))
    _write_config(folder, "PreTrainedTokenizerFast")


def _write_config(folder: Path, name: str = "LlamaTokenizer") -> None:
    config = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    config |= {"tokenizer_class": name, "add_bos_token": True, "add_eos_token": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
