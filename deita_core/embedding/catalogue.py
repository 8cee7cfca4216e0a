"""Embedders by name: what a job, a command or a manifest asks for.

A name is "minilm", an alias of `ALIASES`, one with a prefix of `PREFIXES` (`llm:FOLDER`,
`st:NAME`), or "package.module:callable" for an embedder of one's own. `check_embedder` asks
whether there is one of a name, before a job and without reading weights.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping

from deita_core.embedding.protocol import Embedder
from deita_core.errors import ModelError
from deita_core.models.language_model import (
    ModelFacts,
    check_precision,
    imported,
    model_facts,
)
from deita_core.models.options import ModelOptions


def _minilm() -> Embedder:
    from deita_core.embedding.minilm import MiniLM

    return MiniLM()


NAMES: Mapping[str, Callable[[], Embedder]] = {"minilm": _minilm}
# The paper's embedder under a short name.
ALIASES: Mapping[str, str] = {"deita-embedder": "llm:mistralai/Mistral-7B-v0.1"}
# A local folder or a name on the hub stands behind the colon. The id of such an embedder is its
# name.
PREFIXES = ("llm", "llm-mean", "st")
_IDS = {"sentence-transformers/all-MiniLM-L6-v2": "minilm"}


def name_of_embedder(model: str) -> str:
    """The name that loads a model id again; ModelError when the catalogue does not know it."""
    if model.partition(":")[0] in PREFIXES:
        return model
    if model not in _IDS:
        raise ModelError(f"no embedder of the catalogue is {model!r} (known: {', '.join(_IDS)})")
    return _IDS[model]


def load_embedder(name: str, options: ModelOptions | None = None) -> Embedder:
    """The embedder of that name (or "package.module:callable"); ModelError when there is none.

    The options reach the embedders that load with torch; MiniLM chooses for itself.
    """
    name = ALIASES.get(name, name)
    if name in NAMES:
        return NAMES[name]()
    prefix, colon, rest = name.partition(":")
    if colon and prefix in PREFIXES:
        if not rest:
            raise ModelError(
                f"{prefix}: needs a folder or the name of a model on the hub behind it"
            )
        from deita_core.embedding.models import LLMEmbedder, SentenceEmbedder

        if prefix == "st":
            return SentenceEmbedder(rest, options)
        return LLMEmbedder(rest, pooling="last" if prefix == "llm" else "mean", options=options)
    known = ", ".join([*NAMES, *ALIASES, *(f"{prefix}:MODEL" for prefix in PREFIXES)])
    embedder: Embedder = imported(name, f"embedder (known: {known})")()
    return embedder


def check_embedder(
    name: str, options: ModelOptions | None = None, *, thorough: bool = False
) -> ModelFacts | None:
    """What is known of the model behind a name of the catalogue; None for the embedded one.

    thorough: also ask the hub for a model that is not here, which takes seconds.
    Raises ModelError as loading it would.
    """
    options = options or ModelOptions()
    name = ALIASES.get(name, name)
    prefix, _, rest = name.partition(":")
    if name in NAMES:
        return None
    if prefix not in PREFIXES:
        imported(name, f"embedder (known: {', '.join([*NAMES, *ALIASES])})")
        return None
    if prefix == "st":
        if options.precision in ("int8", "int4"):
            raise ModelError(
                f"a model of sentence-transformers runs in fp32, bf16 or fp16, not in "
                f"{options.precision}"
            )
        if importlib.util.find_spec("sentence_transformers") is None:
            raise ModelError("st: needs the package sentence-transformers: install it")
    check_precision(options.precision)
    return model_facts(rest, ask_hub=thorough)
