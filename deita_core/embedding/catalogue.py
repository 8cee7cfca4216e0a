"""Embedders by name: what a job, a command or a manifest asks for.

A name is "minilm", an alias of `ALIASES`, one with a prefix of `PREFIXES` (`llm:FOLDER`,
`st:NAME`), or "package.module:callable" for an embedder of one's own. `check_embedder` asks
whether there is one of a name, before a job and without reading weights.
"""

from __future__ import annotations

import importlib.util

from deita_core.embedding.minilm import MODEL_ID, MiniLM
from deita_core.embedding.models import NAMES, LLMEmbedder, SentenceEmbedder
from deita_core.embedding.protocol import Embedder
from deita_core.errors import ModelError
from deita_core.models.language_model import (
    ModelFacts,
    check_precision,
    imported,
    model_facts,
)
from deita_core.models.options import ModelOptions

# The paper's embedder under a short name.
ALIASES = {"deita-embedder": "llm:mistralai/Mistral-7B-v0.1"}
# Behind the colon stands a folder or a name on the hub. The id of such an embedder is its name.
PREFIXES = (*NAMES.values(), "st")
_IDS = {MODEL_ID: "minilm"}
_KNOWN = ", ".join(["minilm", *ALIASES, *(f"{prefix}:MODEL" for prefix in PREFIXES)])


def name_of_embedder(model: str) -> str:
    """The name that loads a model id again; ModelError when the catalogue does not know it."""
    if model.partition(":")[0] in PREFIXES:
        return model
    if model not in _IDS:
        raise ModelError(f"no embedder of the catalogue is {model!r} (known: {', '.join(_IDS)})")
    return _IDS[model]


def load_embedder(name: str, options: ModelOptions | None = None) -> Embedder:
    """The embedder of that name; ModelError when there is none. The options reach the embedders
    that load with torch; MiniLM chooses for itself."""
    name = ALIASES.get(name, name)
    kind, colon, model = name.partition(":")
    if name == "minilm":
        return MiniLM()
    if kind not in PREFIXES or not colon:
        own: Embedder = imported(name, f"embedder (known: {_KNOWN})")()
        return own
    if not model:
        raise ModelError(f"{kind}: needs a folder or the name of a model on the hub behind it")
    if kind == "st":
        return SentenceEmbedder(model, options)
    (pooling,) = (one for one, name in NAMES.items() if name == kind)
    return LLMEmbedder(model, pooling=pooling, options=options)


def check_embedder(
    name: str, options: ModelOptions | None = None, *, thorough: bool = False
) -> ModelFacts | None:
    """What is known of the model behind a name of the catalogue; None for the embedded one.

    thorough: also ask the hub for a model that is not here, which takes seconds.
    Raises ModelError as loading it would.
    """
    precision = (options or ModelOptions()).precision
    name = ALIASES.get(name, name)
    kind, _, model = name.partition(":")
    if name == "minilm":
        return None
    if kind not in PREFIXES:
        imported(name, f"embedder (known: {_KNOWN})")
        return None
    if kind == "st" and precision in ("int8", "int4"):
        raise ModelError(
            f"a model of sentence-transformers runs in fp32, bf16 or fp16, not in {precision}"
        )
    if kind == "st" and importlib.util.find_spec("sentence_transformers") is None:
        raise ModelError("st: needs the package sentence-transformers: install it")
    check_precision(precision)
    return model_facts(model, ask_hub=thorough)
