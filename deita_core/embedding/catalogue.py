"""Embedders by name: what a job, a command or a manifest asks for.

A name is a key of `NAMES` or `ALIASES`, or one with a prefix of `PREFIXES` (`llm:FOLDER`,
`st:NAME`), or "package.module:callable" for an embedder of one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deita_core.embedding.protocol import Embedder
from deita_core.errors import ModelError
from deita_core.scoring.catalogue import imported
from deita_core.scoring.options import ModelOptions


def _minilm() -> Embedder:
    from deita_core.embedding.minilm import MiniLM

    return MiniLM()


def _llm(rest: str, options: ModelOptions) -> Embedder:
    from deita_core.embedding.llm import LLMEmbedder

    return LLMEmbedder(rest, options=options)


def _llm_mean(rest: str, options: ModelOptions) -> Embedder:
    from deita_core.embedding.llm import LLMEmbedder

    return LLMEmbedder(rest, pooling="mean", options=options)


def _sentence(rest: str, options: ModelOptions) -> Embedder:
    from deita_core.embedding.sentence import SentenceEmbedder

    return SentenceEmbedder(rest, options)


NAMES: Mapping[str, Callable[[], Embedder]] = {"minilm": _minilm}
# The paper's embedder under a short name.
ALIASES: Mapping[str, str] = {"deita-embedder": "llm:mistralai/Mistral-7B-v0.1"}
# Called with what stands behind the colon: a local folder or a name on the hub. The id of such
# an embedder is its name.
PREFIXES: Mapping[str, Callable[[str, ModelOptions], Embedder]] = {
    "llm": _llm,
    "llm-mean": _llm_mean,
    "st": _sentence,
}


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
        return PREFIXES[prefix](rest, options or ModelOptions())
    known = ", ".join([*NAMES, *ALIASES, *(f"{prefix}:MODEL" for prefix in PREFIXES)])
    embedder: Embedder = imported(name, f"embedder (known: {known})")()
    return embedder
