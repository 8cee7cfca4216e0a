"""The network of all-MiniLM-L6-v2: BERT (Devlin et al. 2019, arXiv 1810.04805), mean-pooled.

transformers' module runs as it is on a GPU. On a CPU OpenVINO runs it, converted once: the
converted network is kept in the user's cache, so that later starts load neither torch nor
transformers (5 s and 500 MB). It is used only while its SHA-256 is the one noted beside it, and
where it cannot be kept it is converted anew each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.files import sha256_of, whole_folder
from deita_core.models.batches import TokenBatch

# Raised whenever the code below makes another network of the same weights.
CONVERSION = 1
_FILES = ("model.xml", "model.bin")


def torch_network(weights: Path) -> Any:
    """The network as a torch module: ids (B, T) whole numbers and mask (B, T) float32, 1 for a
    token and 0 for padding, -> (B, 384) float32, of any length.

    weights: model.safetensors, with config.json beside it.
    """
    import torch
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    class MeanPooled(torch.nn.Module):
        def __init__(self, bert: Any) -> None:
            super().__init__()
            self.bert = bert

        def forward(self, ids: Any, mask: Any) -> Any:
            hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
            kept = mask.unsqueeze(-1)  # (B, T, 1)
            return (hidden.float() * kept).sum(1) / kept.sum(1)

    # The pooler is a head for another task: sentence vectors do not pass through it.
    bert: Any = BertModel(BertConfig.from_pretrained(weights.parent), add_pooling_layer=False)
    bert.load_state_dict(
        {
            name: tensor
            for name, tensor in load_file(weights).items()
            if not name.startswith("pooler.") and name != "embeddings.position_ids"
        }
    )
    return MeanPooled(bert).eval()


class TorchEncoder:
    """Runs token batches through the network on `kind` ("cuda", "mps" or "cpu").

    precision: "bf16" multiplies in bfloat16 (autocast), "fp32" does not.
    """

    def __init__(self, weights: Path, precision: str, kind: str) -> None:
        self._kind = kind
        self._bf16 = precision == "bf16"
        self._network = torch_network(weights).to(kind)

    def encode(self, batches: Iterable[TokenBatch], out: NDArray[np.float32]) -> None:
        """Fills `out[batch.rows]` with mean-pooled vectors, (rows, 384) float32, any length."""
        import torch

        with torch.inference_mode():
            for batch in batches:
                ids = torch.from_numpy(batch.ids).to(self._kind)  # (B, T)
                mask = torch.from_numpy(batch.mask).to(self._kind)  # (B, T)
                with torch.autocast(self._kind, dtype=torch.bfloat16, enabled=self._bf16):
                    pooled = self._network(ids, mask)  # (B, 384)
                out[batch.rows] = pooled.cpu().numpy()


class OpenVinoEncoder:
    """Runs token batches through the network on the CPU, several at a time.

    precision: "bf16" multiplies in bfloat16 and adds up in float32, "fp32" does neither.
    """

    def __init__(self, weights: Path, sha256: str, precision: str, threads: int) -> None:
        """weights: model.safetensors, whose SHA-256 is `sha256`; threads: CPU cores to use."""
        import openvino as ov

        # Batches side by side, each on its own core, lose nothing to cores waiting for each other
        # (7 % faster on two cores); more than eight would hold too much memory.
        streams = max(1, min(8, threads))
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
        }
        core = ov.Core()
        compiled = core.compile_model(openvino_network(core, weights, sha256), "CPU", settings)
        self._requests = [compiled.create_infer_request() for _ in range(streams)]

    def encode(self, batches: Iterable[TokenBatch], out: NDArray[np.float32]) -> None:
        """Fills `out[batch.rows]` with mean-pooled vectors, (rows, 384) float32, any length."""
        waiting, lock = iter(batches), Lock()

        def work(request: Any) -> None:
            while True:
                with lock:
                    batch = next(waiting, None)
                if batch is None:
                    return
                request.infer({"ids": batch.ids, "mask": batch.mask}, share_inputs=True)
                out[batch.rows] = request.get_output_tensor(0).data

        # Plain threads, each with a request of its own: with OpenVINO's asynchronous queue, whose
        # callbacks want the interpreter's lock, dropping the model right after use hung.
        with ThreadPoolExecutor(len(self._requests)) as pool:
            list(pool.map(work, self._requests))


def openvino_network(core: Any, weights: Path, sha256: str) -> Any:
    """The converted network, from the cache; put there first where it was missing."""
    folder = cache_folder(sha256)
    if folder is not None and _is_whole(folder):
        return core.read_model(folder / "model.xml")
    network = _converted(weights)
    # Read back, for a network from a file can differ in the last bits from one just converted.
    if folder is None or not _keep(network, folder):
        return network
    return core.read_model(folder / "model.xml")


def cache_folder(sha256: str) -> Path | None:
    """Where the conversion of these weights by these versions is kept; None without a home."""
    made_by = [f"{package} {version(package)}" for package in ("openvino", "torch", "transformers")]
    key = hashlib.sha256(json.dumps([sha256, CONVERSION, made_by]).encode()).hexdigest()
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return cache / "deita-studio" / f"minilm-{key[:16]}"


def _is_whole(folder: Path) -> bool:
    try:
        noted = json.loads((folder / "sha256.json").read_text(encoding="utf-8"))
        return bool(noted == {name: sha256_of(folder / name) for name in _FILES})
    except (OSError, ValueError):
        return False


def _keep(network: Any, folder: Path) -> bool:
    """Writes the network to the cache; False where that is impossible."""
    import openvino as ov

    try:
        with whole_folder(folder) as partial:
            ov.save_model(network, partial / "model.xml", compress_to_fp16=False)
            noted = json.dumps({name: sha256_of(partial / name) for name in _FILES})
            (partial / "sha256.json").write_text(noted, encoding="utf-8")
    except (OSError, RuntimeError):
        return False
    return True


def _converted(weights: Path) -> Any:
    # `openvino.convert_model` does the same, but takes 5 s longer to load and reports each use to
    # its maker's server.
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = {
        "ids": torch.ones((2, 7), dtype=torch.int32),
        "mask": torch.tensor([[1.0] * 7, [1.0] * 4 + [0.0] * 3]),
    }
    with warnings.catch_warnings(), torch.inference_mode():
        # Of tracing: the branches that it fixes are the same for every batch.
        warnings.simplefilter("ignore")
        traced = TorchScriptPythonDecoder(torch_network(weights), example_input=example)
    front = FrontEndManager().load_by_framework("pytorch")
    return front.convert(front.load(traced))
