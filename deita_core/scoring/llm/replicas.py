"""One language model on one device, asked for nothing but the next token's logits.

Only the hidden state at the end of each prompt meets the output matrix, inside the model's own
forward pass, by hooks around that layer: whatever an architecture does to its logits (a bias, a
scale, a soft cap) is done here as well. Prompts are filled up on the right: with causal attention
no token sees the filling, so neither a mask nor other positions are needed, and attention may take
its fastest kernel. Where FlashAttention is installed they are laid end to end, with no filling.
On a CPU each prompt is read alone, on one thread, so that nothing else can change its last bits.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ModelError
from deita_core.models.batches import TokenBudget, first_budget, padded, run_longest_first
from deita_core.models.language_model import LanguageModel, load_language_model


class Replica:
    """A model with its own batch budget; see the module's text."""

    def __init__(self, model: LanguageModel, *, packed: bool = False) -> None:
        """packed: lay prompts end to end (the attention must tell them apart by position)."""
        self.model = model
        self.packed = packed
        self.budget: TokenBudget = first_budget(model.device)
        self._rows: dict[tuple[int, ...], Any] = {}
        self._asked = threading.local()  # by a pass, of its hooks: digits, shape, ends
        self._head = model.network.get_output_embeddings()
        if self._head is None:
            raise ModelError(f"{model.name} has no output matrix: it is no causal language model")
        self._head.register_forward_pre_hook(self._keep_ends)
        self._head.register_forward_hook(self._put_scores_first)

    def logits(
        self, tokens: Sequence[Sequence[int]], rows: Sequence[int], digits: Sequence[int]
    ) -> Any:
        """What follows `tokens[row] for row in rows`: a (b, 7) float32 tensor on the device, the
        logits of the six `digits`, then the logsumexp of all other tokens. On a GPU the call
        returns before the numbers are there."""
        import torch

        asked = self._asked
        inputs, asked.ends = self._inputs(tokens, rows)
        asked.digits, asked.shape = tuple(digits), inputs["input_ids"].shape
        with torch.inference_mode():
            logits = self.model.network(**inputs, use_cache=False).logits
            if tuple(logits.shape) != (1, len(rows), 6 + self._head.weight.shape[0]):
                raise self._unusual()
            ours, others = logits[0, :, :6], logits[0, :, 6:]  # (B, 6), (B, V)
            others[:, list(digits)] = -torch.inf
            return torch.cat([ours, others.logsumexp(-1, keepdim=True)], 1)

    def _inputs(
        self, tokens: Sequence[Sequence[int]], rows: Sequence[int]
    ) -> tuple[dict[str, Any], Any]:
        """The arguments of the forward pass, and the places of the last tokens, (b,) int64."""
        import torch

        lengths = torch.tensor([len(tokens[row]) for row in rows])
        if self.packed:
            joined = torch.tensor([token for row in rows for token in tokens[row]])
            positions = torch.cat([torch.arange(int(n)) for n in lengths])
            inputs = {"input_ids": joined[None], "position_ids": positions[None]}  # (1, T)
            ends = lengths.cumsum(0) - 1
        else:
            ids = padded(tokens, rows, self.model.filler)  # (B, T)
            inputs = {"input_ids": ids}
            ends = torch.arange(len(rows)) * ids.shape[1] + lengths - 1
        return {name: self._moved(value) for name, value in inputs.items()}, self._moved(ends)

    def _moved(self, tensor: Any) -> Any:
        if self.model.device.startswith("cuda"):  # pinned, so that the copy waits for nothing
            return tensor.pin_memory().to(self.model.device, non_blocking=True)
        return tensor.to(self.model.device)

    def _keep_ends(self, head: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden = inputs[0]  # (B, T, D), or (1, T, D) when packed
        if hidden.shape[:-1] != self._asked.shape:  # on a GPU a wrong place would end the process
            raise self._unusual()
        flat = hidden.reshape(-1, hidden.shape[-1])
        return flat[self._asked.ends][None], *inputs[1:]  # (1, B, D)

    def _put_scores_first(self, head: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """The six logits in float32, then the whole row: (1, b, 6 + vocabulary). In bfloat16 a
        logit of 20 is rounded to the next 1/8, which the score would show."""
        import torch

        return torch.cat([self._six(head, inputs[0], output), output.float()], -1)

    def _six(self, head: Any, hidden: Any, output: Any) -> Any:
        import torch

        digits = list(self._asked.digits)
        weight = getattr(head, "weight", None)
        if weight is None or not weight.is_floating_point() or weight.shape[-1] != hidden.shape[-1]:
            return output[..., digits].float()  # a quantised matrix has no rows to take
        if self._asked.digits not in self._rows:
            bias = getattr(head, "bias", None)
            chosen = None if bias is None else bias[digits].float()
            self._rows[self._asked.digits] = (weight[digits].float(), chosen)
        return torch.nn.functional.linear(hidden.float(), *self._rows[self._asked.digits])

    def _unusual(self) -> ModelError:
        return ModelError(
            f"{type(self.model.network).__name__} does not compute its logits in one step from "
            "its last layer: use a plain causal language model as scorer"
        )


_shared = weakref.WeakValueDictionary[tuple[str, str | None, str], Replica]()


def shared_replica(name: str, precision: str | None, device: str) -> Replica:
    """The replica of that model on that device; ModelError when it cannot be loaded.

    One that is in use is used again: complexity and quality by one model hold it in memory once.
    """
    key = (name, precision, device)
    found = _shared.get(key)
    if found is None:
        flash = device.startswith("cuda") and precision != "fp32" and _flash_attention()
        attention = "flash_attention_2" if flash else None
        model = load_language_model(name, precision=precision, device=device, attention=attention)
        _shared[key] = found = Replica(model, packed=flash)
    return found


def _flash_attention() -> bool:
    from transformers.utils.import_utils import is_flash_attn_2_available

    return bool(is_flash_attn_2_available())


def run_on(
    replicas: Sequence[Replica],
    ids: Sequence[Sequence[int]],
    digits: Sequence[int],
    out: NDArray[np.float32],
) -> dict[int, str]:
    """Writes what follows n prompts into `out`, (n, 7) as `Replica.logits` gives it; returns why a
    row has none.

    The prompts are dealt out like cards, longest first, so each replica gets as many tokens as
    the others. Threads are enough: Python only starts the work, the devices do it.
    """
    order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))

    def work(replica: Replica, hand: Sequence[int]) -> dict[int, str]:
        started: list[tuple[list[int], Any]] = []  # all before the first is waited for

        def start(places: list[int]) -> None:
            rows = [hand[place] for place in places]
            started.append((rows, replica.logits(ids, rows, digits)))

        failed = run_longest_first([len(ids[row]) for row in hand], replica.budget, start)
        for rows, logits in started:
            out[rows] = logits.cpu().numpy()
        return {hand[place]: reason for place, reason in failed.items()}

    hands = [order[first :: len(replicas)] for first in range(len(replicas))]
    with ThreadPoolExecutor(len(replicas)) as threads:
        found = list(threads.map(work, replicas, hands))
    return {row: reason for failed in found for row, reason in failed.items()}
