"""Embedders by name: what a job, a command or a manifest asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deita_core.embedding.protocol import Embedder
from deita_core.errors import ModelError
from deita_core.scoring.catalogue import imported


def _minilm() -> Embedder:
    from deita_core.embedding.minilm import MiniLM

    return MiniLM()


NAMES: Mapping[str, Callable[[], Embedder]] = {"minilm": _minilm}


_IDS = {"sentence-transformers/all-MiniLM-L6-v2": "minilm"}


def name_of_embedder(model: str) -> str:
    """The name that loads a model id again; ModelError when the catalogue does not know it."""
    if model not in _IDS:
        raise ModelError(f"no embedder of the catalogue is {model!r} (known: {', '.join(_IDS)})")
    return _IDS[model]


def load_embedder(name: str) -> Embedder:
    """The embedder of that name (or "package.module:callable"); ModelError when there is none."""
    if name in NAMES:
        return NAMES[name]()
    embedder: Embedder = imported(name, f"embedder (known: {', '.join(NAMES)})")()
    return embedder
