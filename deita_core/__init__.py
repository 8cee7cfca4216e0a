"""Deita Studio's core: everything the app does, from Python, without Streamlit.

The names below are loaded when they are first used, so importing this package is quick.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

# Nothing here phones home. Imported, OpenVINO would look up an analytics server and keep an id in
# the home folder, unless its telemetry cannot be imported; the hub's client would tell who asks.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

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
