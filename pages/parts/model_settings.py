"""How a model runs: device, precision and limits, in a closed expander with good defaults."""

from __future__ import annotations

from typing import Any

import streamlit as st

from deita_core.device_memory import devices
from deita_core.errors import ModelError
from deita_core.scoring.options import APIS, PRECISIONS, ModelOptions
from pages.parts import words
from pages.parts.model_kinds import ModelKind

_AUTOMATIC = "automatic"


def model_settings(dimension: str, kind: ModelKind) -> tuple[ModelOptions, str]:
    """The settings chosen, and what is wrong with them ("" when nothing is)."""
    with st.expander("Settings", icon=":material/tune:"):
        given = _endpoint(dimension) if kind.field == "endpoint" else _local(dimension)
        given["max_tokens"] = _number(
            dimension,
            "Longest prompt in tokens",
            "max_tokens",
            "What is longer is cut and flagged. Empty: what the model reads.",
        )
    try:
        return ModelOptions.from_json({k: v for k, v in given.items() if v is not None}), ""
    except ModelError as error:
        return ModelOptions(), str(error)


def _local(dimension: str) -> dict[str, Any]:
    found = {one.name: one for one in devices()}
    labels = {n: f"{d.label}, {words.size(d.free)} of {words.size(d.total)} free"
              for n, d in found.items()}  # fmt: skip
    device = None
    if len(found) > 1:
        device = _select(dimension, "Device", "device", list(found), labels)
    else:
        st.caption(f"Device: {next(iter(labels.values()))}.")
    fast = next(iter(found.values())).precisions[0]
    return {
        "device": device,
        "precision": _select(
            dimension,
            "Precision",
            "precision",
            list(PRECISIONS),
            {_AUTOMATIC: f"automatic: {fast}", "int8": "int8 (8 bit)", "int4": "int4 (4 bit)"},
        ),
        "batch_tokens": _number(
            dimension,
            "Tokens at once",
            "batch_tokens",
            "Padding included. Empty: found out; memory that runs out halves it.",
        ),
    }


def _endpoint(dimension: str) -> dict[str, Any]:
    variable = st.text_input(
        "Variable with the API key",
        placeholder="DEITA_ENDPOINT_KEY",
        key=f"key_variable_{dimension}",
        persist_state="session",
        help="The name of an environment variable of this server, never the key itself. "
        "Empty: DEITA_ENDPOINT_KEY, where it is set.",
    )
    return {
        "key_variable": (variable or "").strip() or None,
        "api": _select(dimension, "Interface", "api", list(APIS), {}),
        "requests": _number(dimension, "Requests at once", "requests", "Empty: 16."),
        "logprobs": _number(
            dimension,
            "Most probable tokens asked for",
            "logprobs",
            "The six digits must be among them. Empty: 20.",
        ),
        "timeout": _number(dimension, "Seconds to wait for an answer", "timeout", "Empty: 120."),
    }


def _select(
    dimension: str, label: str, what: str, options: list[str], labels: dict[str, str]
) -> str | None:
    chosen = st.selectbox(
        label,
        [_AUTOMATIC, *options],
        format_func=lambda one: labels.get(one, one),
        key=f"{what}_{dimension}",
        persist_state="session",
    )
    return None if chosen in (None, _AUTOMATIC) else chosen


def _number(dimension: str, label: str, what: str, help: str) -> int | None:
    value = st.number_input(
        label,
        min_value=1,
        value=None,
        step=1,
        placeholder=_AUTOMATIC,
        key=f"{what}_{dimension}",
        persist_state="session",
        help=help,
    )
    return None if value is None else int(value)
