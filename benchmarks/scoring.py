"""LLM scoring: ours, the reference's way, and plain batched transformers, side by side.

    python -m benchmarks.scoring                      a small LLaMA on the CPU
    python -m benchmarks.scoring --device cuda        a LLaMA-13B with random weights, in bf16
    python -m benchmarks.scoring --reference PATH     also a checkout of hkust-nlp/deita, as it is
    python -m benchmarks.scoring --write              add to benchmarks/RESULTS.md

Every contender scores quality of the same turns (Alpaca where the pool is there, else made texts
of such lengths) with the same weights. The slow ones get fewer rows, evenly spread over the same
lengths. Tokens are those of the prompts, without padding. `of peak` is the arithmetic that the
prompts need (2 x weights without the embedding x tokens) by the machine's own bf16 matrix product
(4,096 x 4,096; 8,192 on a GPU), measured in the same run.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.light_scorers import read_turns
from benchmarks.results import machine, write_section
from deita_core.models.options import ModelOptions
from deita_core.scoring.llm.prompts import prompt_of
from deita_core.scoring.llm.scorer import LLMScorer
from deita_core.scoring.protocol import TurnText

POOL = Path("../shared/data/pools/alpaca_52k.json")
DIGITS = ("1", "2", "3", "4", "5", "6")
LLAMA_DIGITS = (29896, 29906, 29941, 29946, 29945, 29953)
SMALL = {
    "hidden_size": 512,
    "intermediate_size": 1408,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
}
LARGE = {
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
}
Score = Callable[[Sequence[TurnText]], Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """A contender's figures; scores of the rows it did."""

    name: str
    rows: int
    seconds: float
    tokens: int
    scores: np.ndarray


def turns(count: int, seed: int = 0) -> list[TurnText]:
    """Alpaca rows at random, or texts with lengths like theirs."""
    random = np.random.default_rng(seed)
    if POOL.exists():
        everything = read_turns(POOL, 20_000)
        chosen = random.choice(len(everything), count, replace=False)
        return [everything[i] for i in chosen if everything[i].response]
    words = ["write", "a", "function", "that", "sorts", "numbers", "and", "explain", "why"]

    def text(mean: float) -> str:
        return " ".join(random.choice(words, max(3, int(random.lognormal(np.log(mean), 0.8)))))

    return [TurnText(text(14), text(35)) for _ in range(count)]


def make_tokenizer(some: Sequence[TurnText]) -> Any:
    """A tokenizer like LLaMA's with 32,000 tokens, learned from the texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="first"),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *DIGITS]
    trainer = trainers.BpeTrainer(vocab_size=32_000, special_tokens=names[:3], show_progress=False)
    texts = (prompt_of("quality", turn).text for turn in some[:5000])
    made.train_from_iterator(texts, trainer)
    made = Tokenizer.from_str(_with_llama_digits(made.to_str()))
    made.add_tokens([name for name in names[3:] if made.token_to_id(name) is None])
    made.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


def _with_llama_digits(tokenizer: str) -> str:
    """The tokenizer with the digits where LLaMA has them: the reference knows no other places."""
    state = json.loads(tokenizer)
    places = state["model"]["vocab"]
    for digit, place in zip(DIGITS, LLAMA_DIGITS, strict=True):
        holder = next((token for token, taken in places.items() if taken == place), None)
        if holder is not None:
            places[holder] = places[digit]
        places[digit] = place
    return json.dumps(state)


def make_model(folder: Path, sizes: dict[str, int], device: str, some: Sequence[TurnText]) -> int:
    """Save a LLaMA with random weights; returns its weights without the embedding."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=32_768, max_position_embeddings=2048, **sizes)
    large = device == "cuda"
    with torch.device(device):
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16 if large else torch.float32)
        model = LlamaForCausalLM(config)
        torch.set_default_dtype(before)
    model.save_pretrained(folder)
    make_tokenizer(some).save_pretrained(folder)
    weights = sum(p.numel() for p in model.model.layers.parameters())
    del model
    if large:
        torch.cuda.empty_cache()
    return weights


def matmul_peak(device: str) -> float:
    """FLOP/s of a bf16 matrix product here, the best of a few."""
    import torch

    n, times = (8192, 20) if device == "cuda" else (4096, 3)
    a = torch.randn(n, n, device=device).to(torch.bfloat16)
    best = 0.0
    for _ in range(times):
        _finish(device)
        started = time.perf_counter()
        a @ a
        _finish(device)
        best = max(best, 2 * n**3 / (time.perf_counter() - started))
    return best


def _finish(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def ours(folder: Path, device: str, precision: str | None) -> Score:
    """`LLMScorer`; nothing is withheld for a lack of mass, which random weights have."""
    options = ModelOptions.from_json({"device": device, "precision": precision})
    scorer = LLMScorer(folder, "quality", options=options, least_mass=0.0)
    return lambda some: scorer.score(some).scores


def _loaded(folder: Path, device: str, dtype: str) -> tuple[Any, Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).to(device)
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(digit) for digit in DIGITS])
    tokenizer.pad_token_id = tokenizer.pad_token_id or 0
    return tokenizer, model.eval(), ids.to(device)


def reference_way(folder: Path, device: str) -> Score:
    """fp32, a row at a time, two tokens generated: the reference's steps in our words."""
    import torch

    tokenizer, model, ids = _loaded(folder, device, "float32")

    def score(some: Sequence[TurnText]) -> np.ndarray:
        found = []
        for turn in some:
            prompt = tokenizer(prompt_of("quality", turn).text, return_tensors="pt").to(device)
            with torch.no_grad():
                made = model.generate(
                    prompt.input_ids,
                    attention_mask=prompt.attention_mask,
                    max_new_tokens=2,
                    min_new_tokens=2,
                    do_sample=False,
                    return_dict_in_generate=True,
                    output_scores=True,
                )
            found.append(_expected(made.scores[0][0][ids]))
        return np.array(found)

    return score


def batched_transformers(folder: Path, device: str) -> Score:
    """What one writes first: batches in row order, padded, all logits, bf16."""
    import torch

    tokenizer, model, ids = _loaded(folder, device, "bfloat16")
    size = 32 if device == "cuda" else 8

    def score(some: Sequence[TurnText]) -> np.ndarray:
        found = []
        for start in range(0, len(some), size):
            texts = [prompt_of("quality", turn).text for turn in some[start : start + size]]
            prompts = tokenizer(texts, return_tensors="pt", padding=True).to(device)
            with torch.no_grad():
                logits = model(**prompts).logits[:, -1]
            found += [_expected(row[ids]) for row in logits]
        return np.array(found)

    return score


def _expected(logits: Any) -> float:
    p = logits.float().softmax(-1).cpu().numpy()
    return float(p @ np.arange(1, 7))


def reference_itself(checkout: Path, folder: Path) -> Score:
    """The reference's own class, from a checkout of hkust-nlp/deita."""
    sys.path.insert(0, str(checkout / "src"))
    unused = types.ModuleType("vllm")  # imported there, but not needed on this way
    unused.LLM = unused.SamplingParams = object  # type: ignore[attr-defined]
    sys.modules.setdefault("vllm", unused)
    scorer = importlib.import_module("deita.selection.scorer").Llama_Scorer(str(folder))
    return lambda some: np.array([scorer.infer_quality(t.instruction, t.response) for t in some])


def measured(name: str, score: Score, some: Sequence[TurnText], tokenizer: Any) -> Measured:
    """After a warm-up of eight rows."""
    score(some[:8])
    started = time.perf_counter()
    scores = np.asarray(score(some), np.float64)
    seconds = time.perf_counter() - started
    tokens = sum(len(tokenizer(prompt_of("quality", t).text).input_ids) for t in some)
    found = Measured(name, len(some), seconds, tokens, scores)
    print(f"{name}: {found.rows / seconds:.2f} rows/s", flush=True)
    return found


def table(found: Sequence[Measured], weights: int, peak: float, step: int) -> str:
    """A Markdown table; differences are to ours in fp32 on the rows both did."""
    base = found[0].scores
    way = next(m for m in found if m.name.startswith("reference's way"))
    lines = [
        "| contender | rows | rows/s | tokens/s | of peak | times the reference's way | "
        "largest difference |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in found:
        same = base if one.rows == len(base) else base[::step][: one.rows]
        rate, tokens = one.rows / one.seconds, one.tokens / one.seconds
        lines.append(
            f"| {one.name} | {one.rows} | {rate:,.2f} | {tokens:,.0f} | "
            f"{2 * weights * tokens / peak:.0%} | {rate / (way.rows / way.seconds):.1f} | "
            f"{np.nanmax(np.abs(one.scores - same)):.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print; with --write also add the table to RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rows", type=int, help="for ours (default: 300; 20,000 on a GPU)")
    parser.add_argument("--slow-rows", type=int, help="for the slow ones (default: 40; 200)")
    parser.add_argument("--reference", type=Path, help="a checkout of hkust-nlp/deita")
    parser.add_argument("--write", action="store_true", help="add the table to RESULTS.md")
    asked = parser.parse_args()
    large = asked.device == "cuda"
    some = turns(asked.rows or (20_000 if large else 300))
    step = max(1, len(some) // (asked.slow_rows or (200 if large else 40)))
    few = some[::step]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = make_model(folder, LARGE if large else SMALL, asked.device, some)
        peak = matmul_peak(asked.device)
        print(f"{weights / 1e6:,.0f} million weights, bf16 product {peak / 1e12:.2f} TFLOP/s")
        found = contenders(folder, asked, some, few)
    text = table(found, weights, peak, step)
    title = f"LLM scoring, {'LLaMA-13B' if large else 'small LLaMA'}, {asked.device}"
    note = f"{weights / 1e6:,.0f} million weights; bf16 product {peak / 1e12:.2f} TFLOP/s."
    print(machine(), text, sep="\n")
    if asked.write:
        write_section(title, f"{note}\n\n{text}")


def contenders(
    folder: Path, asked: argparse.Namespace, some: list[TurnText], few: list[TurnText]
) -> list[Measured]:
    """All of them, one after the other; each model is dropped before the next."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    device = asked.device
    precisions: list[str] = ["bf16"] if device == "cuda" else ["fp32", "bf16"]
    found = [measured(f"ours, {p}", ours(folder, device, p), some, tokenizer) for p in precisions]
    batched = batched_transformers(folder, device)
    found.append(measured("batched transformers, bf16", batched, some[: 8 * len(few)], tokenizer))
    del batched
    way = reference_way(folder, device)
    found.append(measured("reference's way, fp32, one row, generate", way, few, tokenizer))
    del way
    if asked.reference:
        itself = reference_itself(asked.reference, folder)
        found.append(measured("reference (hkust-nlp/deita), as it is", itself, few, tokenizer))
    return found


if __name__ == "__main__":
    main()
