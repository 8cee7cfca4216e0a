"""How a model runs, as chosen by the user: device, precision, batch, and how to reach an endpoint.

These are not part of a scorer's name. Where one changes the numbers (the precision does), the
scorer itself records it in its `parameters`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from deita_core.errors import ModelError

Precision = Literal["fp32", "bf16", "fp16", "int8", "int4"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Api = Literal["completions", "chat"]
APIS: tuple[Api, ...] = get_args(Api)


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """None leaves the choice to the model.

    device: "cpu", "cuda", "cuda:1" or "mps". precision: one of `PRECISIONS`. batch_tokens: most
    tokens of a batch, padding included. max_tokens: longest prompt in tokens; what is longer is
    cut and flagged.

    For endpoints only: api (completions by default; chat for servers that have nothing else),
    requests (how many at once), logprobs (how many tokens to ask for), digit_ids (the model's
    ids of the tokens 1 to 6: a vLLM server then returns exactly these), key_variable (name of
    the environment variable that holds the API key; the key itself is never stored), attempts
    (per row), timeout (seconds to wait for an answer).
    """

    device: str | None = None
    precision: Precision | None = None
    batch_tokens: int | None = None
    max_tokens: int | None = None
    api: Api | None = None
    requests: int | None = None
    logprobs: int | None = None
    digit_ids: tuple[int, ...] | None = None
    key_variable: str | None = None
    attempts: int | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.device is not None and not re.fullmatch(r"cpu|mps|cuda(:\d+)?", self.device):
            raise ModelError(f"device must be cpu, cuda, cuda:N or mps, got {self.device!r}")
        _one_of("precision", self.precision, PRECISIONS)
        _one_of("api", self.api, APIS)
        for name in ("batch_tokens", "max_tokens", "requests", "logprobs", "attempts", "timeout"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ModelError(f"{name} must be above 0, got {value}")
        if self.digit_ids is not None and len(set(self.digit_ids)) != 6:
            raise ModelError(
                f"digit_ids are the ids of the six tokens 1 to 6, got {self.digit_ids}"
            )
        if self.key_variable is not None and not re.fullmatch(r"[A-Za-z_]\w*", self.key_variable):
            raise ModelError(
                "key_variable is the name of an environment variable, not the key itself: "
                "set a variable and name it"
            )

    def to_json(self) -> dict[str, Any]:
        """What was chosen, without what was left open; for a job's parameters."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @staticmethod
    def from_json(given: Mapping[str, Any] | None) -> ModelOptions:
        """The inverse of `to_json`; ModelError for a name that is not known."""
        values = dict(given or {})
        known = {field.name for field in fields(ModelOptions)}
        if unknown := sorted(set(values) - known):
            raise ModelError(f"no option {unknown[0]!r} for a model (known: {', '.join(known)})")
        if values.get("digit_ids") is not None:
            values["digit_ids"] = tuple(values["digit_ids"])
        return ModelOptions(**values)


def _one_of(name: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise ModelError(f"{name} must be one of {', '.join(known)}, got {value!r}")
