"""The options of the command line: groups that several commands share, and how they are read.

A group is a dataclass. A command takes it as one parameter, and `grouped` spreads it into options.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from typer import Argument, BadParameter, Option

from deita_core.errors import FormatError, ModelError, PathError, SelectionError
from deita_core.formats.read import LAYOUTS
from deita_core.formats.read.layout import Mapping
from deita_core.formats.write import EXPORT_FORMATS
from deita_core.models.options import APIS, PRECISIONS, ModelOptions
from deita_core.project import Project
from deita_core.project.folder import path_of, projects_folder
from deita_core.selection.rule import SelectionRule
from deita_core.selection.rule_parts import CONDITION_COLUMNS, Condition, Quota


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer takes it: with the fields of its groups as parameters of its own."""
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        if is_dataclass(hint := hints[name]) and isinstance(hint, type):
            groups[name] = hint
            parameters += inspect.signature(hint, eval_str=True).parameters.values()
        else:
            parameters.append(parameter.replace(annotation=hint))

    def run(**values: Any) -> None:
        made = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**values, **made)

    run.__doc__ = command.__doc__
    keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    run.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    return run


def value(metavar: str, help: str) -> Any:
    """An option that takes a value."""
    return Option(metavar=metavar, help=help)


def flag(name: str, help: str) -> Any:
    """An option that is there or not."""
    return Option(name, help=help)


def choice(*known: str, help: str) -> Any:
    """An option that takes one of these names."""

    def parse(text: str) -> str:
        if text not in known:
            raise BadParameter(f"{text!r} is not one of {', '.join(known)}")
        return text

    return Option(parser=parse, metavar=f"[{'|'.join(known)}]", help=help)


def repeated(metavar: str, help: str) -> Any:
    """An option that may be given several times; without it the list is empty."""
    help += "; may be repeated"
    return Option(metavar=metavar, help=help, default_factory=list, show_default=False)


_FILES = Argument(
    metavar="FILE", help="files of the pool", default_factory=list, show_default=False
)
Quiet = Annotated[bool, flag("--quiet", "no progress bars")]
Out = Annotated[Path, value("FILE", "the file to write")]
ExportFormat = Annotated[str, choice(*EXPORT_FORMATS, help="how the file is written")]
License = Annotated[str, value("ID", "for the dataset card, as the hub writes it")]
Embedder = Annotated[str, value("NAME", "the embedder")]


@dataclass(frozen=True, kw_only=True)
class ProjectOptions:
    """Which project, and how a command works on it."""

    project: Annotated[
        Path | None,
        value(
            "FILE",
            "the project file, made when missing (default: default.duckdb in the folder of "
            "projects; for `run`, beside --out)",
        ),
    ] = None
    quiet: Quiet = False
    wait: Annotated[float, value("SECONDS", "for another process that has the project open")] = 0.0

    def opened(self, *, create: bool = False) -> Project:
        """The project; closed by leaving it as a context."""
        path = self.project or path_of(projects_folder(), "default")
        return Project.open(path, create=create, wait=self.wait)


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """The files of a pool."""

    files: Annotated[list[Path], _FILES]
    hub: Annotated[
        str | None, value("OWNER/NAME", "also a dataset of the Hugging Face hub (needs network)")
    ] = None
    split: Annotated[str, value("NAME", "of that dataset")] = "train"


@dataclass(frozen=True, kw_only=True)
class MappingOptions:
    """How to read records instead of detecting it."""

    layout: Annotated[str | None, choice(*LAYOUTS, help="how to read the records")] = None
    column: Annotated[
        list[str],
        repeated("OURS=THEIRS", "a field's name in the file, e.g. --column instruction=question"),
    ]
    role: Annotated[
        list[str], repeated("THEIRS=OURS", "a role's name in the file, e.g. --role Benutzer=user")
    ]

    def mapping(self) -> Mapping | None:
        """The mapping that was asked for, or None to detect it.

        Raises FormatError for a field or role without a layout, or not of the form NAME=NAME.
        """
        if not (self.layout or self.column or self.role):
            return None
        if not self.layout:
            raise FormatError("--column and --role need --layout: name the layout they belong to")
        return Mapping(self.layout, _pairs(self.column, "--column"), _pairs(self.role, "--role"))


def _pairs(given: Sequence[str], option: str) -> dict[str, str]:
    pairs = {}
    for text in given:
        left, equals, right = text.partition("=")
        if not (left and equals):
            raise FormatError(f"{option} takes NAME=NAME (or NAME= for none), got {text!r}")
        pairs[left] = right
    return pairs


@dataclass(frozen=True, kw_only=True)
class ScorerOptions:
    """The scorers of a pool."""

    complexity: Annotated[str, value("NAME", "complexity scorer")] = "light"
    quality: Annotated[str, value("NAME", "quality scorer")] = "light"
    despite_health: Annotated[
        bool, flag("--despite-health", "go on with a scorer that looks hopeless after 100 turns")
    ] = False


@dataclass(frozen=True, kw_only=True)
class RunningOptions:
    """How models run; the light scorers, MiniLM and scorers of your own choose for themselves."""

    device: Annotated[
        str | None, value("NAME", "cpu, cuda, cuda:1 or mps (default: the best one here)")
    ] = None
    precision: Annotated[
        str | None, choice(*PRECISIONS, help="default: bf16 where the device has it")
    ] = None
    batch_tokens: Annotated[int | None, value("N", "most tokens at once (default: found out)")] = (
        None
    )
    max_tokens: Annotated[int | None, value("N", "longest prompt; longer ones are cut")] = None
    api: Annotated[str | None, choice(*APIS, help="of an endpoint (default: completions)")] = None
    requests: Annotated[int | None, value("N", "to an endpoint at once (default: 16)")] = None
    digit_ids: Annotated[
        str | None,
        value(
            "A,B,C,D,E,F",
            "ids of the tokens 1 to 6 of an endpoint's model, so that vLLM returns exactly these",
        ),
    ] = None
    key_variable: Annotated[
        str | None,
        value("NAME", "variable with an endpoint's API key (default: DEITA_ENDPOINT_KEY)"),
    ] = None

    def options(self) -> ModelOptions:
        """What was chosen; ModelError for a value out of range."""
        return ModelOptions.from_json({**vars(self), "digit_ids": self._digit_ids()})

    def _digit_ids(self) -> tuple[int, ...] | None:
        if self.digit_ids is None:
            return None
        try:
            return tuple(int(one) for one in self.digit_ids.split(","))
        except ValueError as error:
            raise ModelError(
                f"--digit-ids takes six whole numbers with commas, got {self.digit_ids}"
            ) from error


@dataclass(frozen=True, kw_only=True)
class RuleOptions:
    """Everything that decides which rows are selected."""

    budget: Annotated[int | None, value("N", "conversations to keep at most (default: all)")] = None
    budget_tokens: Annotated[
        int | None, value("N", "tokens to keep at most; ends at the first row that would go over")
    ] = None
    threshold: Annotated[
        float, value("T", "cosine similarity above which a row is too close to a kept one")
    ] = 0.9
    aggregation: Annotated[
        str,
        choice(
            *("sum", "mean", "max", "last"),
            help="how the turns' complexity x quality make a conversation's evol score (sum is "
            "the paper's; it favours long chats)",
        ),
    ] = "sum"
    complexity_weight: Annotated[
        float, value("POWER", "complexity is raised to this power; 0 leaves it out")
    ] = 1.0
    quality_weight: Annotated[float, value("POWER", "the same for quality")] = 1.0
    strategy: Annotated[
        str,
        value(
            "NAME",
            "repr_filter, top_score, random, longest_response, longest_instruction, k_center, "
            "facility_location (needs `graph`), semdedup, nemo_curator (need `graph`), distilabel",
        ),
    ] = "repr_filter"
    seed: Annotated[int, value("N", "for random")] = 0
    include_no_response: Annotated[
        bool,
        flag(
            "--include-no-response",
            "also rank conversations without any response, by complexity alone",
        ),
    ] = False
    language: Annotated[list[str], repeated("CODE", "keep only this language")]
    source: Annotated[list[str], repeated("FILE", "keep only this pool file")]
    without_flag: Annotated[list[str], repeated("FLAG", "leave out rows with this flag")]
    where: Annotated[
        list[str],
        repeated(
            "COLUMN=LOW..HIGH",
            "keep only rows with this column in these bounds, either of which may be left out: "
            f"{', '.join(CONDITION_COLUMNS)}",
        ),
    ]
    quota: Annotated[
        list[str],
        repeated(
            "COLUMN:NAME=N",
            "keep at most N rows (or N% of the budget) with this source, language, cluster or "
            "flag; the name * is each of them by itself",
        ),
    ]
    pin: Annotated[list[str], repeated("ID", "always keep this row (@FILE: one id a line)")]
    exclude: Annotated[list[str], repeated("ID", "never keep this row (@FILE: one id a line)")]
    with_choices: Annotated[
        bool, flag("--with-choices", "also pin and exclude what was pinned and excluded in the app")
    ] = False
    pin_place: Annotated[
        str, choice("first", "rank", help="pins come before all others, or where they rank")
    ] = "first"

    def rule(self) -> SelectionRule:
        """The rule; SelectionError or PathError for what cannot be read or is out of range."""
        if self.budget is not None and self.budget_tokens is not None:
            raise BadParameter("--budget and --budget-tokens cannot be given together")
        in_tokens = self.budget_tokens is not None
        return SelectionRule(
            strategy=self.strategy,
            threshold=self.threshold,
            budget=self.budget_tokens if in_tokens else self.budget,
            budget_unit="tokens" if in_tokens else "rows",
            aggregation=self.aggregation,
            complexity_weight=self.complexity_weight,
            quality_weight=self.quality_weight,
            include_no_response=self.include_no_response,
            languages=tuple(self.language),
            sources=tuple(self.source),
            excluded_flags=tuple(self.without_flag),
            seed=self.seed,
            conditions=tuple(map(condition_of, self.where)),
            quotas=tuple(map(quota_of, self.quota)),
            pinned=ids_of(self.pin),
            excluded=ids_of(self.exclude),
            pin_place="rank" if self.pin_place == "rank" else "first",
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
    if number is None or not number.is_integer():
        raise SelectionError(f"--quota {text}: the number of rows must be whole")
    return Quota(column, name, most=int(number))


def _number(text: str, whole: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise SelectionError(f"{text!r} in {whole!r} is not a number") from None


def ids_of(given: Sequence[str]) -> tuple[str, ...]:
    """Ids as given, and those of each @FILE: one a line, empty lines and # comments left out.

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
