"""The options of the command line: groups that several commands share, and how they are read.

A group is a dataclass. A command takes it as one parameter, and `grouped` spreads it into options.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from typer import Argument, BadParameter, Option

from deita_core.errors import FilterError, FormatError, ModelError, PathError, SelectionError
from deita_core.filtering.filter import Filter, Near, Part, Search, Where, parse_filter
from deita_core.formats.read import LAYOUTS
from deita_core.formats.read.layout import Mapping
from deita_core.formats.write import EXPORT_FORMATS
from deita_core.models.options import APIS, PRECISIONS, ModelOptions
from deita_core.project import Project
from deita_core.project.browse import id_of
from deita_core.project.folder import path_of, projects_folder
from deita_core.project.views import find_view
from deita_core.selection.rule import CONDITION_COLUMNS, Closeness, Condition, Quota, SelectionRule


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer takes it: with the fields of its groups as parameters of its own."""
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    hints = get_type_hints(command)
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


def value(default: Any, metavar: str, help: str) -> Any:
    """An option that takes a value; `...` for one that must be given."""
    return Option(default, metavar=metavar, help=help)


def flag(name: str, help: str) -> Any:
    """An option that is there or not."""
    return Option(False, name, help=help)


def choice(default: Any, known: Iterable[str], help: str) -> Any:
    """An option that takes one of these names; `...` for one that must be given."""
    names = tuple(known)

    def parse(text: str) -> str:
        if text not in names:
            raise BadParameter(f"{text!r} is not one of {', '.join(names)}")
        return text

    return Option(default, parser=parse, metavar=f"[{'|'.join(names)}]", help=help)


def repeated(metavar: str, help: str) -> Any:
    """An option that may be given several times; without it the list is empty."""
    help += "; may be repeated"
    return Option(default_factory=list, metavar=metavar, help=help, show_default=False)


QUIET: Any = flag("--quiet", "no progress bars")
OUT: Any = value(..., "FILE", "the file to write")
JSON: Any = flag("--json", "JSON instead of sentences")
FORCE: Any = flag("--force", "overwrite the file to write if it exists")
EXPORT_FORMAT: Any = choice("sharegpt", EXPORT_FORMATS, "how the file is written")
LICENSE: Any = value("other", "ID", "for the dataset card, as the hub writes it")
EMBEDDER: Any = value("minilm", "NAME", "the embedder")


@dataclass(frozen=True, kw_only=True)
class ProjectOptions:
    """Which project, and how a command works on it."""

    project: Path | None = value(
        None,
        "FILE",
        "the project file, made when missing (default: default.duckdb in the folder of projects; "
        "for `run`, beside --out)",
    )
    quiet: bool = QUIET
    wait: float = value(0.0, "SECONDS", "for another process that has the project open")

    @property
    def path(self) -> Path:
        """The project's file."""
        return (self.project or path_of(projects_folder(), "default")).expanduser().resolve()

    def opened(self, *, create: bool = False) -> Project:
        """The project; closed by leaving it as a context."""
        return Project.open(self.path, create=create, wait=self.wait)


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """The files of a pool."""

    files: list[Path] = Argument(
        default_factory=list, metavar="FILE", help="files of the pool", show_default=False
    )
    hub: str | None = value(
        None, "OWNER/NAME", "also a dataset of the Hugging Face hub (needs network)"
    )
    split: str = value("train", "NAME", "of that dataset")


@dataclass(frozen=True, kw_only=True)
class MappingOptions:
    """How to read records instead of detecting it."""

    layout: str | None = choice(None, LAYOUTS, "how to read the records")
    column: list[str] = repeated(
        "OURS=THEIRS", "a field's name in the file, e.g. --column instruction=question"
    )
    role: list[str] = repeated(
        "THEIRS=OURS", "a role's name in the file, e.g. --role Benutzer=user"
    )

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

    complexity: str = value("light", "NAME", "complexity scorer")
    quality: str = value("light", "NAME", "quality scorer")
    despite_health: bool = flag(
        "--despite-health", "go on with a scorer that looks hopeless after the first hundred turns"
    )


@dataclass(frozen=True, kw_only=True)
class RunningOptions:
    """How models run; the light scorers, MiniLM and scorers of your own choose for themselves."""

    device: str | None = value(None, "NAME", "cpu, cuda, cuda:1 or mps (default: the best here)")
    precision: str | None = choice(None, PRECISIONS, "default: bf16 where the device has it")
    batch_tokens: int | None = value(None, "N", "most tokens at once on a GPU (default: found out)")
    max_tokens: int | None = value(None, "N", "longest prompt; longer ones are cut")
    api: str | None = choice(None, APIS, "of an endpoint (default: completions)")
    requests: int | None = value(None, "N", "to an endpoint at once (default: 16)")
    digit_ids: str | None = value(
        None,
        "A,B,C,D,E,F",
        "ids of the tokens 1 to 6 of an endpoint's model, so that vLLM returns exactly these",
    )
    key_variable: str | None = value(
        None, "NAME", "variable with an endpoint's API key (default: DEITA_ENDPOINT_KEY)"
    )

    def options(self) -> ModelOptions:
        """What was chosen; ModelError for a value out of range."""
        return ModelOptions.model_validate({**vars(self), "digit_ids": self._digit_ids()})

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

    budget: int | None = value(None, "N", "conversations to keep at most (default: all)")
    budget_tokens: int | None = value(
        None, "N", "tokens to keep at most; ends at the first row that would go over it"
    )
    threshold: float = value(
        0.9, "T", "cosine similarity above which a row is too close to a kept one"
    )
    aggregation: str = choice(
        "sum",
        ("sum", "mean", "max", "last"),
        "how the turns' complexity x quality make a conversation's evol score (sum is the "
        "paper's; it favours long chats)",
    )
    complexity_weight: float = value(
        1.0, "POWER", "complexity is raised to this power; 0 leaves it out"
    )
    quality_weight: float = value(1.0, "POWER", "the same for quality")
    strategy: str = value(
        "repr_filter",
        "NAME",
        "repr_filter, top_score, random, longest_response, longest_instruction, k_center, "
        "instag, ds2, distilabel; with `graph` also facility_location, qdit, car, mig, semdedup, "
        "nemo_curator",
    )
    seed: int = value(0, "N", "for random")
    include_no_response: bool = flag(
        "--include-no-response", "also rank rows without any response, by complexity alone"
    )
    language: list[str] = repeated("CODE", "keep only this language")
    source: list[str] = repeated("FILE", "keep only this pool file")
    without_flag: list[str] = repeated("FLAG", "leave out rows with this flag")
    where: list[str] = repeated(
        "COLUMN=LOW..HIGH",
        "keep only rows with this column in these bounds, either of which may be left out: "
        f"{', '.join(CONDITION_COLUMNS)}; or only those for which a condition in SQL is true",
    )
    quota: list[str] = repeated(
        "COLUMN:NAME=N",
        "keep at most N rows (or N% of the budget) with this source, language, cluster or flag; "
        "the name * is each of them by itself",
    )
    pin: list[str] = repeated("ID", "always keep this row (@FILE: one id a line)")
    exclude: list[str] = repeated("ID", "never keep this row (@FILE: one id a line)")
    with_choices: bool = flag(
        "--with-choices", "also pin and exclude what was so in the app or by verdicts"
    )
    pin_place: str = choice(
        "first", ("first", "rank"), "pins come before all others, or where they rank"
    )

    close_to: Path | None = value(
        None, "FILE", "score rows by closeness to these prompts, too, one a line (5 to 50 are good)"
    )
    closeness_weight: float = value(
        1.0, "POWER", "with --close-to: closeness is raised to this power"
    )

    def rule(self) -> SelectionRule:
        """The rule without its filter.

        SelectionError or PathError for what cannot be read or is out of range.
        """
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
            conditions=tuple(condition_of(one) for one in self.where if _is_condition(one)),
            quotas=tuple(map(quota_of, self.quota)),
            pinned=ids_of(self.pin),
            excluded=ids_of(self.exclude),
            pin_place="rank" if self.pin_place == "rank" else "first",
            closeness=self._closeness(),
        )

    def _closeness(self) -> Closeness | None:
        if self.close_to is None:
            return None
        return Closeness(tuple(dict.fromkeys(lines_of(self.close_to))), self.closeness_weight)

    @property
    def sql(self) -> tuple[str, ...]:
        """What was given to --where and is no bounds on a column."""
        return tuple(one for one in self.where if not _is_condition(one))


def _is_condition(where: str) -> bool:
    return re.match(r"\s*\w+\s*=[^=]*\.\.", where) is not None


@dataclass(frozen=True, kw_only=True)
class RowOptions:
    """Which rows of the pool are meant; all of what is given must hold."""

    view: str | None = value(None, "NAME", "the rows of this saved view")
    filter: list[str] = repeated(
        "PART",
        "only rows that pass it, e.g. quality=4.., language=de,fr, flag!=refusal, "
        "record.title~bread, status.first=kept",
    )
    search: str | None = value(
        None, "WORDS", 'only rows with all of these words, "phrases" and /expressions/'
    )
    meaning: list[str] = repeated("TEXT", "only the rows closest to this text in meaning")
    examples: Path | None = value(
        None, "FILE", "only the rows closest to these prompts, one a line (5 to 50 are good)"
    )
    like: list[str] = repeated("ROW", "only the rows closest to this one (its number or id)")
    least: float | None = value(None, "T", "for closeness: the lowest similarity that will do")
    most: int | None = value(None, "N", "for closeness: how many rows (default: 100)")

    def check(self) -> None:
        """Raises FilterError for what cannot be read, whatever is in the project."""
        parse_filter(";".join(self.filter)).strict()
        if self.search is not None:
            Search(query=self.search)

    def wanted(self, project: Project, sql: Sequence[str] = ()) -> Filter:
        """The filter, with these conditions in SQL.

        FilterError or ProjectError for what cannot be read or is not there.
        """
        saved = "" if self.view is None else find_view(project, self.view).filter
        found = parse_filter(";".join([saved, *self.filter])).strict()
        more: list[Part] = [Where(sql=one) for one in sql]
        if self.search is not None:
            more.append(Search(query=self.search))
        texts = (*self.meaning, *([] if self.examples is None else lines_of(self.examples)))
        if texts:
            more.append(Near(texts=tuple(dict.fromkeys(texts)), least=self.least, most=self.most))
        if self.like:
            ids = tuple(_id_of(project, one) for one in self.like)
            more.append(Near(ids=ids, least=self.least, most=self.most))
        if not (texts or self.like) and (self.least, self.most) != (None, None):
            raise FilterError("--least and --most need --meaning, --examples or --like")
        return found.and_(*more)


@dataclass(frozen=True, kw_only=True)
class FilterOptions(RowOptions):
    """The same, and one condition in SQL."""

    where: str | None = value(None, "SQL", "only rows for which this condition is true")

    def wanted(self, project: Project, sql: Sequence[str] = ()) -> Filter:
        """The filter; FilterError or ProjectError for what cannot be read or is not there."""
        given = () if self.where is None else (self.where,)
        return RowOptions.wanted(self, project, (*given, *sql))


def _id_of(project: Project, row: str) -> str:
    """The id of a row by its number; an id is itself."""
    return id_of(project, int(row)) if row.isdecimal() and len(row) < 12 else row


def lines_of(path: Path) -> tuple[str, ...]:
    """The lines of a file that are not empty; PathError when it cannot be read or has none."""
    try:
        lines = path.expanduser().read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError, RuntimeError) as error:
        raise PathError(f"cannot read the examples in {str(path)!r}: {error}") from error
    if found := tuple(line.strip() for line in lines if line.strip()):
        return found
    raise PathError(f"{path} has no examples: write one prompt a line")


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
        try:
            path = Path(one[1:]).expanduser()
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, ValueError, RuntimeError) as error:  # a zero byte, a home that is not
            raise PathError(f"cannot read the ids in {one[1:]!r}: {error}") from error
        ids |= dict.fromkeys(x.strip() for x in lines if x.strip() and not x.startswith("#"))
    return tuple(ids)


def print_json(found: Any) -> None:
    """What `JSON` asks for: one line, with null for what is no finite number."""
    print(json.dumps(_json_value(found), ensure_ascii=False))


def _json_value(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _json_value(one) for name, one in found.items()}
    if isinstance(found, list | tuple):
        return [_json_value(one) for one in found]
    if isinstance(found, np.ndarray):
        return _json_value(found.tolist())
    return None if isinstance(found, float) and not math.isfinite(found) else found
