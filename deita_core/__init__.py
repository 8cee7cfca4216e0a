"""Deita Studio's core: everything the app does, from Python, without Streamlit.

The names below are loaded when they are first used, so importing this package is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

VERSION = "0.1.0"
_PLACES = {
    "Conversation": "conversation",
    "LLMScorer": "scoring.llm.scorer",
    "LightScorer": "scoring.light.scorer",
    "Message": "conversation",
    "MiniLM": "embedding.minilm",
    "Project": "project",
    "PoolTable": "selection",
    "SelectionRule": "selection",
    "detect": "formats.read",
    "evol_scores": "selection",
    "nearest_neighbours": "similarity.neighbours",
    "read": "formats.read",
    "repr_filter": "selection",
    "select": "selection",
    "trace": "selection",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"deita_core has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"deita_core.{_PLACES[name]}"), name)
