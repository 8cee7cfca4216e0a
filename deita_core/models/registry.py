"""Models of one's own by name: "package.module:callable", for scorers and embedders alike.

What each room offers by a short name stands in its catalogue.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from deita_core.errors import ModelError


def imported(name: str, what: str) -> Callable[..., Any]:
    """The callable behind "package.module:callable"; ModelError that says what was wrong."""
    module, _, attribute = name.partition(":")
    if not attribute:
        raise ModelError(
            f"there is no {what} called {name!r}: name one, or package.module:callable"
        )
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"{name!r} cannot be imported as a {what}: {error}") from error
    return found
