"""Embedders by name: what a job, a command or a manifest asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deita_core.embedding.protocol import Embedder
from deita_core.scoring.catalogue import imported


def _minilm() -> Embedder:
    from deita_core.embedding.minilm import MiniLM

    return MiniLM()


NAMES: Mapping[str, Callable[[], Embedder]] = {"minilm": _minilm}


def load_embedder(name: str) -> Embedder:
    """The embedder of that name (or "package.module:callable"); ModelError when there is none."""
    if name in NAMES:
        return NAMES[name]()
    embedder: Embedder = imported(name, f"embedder (known: {', '.join(NAMES)})")()  # type: ignore[assignment]
    return embedder
