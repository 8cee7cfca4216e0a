"""Loading a causal language model of `transformers` and its tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deita_core.device import Device, named_device, pick_device
from deita_core.errors import ModelError
from deita_core.language_models.revision import folder_revision
from deita_core.language_models.token_batches import out_of_memory

PRECISIONS = ("fp32", "bf16", "fp16", "int8", "int4")
_DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
_UNLIMITED = 1_000_000  # tokenizers write 1e30 for "no limit"


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A loaded model. network: the torch module, in evaluation mode.

    name: hub name, or absolute path of a local folder. revision: the hub's commit, or a hash
    of a folder's content. limit: most tokens it reads at once. device: as torch names it ("cpu",
    "cuda", "cuda:1", "mps"). precision: one of `PRECISIONS`.
    """

    name: str
    revision: str
    tokenizer: Any
    network: Any
    limit: int
    device: str
    precision: str

    @property
    def start(self) -> int | None:
        """The id of the token that opens a text, or None for a model without one."""
        for found in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if found is not None:
                return int(found)
        return None

    @property
    def filler(self) -> int:
        """A token id to fill rows up with; nothing is read from its places."""
        return int(self.tokenizer.pad_token_id or 0)


def pick_precision(wanted: str | None, device: Device) -> str:
    """The precision to load in: as wanted, or bf16 where the device multiplies it natively,
    fp16 on other GPUs, fp32 on other CPUs. ModelError for an unknown one.
    """
    if wanted is None:
        return "bf16" if device.bf16 else "fp32" if device.kind == "cpu" else "fp16"
    if wanted not in PRECISIONS:
        raise ModelError(f"precision must be one of {', '.join(PRECISIONS)}, got {wanted!r}")
    return wanted


def load_language_model(
    name: str,
    *,
    head: bool = True,
    precision: str | None = None,
    device: str | None = None,
    attention: str | None = None,
) -> LanguageModel:
    """The model in a local folder or of that name on the hub, with its tokenizer.

    head: with the output matrix (logits), or the layers alone (hidden states).
    precision: one of `PRECISIONS` (int8 and int4 by bitsandbytes, for small cards); None picks.
    device: as torch names it; None picks. attention: the attention of `transformers` ("sdpa",
    "flash_attention_2", "eager"); None: its default.
    Raises ModelError when there is no such model or it cannot be loaded here.
    """
    _be_quiet()
    picked = pick_device()
    where = device or picked.kind
    if where.split(":")[0] != picked.kind:
        picked = named_device(where)
    chosen = pick_precision(precision, picked)
    local = Path(name).expanduser()
    place = str(local.resolve()) if local.is_dir() else name
    try:
        tokenizer = load_tokenizer(place)
        network = _network(place, head, _settings(chosen, where, picked, attention))
        network = network if chosen in ("int8", "int4") else network.to(where)
    except (OSError, ValueError, ImportError, KeyError, RuntimeError, MemoryError) as error:
        if out_of_memory(error):
            raise ModelError(
                f"the model {name!r} in {chosen} does not fit into the memory of {where}: choose "
                "another device, or the precision int8 or int4 on a GPU"
            ) from error
        raise ModelError(
            f"the model {name!r} cannot be loaded: {error}; give a folder that transformers "
            "can read, or the name of a model on the hub"
        ) from error
    limit = min(_limit(network.config), int(min(tokenizer.model_max_length, _UNLIMITED)))
    revision = folder_revision(local) if local.is_dir() else _commit(network)
    return LanguageModel(place, revision, tokenizer, network.eval(), limit, where, chosen)


def load_tokenizer(place: str) -> Any:
    """The tokenizer in a local folder or of a model on the hub."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(place)


def _network(place: str, head: bool, settings: dict[str, Any]) -> Any:
    from transformers import AutoModel, AutoModelForCausalLM

    kind = AutoModelForCausalLM if head else AutoModel
    return kind.from_pretrained(place, **settings)


def _settings(precision: str, where: str, device: Device, attention: str | None) -> dict[str, Any]:
    import torch
    from transformers import BitsAndBytesConfig

    if precision not in _DTYPES:
        _check_quantisation(precision)
    plain = precision if precision in _DTYPES else pick_precision(None, device)
    settings: dict[str, Any] = {"dtype": getattr(torch, _DTYPES[plain])}
    if attention is not None:
        settings["attn_implementation"] = attention
    if precision not in _DTYPES:
        settings["device_map"] = {"": where}
        settings["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_8bit=precision == "int8",
            load_in_4bit=precision == "int4",
            bnb_4bit_compute_dtype=settings["dtype"],
        )
    return settings


def _check_quantisation(precision: str) -> None:
    missing = [name for name in ("bitsandbytes", "accelerate") if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"precision {precision} needs {' and '.join(missing)}: run `pip install "
            f"{' '.join(missing)}`, or choose fp32, bf16 or fp16"
        )


def _limit(config: Any) -> int:
    for key in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"):
        found = getattr(config.get_text_config(), key, None)
        if found:
            return int(found)
    return _UNLIMITED


def _be_quiet() -> None:
    # Its progress bars and its note on the output matrix that was left out say nothing to users.
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _commit(network: Any) -> str:
    return str(getattr(network.config, "_commit_hash", None) or "unknown")
