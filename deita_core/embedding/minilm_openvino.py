"""all-MiniLM-L6-v2 on the CPU: the BERT encoder written in OpenVINO operations.

The graph is built from the checked weights at every start. That takes a fraction of a second,
needs neither torch nor transformers (5 s and 500 MB of a worker's start), and leaves no
converted copy on disk that could go stale.

Layout of the network: Devlin et al. 2019 (arXiv 1810.04805), post-LayerNorm, erf-GELU; the
pooling is the mean over the tokens that are not padding, as in Reimers and Gurevych 2019
(arXiv 1908.10084).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.embedding.batching import TokenBatch

HEADS = 12
LAYERS = 6
NORM_EPSILON = 1e-12
Weights = Mapping[str, NDArray[np.float32]]


class OpenVinoEncoder:
    """Runs token batches through the network, several at a time.

    precision: "bf16" multiplies in bfloat16 and adds up in float32, "fp32" does neither.
    """

    def __init__(self, weights: Path, precision: str, threads: int) -> None:
        import openvino as ov
        from safetensors.numpy import load_file

        # Batches side by side, each on its own core, lose nothing to cores waiting for each other
        # (7 % faster on two cores); more than eight would hold too much memory.
        streams = max(1, min(8, threads))
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
        }
        compiled = ov.Core().compile_model(_network(load_file(weights)), "CPU", settings)
        self._requests = [compiled.create_infer_request() for _ in range(streams)]

    def encode(self, batches: Iterable[TokenBatch], out: NDArray[np.float32]) -> None:
        """Fills `out[batch.rows]` with mean-pooled vectors, (rows, 384) float32, any length."""
        # Plain threads, each with a request of its own: with OpenVINO's asynchronous queue, whose
        # callbacks want the interpreter's lock, dropping the model right after use hung.
        waiting = _Shared(batches)
        with ThreadPoolExecutor(len(self._requests)) as pool:
            for done in [pool.submit(_run, r, waiting, out) for r in self._requests]:
                done.result()


class _Shared:
    """Batches handed to several threads, each to one of them."""

    def __init__(self, batches: Iterable[TokenBatch]) -> None:
        self._batches = iter(batches)
        self._lock = Lock()

    def next(self) -> TokenBatch | None:
        with self._lock:
            return next(self._batches, None)


def _run(request: Any, waiting: _Shared, out: NDArray[np.float32]) -> None:
    while (batch := waiting.next()) is not None:
        request.infer({"ids": batch.ids, "mask": batch.mask}, share_inputs=True)
        out[batch.rows] = request.get_output_tensor(0).data


def _network(weights: Weights) -> Any:
    """ids (b, t) int32 and mask (b, t) float32 (1 token, 0 padding) -> (b, 384) float32."""
    import openvino as ov
    from openvino import opset13 as op

    ids = op.parameter([-1, -1], np.int32, name="ids")
    mask = op.parameter([-1, -1], np.float32, name="mask")
    # (b, 1, 1, t), added to the attention scores: 0 for a token, -10,000 for padding.
    bias = op.multiply(
        op.subtract(op.unsqueeze(op.unsqueeze(mask, [1]), [1]), np.float32(1)), np.float32(1e4)
    )
    hidden = _embeddings(ids, weights)
    for layer in range(LAYERS):
        hidden = _layer(hidden, bias, weights, f"encoder.layer.{layer}.")
    kept = op.unsqueeze(mask, [2])  # (b, t, 1)
    total = op.reduce_sum(op.multiply(hidden, kept), [1], keep_dims=False)
    pooled = op.divide(total, op.reduce_sum(kept, [1], keep_dims=False))
    return ov.Model([pooled], [ids, mask], "all-MiniLM-L6-v2")


def _embeddings(ids: Any, weights: Weights) -> Any:
    """Token plus position vectors, normalised: (b, t, 384)."""
    from openvino import opset13 as op

    # All tokens are of segment 0, so its vector joins those of the positions.
    positions = (
        weights["embeddings.position_embeddings.weight"]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    length = op.gather(op.shape_of(ids, "i32"), [1], [0])
    tokens = op.gather(op.constant(weights["embeddings.word_embeddings.weight"]), ids, [0])
    places = op.slice(op.constant(positions), [0], length, [1], [0])
    return _norm(op.add(tokens, places), weights, "embeddings.LayerNorm")


def _layer(hidden: Any, bias: Any, weights: Weights, name: str) -> Any:
    """One encoder layer: attention, then the feed-forward part, each added and normalised."""
    from openvino import opset13 as op

    query, key, value = (
        _heads(_linear(hidden, weights, f"{name}attention.self.{part}"))
        for part in ("query", "key", "value")
    )  # (b, 12, t, 32) each
    mixed = op.transpose(op.scaled_dot_product_attention(query, key, value, bias), [0, 2, 1, 3])
    attended = _linear(
        op.reshape(mixed, [0, 0, -1], True), weights, f"{name}attention.output.dense"
    )
    hidden = _norm(op.add(hidden, attended), weights, f"{name}attention.output.LayerNorm")
    wide = op.gelu(_linear(hidden, weights, f"{name}intermediate.dense"), "erf")
    narrow = _linear(wide, weights, f"{name}output.dense")
    return _norm(op.add(hidden, narrow), weights, f"{name}output.LayerNorm")


def _heads(hidden: Any) -> Any:
    """(b, t, 384) -> (b, 12, t, 32)."""
    from openvino import opset13 as op

    return op.transpose(op.reshape(hidden, [0, 0, HEADS, -1], True), [0, 2, 1, 3])


def _linear(hidden: Any, weights: Weights, name: str) -> Any:
    from openvino import opset13 as op

    product = op.matmul(hidden, op.constant(weights[f"{name}.weight"]), False, True)
    return op.add(product, op.constant(weights[f"{name}.bias"]))


def _norm(hidden: Any, weights: Weights, name: str) -> Any:
    from openvino import opset13 as op

    scaled = op.multiply(
        op.mvn(hidden, [-1], True, NORM_EPSILON, "inside_sqrt"),
        op.constant(weights[f"{name}.weight"]),
    )
    return op.add(scaled, op.constant(weights[f"{name}.bias"]))
