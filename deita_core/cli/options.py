"""The command line's options for models: which ones, and how they run.

The options of the command line that make a selection rule.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from deita_core.errors import ModelError, PathError, SelectionError
from deita_core.models.options import APIS, PRECISIONS, ModelOptions
from deita_core.selection.rule import SelectionRule
from deita_core.selection.rule_parts import CONDITION_COLUMNS, Condition, Quota


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


def add_rule_options(parser: argparse.ArgumentParser) -> None:
    """Everything that decides which rows are selected."""
    _add_ranking(parser)
    _add_filters(parser)
    _add_choices(parser)


def _add_ranking(parser: argparse.ArgumentParser) -> None:
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--budget", type=int, help="conversations to keep at most (default: all)")
    budget.add_argument(
        "--budget-tokens",
        type=int,
        metavar="N",
        help="tokens to keep at most; ends at the first row that would go over it",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.9,
        help="cosine similarity above which a row is too close to a kept one (default: 0.9, "
        "which is cosine distance 0.1)",
    )
    parser.add_argument(
        "--aggregation",
        choices=("sum", "mean", "max", "last"),
        default="sum",
        help="how the turns' complexity x quality make a conversation's evol score "
        "(default: sum, the paper's; it favours long chats)",
    )
    for dimension in ("complexity", "quality"):
        parser.add_argument(
            f"--{dimension}-weight",
            type=float,
            default=1.0,
            metavar="POWER",
            help=f"{dimension} is raised to this power in a turn's score; 0 leaves it out "
            "(default: 1, the paper's)",
        )
    parser.add_argument(
        "--strategy",
        default="repr_filter",
        metavar="NAME",
        help="repr_filter (default), top_score, random, longest_response, longest_instruction, "
        "k_center, facility_location (needs `graph`), semdedup, nemo_curator (need `graph`), "
        "distilabel",
    )
    parser.add_argument("--seed", type=int, default=0, help="for random (default: 0)")


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--include-no-response",
        action="store_true",
        help="also rank conversations without any response, by complexity alone",
    )
    parser.add_argument("--language", action="append", default=[], help="keep only this language")
    parser.add_argument("--source", action="append", default=[], help="keep only this pool file")
    parser.add_argument(
        "--without-flag", action="append", default=[], metavar="FLAG", help="leave out this flag"
    )
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="COLUMN=LOW..HIGH",
        help="keep only rows with this column in these bounds, either of which may be left out: "
        f"{', '.join(CONDITION_COLUMNS)}; may be repeated",
    )
    parser.add_argument(
        "--quota",
        action="append",
        default=[],
        metavar="COLUMN:NAME=N",
        help="keep at most N rows (or N%% of the budget) with this source, language, cluster or "
        "flag; the name * is each of them by itself; may be repeated",
    )


def _add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pin",
        action="append",
        default=[],
        metavar="ID",
        help="always keep this conversation (@FILE: one id a line); may be repeated",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="ID",
        help="never keep this conversation (@FILE: one id a line); may be repeated",
    )
    parser.add_argument(
        "--with-choices",
        action="store_true",
        help="also pin and exclude what was pinned and excluded in the app",
    )
    parser.add_argument(
        "--pin-place",
        choices=("first", "rank"),
        default="first",
        help="pinned conversations come before all others (first, the default), or where their "
        "score puts them (rank)",
    )


def rule_of(options: argparse.Namespace) -> SelectionRule:
    """The selection rule given by the options."""
    in_tokens = options.budget_tokens is not None
    return SelectionRule(
        strategy=options.strategy,
        threshold=options.threshold,
        budget=options.budget_tokens if in_tokens else options.budget,
        budget_unit="tokens" if in_tokens else "rows",
        aggregation=options.aggregation,
        complexity_weight=options.complexity_weight,
        quality_weight=options.quality_weight,
        include_no_response=options.include_no_response,
        languages=tuple(options.language),
        sources=tuple(options.source),
        excluded_flags=tuple(options.without_flag),
        seed=options.seed,
        conditions=tuple(map(condition_of, options.where)),
        quotas=tuple(map(quota_of, options.quota)),
        pinned=ids_of(options.pin),
        excluded=ids_of(options.exclude),
        pin_place=options.pin_place,
    )


def condition_of(text: str) -> Condition:
    """COLUMN=LOW..HIGH, e.g. complexity=2..4.5, turns=2.., tokens=..2048."""
    column, equals, bounds = text.partition("=")
    low, dots, high = bounds.partition("..")
    if not (equals and dots):
        raise SelectionError(
            f"--where takes COLUMN=LOW..HIGH, e.g. complexity=2..4.5 or tokens=..2048, got {text!r}"
        )
    return Condition(column, _number(low, text), _number(high, text))


def quota_of(text: str) -> Quota:
    """COLUMN:NAME=N, or N% of the budget, e.g. source:alpaca.json=2000, language:*=20%."""
    named, equals, most = text.rpartition("=")
    column, colon, name = named.partition(":")
    if not (equals and colon and most):
        raise SelectionError(
            "--quota takes COLUMN:NAME=N or N%, e.g. source:alpaca.json=2000 or language:*=20%, "
            f"got {text!r}"
        )
    if most.endswith("%"):
        share = _number(most.removesuffix("%"), text)
        return Quota(column, name, share=None if share is None else share / 100)
    number = _number(most, text)
    if number is None or number != int(number):
        raise SelectionError(f"--quota {text}: the number of rows must be whole")
    return Quota(column, name, most=int(number))


def ids_of(given: Sequence[str]) -> tuple[str, ...]:
    """Ids as given, those of @FILE (one a line; empty lines and # comments do not count) too.

    Raises PathError when a file cannot be read.
    """
    ids: dict[str, None] = {}
    for one in given:
        if not one.startswith("@"):
            ids[one] = None
            continue
        path = Path(one[1:]).expanduser()
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise PathError(f"cannot read the ids in {path}: {error}") from error
        ids |= dict.fromkeys(x.strip() for x in lines if x.strip() and not x.startswith("#"))
    return tuple(ids)


def _number(text: str, whole: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise SelectionError(f"{text!r} in {whole!r} is not a number") from None
