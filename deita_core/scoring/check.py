"""Is there a scorer of this name, and can it give scores? Asked before a job, without weights."""

from __future__ import annotations

import importlib.util
from functools import lru_cache

from deita_core.errors import ModelError
from deita_core.language_models.model_facts import ModelFacts, model_facts
from deita_core.scoring.catalogue import DEITA, NAMES, PREFIXES, imported
from deita_core.scoring.options import ModelOptions
from deita_core.scoring.protocol import Dimension

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
    from deita_core.language_models.load import load_tokenizer
    from deita_core.scoring.llm_tokens import PromptTokenizer

    try:
        tokenizer = load_tokenizer(folder)
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        raise ModelError(f"the tokenizer in {folder} cannot be loaded: {error}") from error
    PromptTokenizer(tokenizer, limit or 1_000_000).score_tokens(dimension)
