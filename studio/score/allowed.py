"""What a browser may name of this machine: models, endpoints, and variables that hold a key.

Whoever runs the server decides it, by environment variables; the command line is not held to it.
"""

from __future__ import annotations

import os
import re

from deita_core.errors import ModelError, PathError
from deita_core.files import resolve_below
from deita_core.models.endpoint import KEY_VARIABLE, checked_url
from deita_core.project.folder import models_folder

_ON_THE_HUB = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_KEY = re.compile(r"DEITA_\w*KEY")


def model_named(text: str) -> str:
    """The model to load: a folder below the models folder, all links followed, or a hub's name.

    ModelError for another folder of this machine, be it there or not.
    """
    root = models_folder()
    try:
        return str(resolve_below(root, text))
    except PathError as error:
        # A folder of that name would be read instead of the hub's model.
        taken = any(os.path.lexists(place) for place in (text, root / text))
        if _ON_THE_HUB.fullmatch(text) and not taken:
            return text
        raise ModelError(
            f"there is no folder {text} below {root}, and no other folder is read from here: put "
            "the model there (DEITA_MODELS_DIR names the place), or give owner/name of the hub"
        ) from error


def endpoint_named(url: str) -> str:
    """The base URL as it is stored; ModelError for one that DEITA_ENDPOINTS leaves out, or that
    cannot be used. Without that variable every address may be named."""
    wanted = checked_url(url)
    listed = os.environ.get("DEITA_ENDPOINTS", "").split()
    if listed and wanted not in map(checked_url, listed):
        raise ModelError(
            f"this server sends texts to {' and '.join(listed)} only, not to {wanted}: ask who "
            "runs it to add the address to DEITA_ENDPOINTS"
        )
    return wanted


def key_variable_named(name: str) -> str | None:
    """The variable with the API key, None for the usual one; ModelError for a variable that may
    hold another secret of the server, since its value is sent to the address."""
    if name and not _KEY.fullmatch(name):
        raise ModelError(
            f"from here only variables named like {KEY_VARIABLE} (DEITA_..._KEY) can be sent to an "
            f"endpoint, not {name}: set the key in such a one, or use the command line"
        )
    return name or None
