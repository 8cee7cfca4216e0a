"""Scorers by name: what a job, a command or a manifest asks for.

A name is a key of `NAMES`, or "deita" (the released scorers of the paper), or one with a prefix
of `PREFIXES` (`llm:FOLDER`, `llm:HUB/NAME`, `endpoint:MODEL@URL`, `random:SEED`), or
"package.module:callable" for a scorer of one's own; the callable takes the dimension and returns
a `Scorer`.

Is there a scorer of this name, and can it give scores? Asked before a job, without weights.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from deita_core.errors import ModelError
from deita_core.models.language_model import ModelFacts, model_facts
from deita_core.models.options import ModelOptions
from deita_core.scoring.protocol import Dimension, Scorer


def _light(dimension: Dimension) -> Scorer:
    from deita_core.scoring.light.scorer import LightScorer

    return LightScorer(dimension)


def _endpoint(rest: str, dimension: Dimension, options: ModelOptions) -> Scorer:
    from deita_core.scoring.llm.endpoint import EndpointScorer

    return EndpointScorer.of_name(rest, dimension, options)


def _llm(rest: str, dimension: Dimension, options: ModelOptions) -> Scorer:
    from deita_core.scoring.llm.scorer import LLMScorer

    return LLMScorer(rest, dimension, options=options)


def _vllm(rest: str, dimension: Dimension, options: ModelOptions) -> Scorer:
    from deita_core.scoring.llm.vllm import VLLMScorer

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
    from deita_core.scoring.baselines import LossScorer

    return LossScorer(rest, "perplexity", dimension, options)


def _ifd(rest: str, dimension: Dimension, options: ModelOptions) -> Scorer:
    from deita_core.scoring.baselines import LossScorer

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


_OF_MODELS = ("llm", "vllm", "perplexity", "ifd")


def check_scorer(
    name: str, dimension: Dimension, options: ModelOptions | None = None, *, thorough: bool = False
) -> ModelFacts | None:
    """What is known of the model behind a name of the catalogue; None for one without weights.

    thorough: also ask the hub for models that are not here, and look whether the tokenizer has
    the digits; takes seconds. Raises ModelError as loading it would.
    """
    options = options or ModelOptions()
    name = f"llm:{DEITA[dimension]}" if name == "deita" else name
    prefix, _, rest = name.partition(":")
    if name in NAMES:
        return None
    if prefix not in PREFIXES:
        imported(name, f"scorer (known: {', '.join([*NAMES, 'deita'])})")
        return None
    if prefix not in _OF_MODELS:  # made in an instant, and it looks at its name
        PREFIXES[prefix](rest, dimension, options)
        return None
    check_precision(options)
    if prefix == "vllm" and importlib.util.find_spec("vllm") is None:
        raise ModelError(
            "vLLM is not installed: install it (it needs a GPU), or use the model without it"
        )
    facts = model_facts(rest, ask_hub=thorough)
    limit = facts.context
    if limit is not None and options.max_tokens is not None and options.max_tokens > limit:
        raise ModelError(
            f"max_tokens is {options.max_tokens:,}, but {rest} reads at most {limit:,} tokens"
        )
    if thorough and prefix in ("llm", "vllm") and facts.folder is not None:
        _check_digits(str(facts.folder), dimension, options.max_tokens or limit)
    return facts


def check_precision(options: ModelOptions) -> None:
    """Raises ModelError when what loads 8 and 4 bits is not installed."""
    quantised = options.precision in ("int8", "int4")
    if quantised and importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            f"{options.precision} needs the package bitsandbytes: install it, or choose bf16, "
            "fp16 or fp32"
        )


@lru_cache(maxsize=8)
def _check_digits(folder: str, dimension: Dimension, limit: int | None) -> None:
    from deita_core.models.language_model import load_tokenizer
    from deita_core.scoring.llm.prompts import PromptTokenizer

    try:
        tokenizer = load_tokenizer(folder)
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        raise ModelError(f"the tokenizer in {folder} cannot be loaded: {error}") from error
    PromptTokenizer(tokenizer, limit or 1_000_000).score_tokens(dimension)
