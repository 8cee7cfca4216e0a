"""What can be told of a model before its weights are read: its size, and whether it is there."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deita_core.device_memory import weights_of
from deita_core.errors import ModelError

_OFFLINE_SECONDS = 5.0
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


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

    ask_hub: ask the hub whether there is such a model, where it is not on this machine; takes up
    to five seconds. Raises ModelError when there is none, or no model that can be loaded.
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
    known = weights_of(name)
    asked = _size_on_hub(name) if ask_hub else None
    return ModelFacts(name, None, known or asked, None)


def _of_folder(name: str, folder: Path) -> ModelFacts:
    weights = [*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]
    parts = (folder / "modules.json").exists()  # of sentence-transformers: all may lie deeper
    if not parts:
        for what, there in (
            ("config.json", (folder / "config.json").exists()),
            ("weights (*.safetensors or pytorch_model*.bin)", bool(weights)),
            ("tokenizer (tokenizer.json)", any((folder / one).exists() for one in _TOKENIZERS)),
        ):
            if not there:
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
    return ModelFacts(name, folder.resolve(), _weights(str(folder)), _whole(context))


def _weights(model: str) -> int | None:
    try:
        return weights_of(model)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error):
        return None  # loading it will say what is wrong with the file


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


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
        raise ModelError(
            f"the hub has no model {name!r} that you may read: check the name"
        ) from error
    except Exception as error:  # httpx's, requests' or the hub's own, by version
        raise ModelError(
            f"{name} is not on this machine, and the hub cannot be asked for it ({error}): check "
            "the network, or download it elsewhere and give its folder"
        ) from error
    return None if found.safetensors is None else int(found.safetensors.total)
