"""Is there an embedder of this name? Asked before a job, without reading weights."""

from __future__ import annotations

import importlib.util

from deita_core.embedding.catalogue import ALIASES, NAMES, PREFIXES
from deita_core.errors import ModelError
from deita_core.language_models.model_facts import ModelFacts, model_facts
from deita_core.scoring.catalogue import imported
from deita_core.scoring.check import check_precision
from deita_core.scoring.options import ModelOptions


def check_embedder(
    name: str, options: ModelOptions | None = None, *, thorough: bool = False
) -> ModelFacts | None:
    """What is known of the model behind a name of the catalogue; None for the embedded one.

    thorough: also ask the hub for a model that is not here, which takes seconds.
    Raises ModelError as loading it would.
    """
    options = options or ModelOptions()
    name = ALIASES.get(name, name)
    prefix, _, rest = name.partition(":")
    if name in NAMES:
        return None
    if prefix not in PREFIXES:
        imported(name, f"embedder (known: {', '.join([*NAMES, *ALIASES])})")
        return None
    if prefix == "st":
        if options.precision in ("int8", "int4"):
            raise ModelError(
                f"a model of sentence-transformers runs in fp32, bf16 or fp16, not in "
                f"{options.precision}"
            )
        if importlib.util.find_spec("sentence_transformers") is None:
            raise ModelError("st: needs the package sentence-transformers: install it")
    check_precision(options)
    return model_facts(rest, ask_hub=thorough)
