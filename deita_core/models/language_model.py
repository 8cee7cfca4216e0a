"""Models by name: causal language models of `transformers`, and callables of one's own.

What is known of a model unread, and loading it. The short names of a room stand in its catalogue.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from deita_core.conversation import without_surrogates
from deita_core.errors import ModelError
from deita_core.models.batches import out_of_memory
from deita_core.models.device import has_bf16, pick_device, weights_of
from deita_core.models.options import PRECISIONS

Head = Literal["tokens", "value", "none"]
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
_UNLIMITED = 1_000_000  # tokenizers write 1e30 for "no limit"
_OFFLINE_SECONDS = 5.0
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
# A file up to this size is hashed whole, of a larger one evenly spread pieces: other weights
# (a fine-tuning changes nearly every number) give another hash, and 26 GB need no minute.
WHOLE = 64 << 20
PIECE = 1 << 20
PIECES = 32
_READ = (".json", ".safetensors", ".bin", ".model", ".txt", ".pt")


def imported(name: str, what: str) -> Callable[..., Any]:
    """The callable behind "package.module:callable"; ModelError that says what was wrong."""
    module, _, attribute = name.partition(":")
    if not attribute:
        raise ModelError(
            f"there is no {what} called {name!r}: name one, or package.module:callable"
        )
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"{name!r} cannot be imported as a {what}: {error}") from error
    return found


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """name: as given. folder: where it lies on this machine, or None. parameters, context: how
    many it has, how many tokens it reads; None where that is not known."""

    name: str
    folder: Path | None
    parameters: int | None
    context: int | None


def model_facts(name: str, *, ask_hub: bool = False) -> ModelFacts:
    """The model in a local folder or of that name on the hub, without loading it.

    ask_hub: also ask the hub for a model that is not here, which takes up to five seconds.
    Raises ModelError when there is none, or no model that can be loaded.
    """
    name = name.strip()
    if not name:
        raise ModelError("no model is named: give a folder, or the name of a model on the hub")
    local = Path(name).expanduser()
    if local.is_dir():
        return _of_folder(name, local)
    if local.is_absolute() or name[0] in ".~" or "\\" in name or name.count("/") > 1:
        raise ModelError(f"there is no folder {name}: check the path")
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name) or ".." in name or "--" in name:
        raise ModelError(
            f"{name!r} is neither a folder nor a name of the hub: that is owner/name, of letters, "
            "digits, '-', '_' and '.'"
        )
    if (cached := _cached(name)) is not None:
        return _of_folder(name, cached)
    asked = _size_on_hub(name) if ask_hub else None
    return ModelFacts(name, None, weights_of(name) or asked, None)


def _of_folder(name: str, folder: Path) -> ModelFacts:
    weights = [*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]
    parts = (folder / "modules.json").exists()  # of sentence-transformers: all may lie deeper
    for what, there in (
        ("config.json", (folder / "config.json").exists()),
        ("weights (*.safetensors or pytorch_model*.bin)", weights),
        ("tokenizer (tokenizer.json)", any((folder / one).exists() for one in _TOKENIZERS)),
    ):
        if not (there or parts):
            raise ModelError(
                f"the folder {name} has no {what}: choose one as save_pretrained of "
                "transformers writes it, with model and tokenizer"
            )
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if not parts:
            raise ModelError(f"the config.json of {name} cannot be read: {error}") from error
        config = {}
    config = config if isinstance(config, dict) else {}
    inner = config.get("text_config") or config
    context = inner.get("max_position_embeddings") or inner.get("n_positions")
    context = context if isinstance(context, int) else None
    return ModelFacts(name, folder.resolve(), weights_of(str(folder)), context)


def _cached(name: str) -> Path | None:
    """The folder of a model that was downloaded before."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json")
    except HFValidationError as error:
        raise ModelError(f"{name!r} cannot name a model of the hub: {error}") from error
    folder = Path(found).parent if isinstance(found, str) else None
    if folder is None or not (any(folder.glob("*.safetensors")) or any(folder.glob("*.bin"))):
        return None  # only its config was looked at once
    return folder


def _size_on_hub(name: str) -> int | None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        found = HfApi().model_info(name, timeout=_OFFLINE_SECONDS)
    except GatedRepoError as error:
        raise ModelError(
            f"{name} asks for your consent first: accept its terms on its page, and log in "
            "with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        said = f"the hub has no model {name!r} that you may read: check the name"
        raise ModelError(said) from error
    except Exception as error:  # httpx's, requests' or the hub's own, by version
        raise ModelError(
            f"{name} is not on this machine, and the hub cannot be asked for it ({error}): check "
            "the network, or download it elsewhere and give its folder"
        ) from error
    return None if found.safetensors is None else int(found.safetensors.total)


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A loaded model: a torch module in evaluation mode, and its tokenizer.

    name: hub name, or absolute path of a local folder. revision: see `revision_of`. limit: most
    tokens it reads at once. device: as torch names it. precision: one of `PRECISIONS`.
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
        known = (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id)
        return next((int(token) for token in known if token is not None), None)

    @property
    def filler(self) -> int:
        """A token id to fill rows up with; nothing is read from its places."""
        return int(self.tokenizer.pad_token_id or 0)

    def tokens(self, text: str, *, marked: bool = True) -> list[int]:
        """The ids of a text; marked: with the tokens that the model wants around it."""
        clean = without_surrogates(text)
        return list(self.tokenizer(clean, add_special_tokens=marked, verbose=False).input_ids)


def pick_precision(wanted: str | None, device: str) -> str:
    """The precision to load in: as wanted, or bf16 where the device multiplies it natively,
    fp16 on other GPUs, fp32 on other CPUs. ModelError for an unknown one.
    """
    if wanted is None:
        return "bf16" if has_bf16(device) else "fp32" if device == "cpu" else "fp16"
    if wanted not in PRECISIONS:
        raise ModelError(f"precision must be one of {', '.join(PRECISIONS)}, got {wanted!r}")
    return wanted


def load_language_model(
    name: str,
    *,
    head: Head = "tokens",
    precision: str | None = None,
    device: str | None = None,
    attention: str | None = None,
) -> LanguageModel:
    """The model in a local folder or of that name on the hub, with its tokenizer.

    head: what stands on the layers: the matrix that gives logits of tokens, one that gives a single
    value, or nothing (hidden states). precision: one of `PRECISIONS`. device: as torch names it.
    attention: as `transformers` names it. None picks.
    Raises ModelError when there is no such model or it cannot be loaded here.
    """
    from transformers.utils import logging

    # Its progress bars and its note on the output matrix that was left out say nothing to users.
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    where = device or pick_device().kind
    chosen = pick_precision(precision, where)
    place, folder = located(name)
    try:
        tokenizer = load_tokenizer(place)
        network = _kind(head).from_pretrained(place, **_settings(chosen, where, attention))
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
    revision = revision_of(folder, network.config)
    return LanguageModel(place, revision, tokenizer, network.eval(), limit, where, chosen)


def _kind(head: Head) -> Any:
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

    match head:
        case "tokens":
            return AutoModelForCausalLM
        case "value":
            return AutoModelForSequenceClassification
        case "none":
            return AutoModel


def load_tokenizer(place: str) -> Any:
    """The tokenizer in a local folder or of a model on the hub."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(place)


def _settings(precision: str, where: str, attention: str | None) -> dict[str, Any]:
    import torch
    from transformers import BitsAndBytesConfig

    check_precision(precision)
    plain = precision if precision in DTYPES else pick_precision(None, where)
    settings: dict[str, Any] = {"dtype": getattr(torch, DTYPES[plain])}
    if attention is not None:
        settings["attn_implementation"] = attention
    if precision not in DTYPES:
        settings["device_map"] = {"": where}
        settings["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_8bit=precision == "int8",
            load_in_4bit=precision == "int4",
            bnb_4bit_compute_dtype=settings["dtype"],
        )
    return settings


def check_precision(precision: str | None) -> None:
    """Raises ModelError when what loads 8 and 4 bits is not installed."""
    if precision not in ("int8", "int4"):
        return
    missing = [name for name in ("bitsandbytes", "accelerate") if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"precision {precision} needs {' and '.join(missing)}: run `pip install "
            f"{' '.join(missing)}`, or choose fp32, bf16 or fp16"
        )


def check_max_tokens(name: str, wanted: int | None, limit: int | None) -> None:
    """Raises ModelError when more tokens are asked for than the model reads."""
    if wanted is not None and limit is not None and wanted > limit:
        raise ModelError(f"max_tokens is {wanted:,}, but {name} reads at most {limit:,} tokens")


def _limit(config: Any) -> int:
    keys = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
    found = (getattr(config.get_text_config(), key, None) for key in keys)
    return next((int(limit) for limit in found if limit), _UNLIMITED)


def located(name: str) -> tuple[str, Path | None]:
    """What is recorded of a model, and its folder: a local one's absolute path, or the hub's name
    and None."""
    folder = Path(name).expanduser()
    return (str(folder.resolve()), folder) if folder.is_dir() else (name, None)


def revision_of(folder: Path | None, config: Any) -> str:
    """32 hex digits of the names, sizes and contents of the model files in a folder; without one
    the hub's commit, out of the configuration of the loaded model."""
    if folder is None:
        return str(getattr(config, "_commit_hash", None) or "unknown")
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.rglob("*")):
        if path.suffix in _READ and path.is_file():
            size = path.stat().st_size
            digest.update(f"{path.relative_to(folder)}\0{size}\0".encode())
            with path.open("rb") as file:
                if size <= WHOLE:
                    digest.update(file.read())
                    continue
                for piece in range(PIECES):
                    file.seek((size - PIECE) * piece // (PIECES - 1))
                    digest.update(file.read(PIECE))
    return digest.hexdigest()
