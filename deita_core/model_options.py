"""The command line's options for models: which ones, and how they run."""

from __future__ import annotations

import argparse

from deita_core.errors import ModelError
from deita_core.scoring.options import APIS, PRECISIONS, ModelOptions


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """--device, --precision and the rest of `ModelOptions`."""
    group = parser.add_argument_group("how the models run (the light ones choose for themselves)")
    group.add_argument("--device", help="cpu, cuda, cuda:1 or mps (default: the best one here)")
    group.add_argument(
        "--precision", choices=PRECISIONS, help="default: bf16 where the device has it"
    )
    group.add_argument(
        "--batch-tokens", type=int, metavar="N", help="most tokens at once (default: found out)"
    )
    group.add_argument(
        "--max-tokens", type=int, metavar="N", help="longest prompt; longer ones are cut"
    )
    group.add_argument("--api", choices=APIS, help="of an endpoint (default: completions)")
    group.add_argument(
        "--requests", type=int, metavar="N", help="to an endpoint at once (default: 16)"
    )
    group.add_argument(
        "--digit-ids",
        metavar="A,B,C,D,E,F",
        help="ids of the tokens 1 to 6 of an endpoint's model, so that vLLM returns exactly these",
    )
    group.add_argument(
        "--key-variable",
        metavar="NAME",
        help="the environment variable with an endpoint's API key (default: DEITA_ENDPOINT_KEY)",
    )


def add_despite_health(parser: argparse.ArgumentParser) -> None:
    """--despite-health."""
    parser.add_argument(
        "--despite-health",
        action="store_true",
        help="go on with a scorer that looks hopeless after the first hundred turns",
    )


def model_options_of(options: argparse.Namespace) -> ModelOptions:
    """What was chosen; ModelError for a value out of range."""
    return ModelOptions(
        device=options.device,
        precision=options.precision,
        batch_tokens=options.batch_tokens,
        max_tokens=options.max_tokens,
        api=options.api,
        requests=options.requests,
        digit_ids=_digit_ids(options.digit_ids),
        key_variable=options.key_variable,
    )


def _digit_ids(given: str | None) -> tuple[int, ...] | None:
    if given is None:
        return None
    try:
        return tuple(int(one) for one in given.split(","))
    except ValueError as error:
        raise ModelError(f"--digit-ids takes six whole numbers with commas, got {given}") from error
