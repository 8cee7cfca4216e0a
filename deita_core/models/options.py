"""How a model runs, as chosen by the user, and what is recorded of it.

Options are not part of a model's name. Where one changes the numbers (the precision does), the
model records it in its `parameters`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Protocol, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from deita_core.errors import ModelError

Precision = Literal["fp32", "bf16", "fp16", "int8", "int4"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Api = Literal["completions", "chat"]
APIS: tuple[Api, ...] = get_args(Api)
Parameters = Mapping[str, str | int | float | bool]


class Model(Protocol):
    """What is recorded of a scorer or embedder beside all that it gives."""

    @property
    def id(self) -> str:
        """Its official id."""

    @property
    def revision(self) -> str:
        """The exact weights (a version, a commit or a content hash)."""

    @property
    def parameters(self) -> Parameters:
        """What else its numbers depend on (precision, longest text in tokens)."""


class ModelOptions(BaseModel):
    """None leaves the choice to the model. A value out of range is a ModelError.

    device: "cpu", "cuda", "cuda:1" or "mps". precision: one of `PRECISIONS`. batch_tokens: most
    tokens of a batch, padding included. max_tokens: longest prompt in tokens; what is longer is
    cut and flagged.

    For endpoints only: api (completions by default; chat for servers that have nothing else),
    requests (at most so many at once; without, it begins with 16 and adapts), logprobs (how many
    tokens to ask for), digit_ids (the model's ids of the tokens 1 to 6: a vLLM server then returns
    exactly these), key_variable (of the environment, with the API key, which is never stored),
    attempts (a row), timeout (seconds).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str | None = None
    precision: Precision | None = None
    batch_tokens: PositiveInt | None = None
    max_tokens: PositiveInt | None = None
    api: Api | None = None
    requests: PositiveInt | None = None
    logprobs: PositiveInt | None = None
    digit_ids: tuple[int, ...] | None = None
    key_variable: str | None = None
    attempts: PositiveInt | None = None
    timeout: PositiveFloat | None = None

    @field_validator("device")
    @classmethod
    def _is_a_device(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"cpu|mps|cuda(:\d+)?", value):
            raise ModelError(f"device must be cpu, cuda, cuda:N or mps, got {value!r}")
        return value

    @field_validator("digit_ids")
    @classmethod
    def _are_six(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and len(set(value)) != 6:
            raise ModelError(f"digit_ids are the ids of the six tokens 1 to 6, got {value}")
        return value

    @field_validator("key_variable")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z_]\w*", value):
            raise ModelError(
                "key_variable is the name of an environment variable, not the key itself: "
                "set a variable and name it"
            )
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _in_our_words(
        cls, given: Any, handler: ModelWrapValidatorHandler[ModelOptions]
    ) -> ModelOptions:
        try:
            return handler(given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name, value = (*first["loc"], "options")[0], first["input"]
            match first["type"]:
                case "extra_forbidden":
                    known = ", ".join(cls.model_fields)
                    said = f"no option {name!r} for a model (known: {known})"
                case "literal_error":
                    known = ", ".join(PRECISIONS if name == "precision" else APIS)
                    said = f"{name} must be one of {known}, got {value!r}"
                case "greater_than":
                    said = f"{name} must be above 0, got {value}"
                case _:
                    said = f"{name}: {first['msg']}, got {value!r}"
            raise ModelError(said) from error
