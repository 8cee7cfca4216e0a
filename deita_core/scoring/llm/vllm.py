"""LLM scorers by vLLM, where that package is installed: `vllm:FOLDER` or `vllm:HUB/NAME`.

It is asked for one token and the log probabilities of exactly the six score tokens; a vLLM too old
for that gives the 20 most probable tokens, of which `endpoint.expectation` makes a score where they
suffice. Developed against a stand-in of the package, not against vLLM itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from deita_core.errors import ModelError
from deita_core.models.language_model import DTYPES, located, revision_of
from deita_core.models.options import ModelOptions, Parameters
from deita_core.scoring.llm.endpoint import TOLERANCE, TopTokens, TurnResult, batch_of, expectation
from deita_core.scoring.llm.prompts import (
    LEAST_MASS,
    TEMPLATE,
    PromptTokenizer,
    prompt_of,
    too_little_mass,
)
from deita_core.scoring.protocol import Dimension, ScoreBatch, TurnText, score_scorable

_MOST_LOGPROBS = 20  # what vLLM returns unless its engine is told otherwise


class VLLMScorer:
    """Scores turns by a causal language model in vLLM; ModelError when it cannot be loaded."""

    def __init__(
        self, model: str, dimension: Dimension, options: ModelOptions | None = None
    ) -> None:
        options = options or ModelOptions()
        dtype = DTYPES.get(options.precision) if options.precision else "auto"
        if dtype is None:
            raise ModelError(
                f"vLLM loads no {options.precision} by itself: choose fp32, bf16 or fp16, or a "
                "model that was quantised before"
            )
        self.dimension: Dimension = dimension
        name, folder = located(model)
        self.id = f"vllm:{name}"
        self._engine = _engine(name, dtype, options.max_tokens)
        config = self._engine.llm_engine.model_config
        self.revision = revision_of(folder, config.hf_config)
        most = int(config.max_model_len) - 1  # beside the token that is generated
        self._tokenizer = PromptTokenizer(self._engine.get_tokenizer(), most)
        self._digits = self._tokenizer.score_tokens(dimension)
        self._sampling = _sampling(self._digits)
        self.parameters: Parameters = {
            "precision": options.precision or "auto",
            "max_tokens": self._tokenizer.max_tokens,
            "template": TEMPLATE,
            "tolerance": TOLERANCE,
        }

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """Scores in the order of `turns`; NaN with a reason where there is none."""
        return score_scorable(self.dimension, turns, self._scored)

    def _scored(self, turns: Sequence[TurnText]) -> ScoreBatch:
        encoded = self._tokenizer.encode([prompt_of(self.dimension, turn) for turn in turns])
        prompts = [{"prompt_token_ids": ids} for ids in encoded.ids]
        outputs = self._engine.generate(prompts, self._sampling, use_tqdm=False) if turns else []
        cut = encoded.truncated.tolist()
        return batch_of([self._read(o, was_cut) for o, was_cut in zip(outputs, cut, strict=True)])

    def _read(self, output: Any, truncated: bool) -> TurnResult:
        first = output.outputs[0]
        if not first.logprobs:
            return TurnResult(math.nan, "vLLM returned no log probabilities", math.nan, truncated)
        named = {f"token_id:{token}": float(p.logprob) for token, p in first.logprobs[0].items()}
        found = expectation(TopTokens(named, f"token_id:{first.token_ids[0]}"), self._digits)
        if not found.mass >= LEAST_MASS:
            return TurnResult(math.nan, too_little_mass(LEAST_MASS), found.mass, truncated)
        return TurnResult(found.given, found.doubt, found.mass, truncated)


@lru_cache(maxsize=1)
def _engine(model: str, dtype: str, max_tokens: int | None) -> Any:
    """One engine a process: vLLM takes nearly all of the GPU's memory for itself."""
    try:
        import vllm
    except ImportError as error:
        raise ModelError(
            "vLLM is not installed: install it (it needs a GPU), use llm:MODEL instead, or run "
            "`vllm serve` elsewhere and use endpoint:MODEL@URL"
        ) from error
    longest = {} if max_tokens is None else {"max_model_len": max_tokens + 1}
    try:
        return vllm.LLM(model=model, dtype=dtype, enable_prefix_caching=True, **longest)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"vLLM cannot load {model!r}: {error}") from error


def _sampling(digits: Sequence[int]) -> Any:
    import vllm

    common = {"max_tokens": 1, "temperature": 0.0, "detokenize": False}
    try:
        return vllm.SamplingParams(**common, logprob_token_ids=list(digits))
    except TypeError:  # older than that parameter
        return vllm.SamplingParams(**common, logprobs=_MOST_LOGPROBS)
