"""The map of the pool, small charts and figures, and the colours that all of them share."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent


@cache
def component(
    name: str, folder: str, *files: str, isolate_styles: bool = False
) -> Callable[..., Any]:
    """A component of ours, to be mounted: its page, styles and scripts, in this order."""

    def joined(ending: str) -> str | None:
        chosen = [_HERE / folder / file for file in files if file.endswith(ending)]
        return "\n".join(file.read_text("utf-8") for file in chosen) or None

    mount: Callable[..., Any] = st.components.v2.component(
        name,
        **{ending: joined(ending) for ending in ("html", "css", "js")},
        isolate_styles=isolate_styles,
    )
    return mount
