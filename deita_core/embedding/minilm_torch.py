"""all-MiniLM-L6-v2 in torch, for a GPU."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.embedding.batching import TokenBatch


class TorchEncoder:
    """Runs token batches through the network on `kind` ("cuda", "mps" or "cpu").

    precision: "bf16" multiplies in bfloat16 (autocast), "fp32" does not.
    """

    def __init__(self, folder: Path, precision: str, kind: str) -> None:
        from transformers import BertModel

        self._kind = kind
        self._bf16 = precision == "bf16"
        # The pooler is a head for another task: sentence vectors do not pass through it.
        model: Any = BertModel.from_pretrained(
            folder, add_pooling_layer=False, local_files_only=True
        )
        self._model = model.eval().to(kind)

    def encode(self, batches: Iterable[TokenBatch], out: NDArray[np.float32]) -> None:
        """Fills `out[batch.rows]` with mean-pooled vectors, (rows, 384) float32, any length."""
        import torch

        with torch.inference_mode():
            for batch in batches:
                ids = torch.from_numpy(batch.ids).to(self._kind).long()  # (B, T)
                mask = torch.from_numpy(batch.mask).to(self._kind)  # (B, T)
                with torch.autocast(self._kind, dtype=torch.bfloat16, enabled=self._bf16):
                    hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
                kept = mask.unsqueeze(-1)  # (B, T, 1)
                pooled = (hidden.float() * kept).sum(1) / kept.sum(1)  # (B, 384)
                out[batch.rows] = pooled.cpu().numpy()
