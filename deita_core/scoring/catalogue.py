"""Scorers by name: what a job, a command or a manifest asks for.

A name is a key of `NAMES`, or "deita" (the released scorers of the paper), or one with a prefix
of `PREFIXES` (`llm:FOLDER`, `llm:HUB/NAME`, `endpoint:MODEL@URL`, `random:SEED`), or
"package.module:callable" for a scorer of one's own; the callable takes the dimension and returns
a `Scorer`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from deita_core.errors import ModelError
from deita_core.scoring.options import ModelOptions
from deita_core.scoring.protocol import Dimension, Scorer


def _light(dimension: Dimension) -> Scorer:
    from deita_core.scoring.light import LightScorer

    return LightScorer(dimension)


def _endpoint(rest: str, dimension: Dimension, options: ModelOptions) -> Scorer:
    from deita_core.scoring.endpoint import EndpointScorer

    return EndpointScorer.of_name(rest, dimension, options)


def _llm(rest: str, dimension: Dimension, options: ModelOptions) -> Scorer:
    from deita_core.scoring.llm import LLMScorer

    return LLMScorer(rest, dimension, options=options)


def _vllm(rest: str, dimension: Dimension, options: ModelOptions) -> Scorer:
    from deita_core.scoring.vllm_backend import VLLMScorer

    return VLLMScorer(rest, dimension, options)


def _instruction_length(dimension: Dimension) -> Scorer:
    from deita_core.scoring.baselines import LengthScorer

    return LengthScorer("instruction", dimension)


def _response_length(dimension: Dimension) -> Scorer:
    from deita_core.scoring.baselines import LengthScorer

    return LengthScorer("response", dimension)


def _random(rest: str, dimension: Dimension, options: ModelOptions) -> Scorer:
    from deita_core.scoring.baselines import random_of_name

    return random_of_name(rest, dimension)


def _perplexity(rest: str, dimension: Dimension, options: ModelOptions) -> Scorer:
    from deita_core.scoring.baselines_llm import LossScorer

    return LossScorer(rest, "perplexity", dimension, options)


def _ifd(rest: str, dimension: Dimension, options: ModelOptions) -> Scorer:
    from deita_core.scoring.baselines_llm import LossScorer

    return LossScorer(rest, "ifd", dimension, options)


NAMES: Mapping[str, Callable[[Dimension], Scorer]] = {
    "light": _light,
    "instruction-length": _instruction_length,
    "response-length": _response_length,
    "random": lambda dimension: _random("0", dimension, ModelOptions()),
}
# Called with what stands behind the colon. The id of such a scorer is its name.
PREFIXES: Mapping[str, Callable[[str, Dimension, ModelOptions], Scorer]] = {
    "endpoint": _endpoint,
    "ifd": _ifd,
    "llm": _llm,
    "perplexity": _perplexity,
    "random": _random,
    "vllm": _vllm,
}


# The released scorers of the paper, a model for each dimension.
DEITA: Mapping[Dimension, str] = {
    "complexity": "hkust-nlp/deita-complexity-scorer",
    "quality": "hkust-nlp/deita-quality-scorer",
}

# Ids of models, as recorded beside scores, and the names that load them.
_IDS = {
    "deita-studio/light-complexity": "light",
    "deita-studio/light-quality": "light",
    **dict.fromkeys(DEITA.values(), "deita"),
}


def name_of_scorer(model: str) -> str:
    """The name that loads a model id again; ModelError when the catalogue does not know it."""
    if model in NAMES or model.partition(":")[0] in PREFIXES:
        return model
    if model not in _IDS:
        raise ModelError(f"no scorer of the catalogue is {model!r} (known: {', '.join(_IDS)})")
    return _IDS[model]


def load_scorer(name: str, dimension: Dimension, options: ModelOptions | None = None) -> Scorer:
    """The scorer of that name; ModelError when there is none or it cannot be imported.

    The options reach "deita" and the scorers with a prefix; the others choose for themselves.
    """
    if name == "deita":
        name = f"llm:{DEITA[dimension]}"
    if name in NAMES:
        return NAMES[name](dimension)
    prefix, colon, rest = name.partition(":")
    if colon and prefix in PREFIXES:
        return PREFIXES[prefix](rest, dimension, options or ModelOptions())
    scorer: Scorer = imported(name, f"scorer (known: {', '.join([*NAMES, 'deita'])})")(dimension)
    return scorer


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
