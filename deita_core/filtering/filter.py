"""A filter: parts that a row must all pass, and the short text that stands for them.

The text is what addresses, saved views and the command line carry:

    quality=4..;language=de,fr;flag!=refusal;record.title~bread;search="sour dough" /ry[e]/

Parts stand between semicolons, names of a part between commas. A backslash takes the next
character as it is, so any name and any text comes back as it was.

| part | rows that pass |
| --- | --- |
| `COLUMN=LOW..HIGH` | with a value in these bounds, either of which may be left out |
| `COLUMN=A,B`, `COLUMN!=A,B` | with one of these names, with none of them |
| `COLUMN~TEXT`, `COLUMN!~TEXT` | whose value contains the text, ignoring case; or does not |
| `search=WORDS` | whose messages hold all of these (`filtering.search`) |
| `meaning=A,B@LEAST#MOST` | close to one of these texts: at least so close, the closest so many |
| `like=ID,ID@LEAST#MOST` | the same, close to one of these conversations |
| `where=SQL` | for which this condition is true (`filtering.sql`) |
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, model_validator

from deita_core.errors import FilterError
from deita_core.filtering.search import parse_query

MOST_PARTS: Final = 40
LONGEST: Final = 20_000
MOST_EXAMPLES: Final = 50
# Without a bound of one's own, this many of the closest rows pass.
USUAL_MOST: Final = 100

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Text = Annotated[StrictStr, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _in_our_words(type(self).__name__, error) from None


def _in_our_words(part: str, error: ValidationError) -> FilterError:
    problem = error.errors()[0]
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, FilterError):
        return cause
    where = ".".join(map(str, problem["loc"])) or part
    return FilterError(
        f"{where} of a filter is not as it must be: {problem['msg']}, got {problem['input']!r}"
    )


class Bounds(_Part):
    """Rows with a value from `low` to `high`, both inclusive, in a column of numbers."""

    kind: Literal["bounds"] = "bounds"
    column: Text
    low: Number | None = None
    high: Number | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> Self:
        if self.low is None and self.high is None:
            raise _as_value_error(f"{self.column}=.. has no bound: give a lowest or a highest")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise _as_value_error(
                f"{self.column} from {self.low:g} to {self.high:g} lets no row through: swap them"
            )
        return self

    def describe(self) -> str:
        """In plain words: "quality 4 to 5"."""
        column = column_text(self.column)
        if self.low is None:
            return f"{column} at most {self.high:,.12g}"
        if self.high is None:
            return f"{column} at least {self.low:,.12g}"
        return f"{column} {self.low:,.12g} to {self.high:,.12g}"


class OneOf(_Part):
    """Rows with one of these names in a column of names; `without`: with none of them."""

    kind: Literal["one of"] = "one of"
    column: Text
    names: Texts
    without: bool = False

    def describe(self) -> str:
        """In plain words: "language de or fr"."""
        names = " or ".join(self.names)
        return f"{'not ' if self.without else ''}{column_text(self.column)} {names}"


class Contains(_Part):
    """Rows whose value contains the text, ignoring case; `without`: those whose does not."""

    kind: Literal["contains"] = "contains"
    column: Text
    text: Text
    without: bool = False

    def describe(self) -> str:
        """In plain words: "title with “bread”"."""
        verb = "without" if self.without else "with"
        return f"{column_text(self.column)} {verb} “{self.text}”"


class Search(_Part):
    """Rows whose messages hold every word, phrase and expression of the query."""

    kind: Literal["search"] = "search"
    query: Text

    @model_validator(mode="after")
    def _readable(self) -> Self:
        try:
            parse_query(self.query)
        except FilterError as error:
            raise _as_value_error(str(error)) from None
        return self

    def describe(self) -> str:
        """In plain words."""
        return f"contains {self.query}"


class Near(_Part):
    """Rows close to one of these texts, or of these conversations, under the pool's embedder.

    least: a cosine similarity. most: only the closest so many rows. Without both, the closest
    `USUAL_MOST`.
    """

    kind: Literal["near"] = "near"
    texts: tuple[Text, ...] = ()
    ids: tuple[Text, ...] = ()
    least: Annotated[float, Field(strict=True, ge=-1, le=1)] | None = None
    most: Annotated[int, Field(strict=True, ge=1)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if bool(self.texts) == bool(self.ids):
            raise _as_value_error("closeness is to texts or to conversations: give one of the two")
        if (number := len(self.texts) + len(self.ids)) > MOST_EXAMPLES:
            raise _as_value_error(f"{number} examples are too many: give {MOST_EXAMPLES} at most")
        return self

    @property
    def limit(self) -> int | None:
        """How many rows pass at most."""
        return USUAL_MOST if self.most is None and self.least is None else self.most

    def describe(self) -> str:
        """In plain words: "about “baking bread”, the closest 100"."""
        said = self.texts or self.ids
        what = f"“{said[0][:60]}”" if self.texts else said[0][:8]
        if len(said) > 1:
            what = f"{len(said)} {'examples' if self.texts else 'rows'}"
        parts = [f"{'about' if self.texts else 'like'} {what}"]
        if self.least is not None:
            parts.append(f"similarity at least {self.least:g}")
        if self.limit is not None:
            parts.append(f"the closest {self.limit:,}")
        return ", ".join(parts)


class Where(_Part):
    """Rows for which a condition in SQL is true; read by DuckDB when it is applied."""

    kind: Literal["where"] = "where"
    sql: Text

    def describe(self) -> str:
        """The line itself."""
        return f"WHERE {self.sql}"


Part = Bounds | OneOf | Contains | Search | Near | Where


class Filter(_Part):
    """Parts that a row must all pass; without any, every row does."""

    parts: tuple[Annotated[Part, Field(discriminator="kind")], ...] = ()

    @model_validator(mode="after")
    def _few(self) -> Self:
        if len(self.parts) > MOST_PARTS:
            raise _as_value_error(f"{len(self.parts)} parts: a filter has at most {MOST_PARTS}")
        return self

    def __bool__(self) -> bool:
        return bool(self.parts)

    def and_(self, *more: Part) -> Filter:
        """The filter with these parts too; one that is there already is not put in again."""
        return Filter(parts=tuple(dict.fromkeys((*self.parts, *more))))

    def without(self, part: Part) -> Filter:
        """The filter without this part."""
        return Filter(parts=tuple(one for one in self.parts if one != part))

    def to_text(self) -> str:
        """The short text, which `parse_filter` reads back."""
        return ";".join(map(_written, self.parts))

    def describe(self) -> str:
        """In plain words, as one phrase; "all rows" for none."""
        return "; ".join(part.describe() for part in self.parts) or "all rows"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A filter read from a text. problems: a sentence for each part that cannot be read."""

    filter: Filter
    problems: tuple[str, ...]

    def strict(self) -> Filter:
        """The filter; FilterError when a part could not be read."""
        if self.problems:
            raise FilterError("; ".join(self.problems))
        return self.filter


def parse_filter(text: str) -> Parsed:
    """The filter of a short text; what cannot be read is said and left out."""
    if len(text) > LONGEST:
        said = f"the filter has {len(text):,} characters: {LONGEST:,} at most are read"
        return Parsed(Filter(), (said,))
    parts: list[Part] = []
    problems: list[str] = []
    for written in _split(text, ";"):
        if not written.strip():
            continue
        try:
            parts.append(_read(_trimmed(written)))
        except FilterError as error:
            problems.append(str(error))
    if len(parts) > MOST_PARTS:
        problems.append(f"{len(parts)} parts: a filter has at most {MOST_PARTS}")
    return Parsed(Filter(parts=tuple(dict.fromkeys(parts[:MOST_PARTS]))), tuple(problems))


def column_text(column: str) -> str:
    """A column's name for people: "evol score", "title" for `record.title`."""
    return column.removeprefix("record.").replace("_", " ")


# the short text

_RESERVED: Final = ("search", "meaning", "like", "where")
_SIGN = re.compile(r"(?:[^\\=!~]|\\.)*?(!=|!~|=|~)", re.DOTALL)


def _as_value_error(text: str) -> Exception:
    """What pydantic passes on: a ValueError that carries ours."""
    return _CarriedError(text)


class _CarriedError(FilterError, ValueError):
    """A FilterError inside of a validator."""


def _written(part: Part) -> str:
    match part:
        case Bounds():
            low, high = (repr(x) if x is not None else "" for x in (part.low, part.high))
            return f"{_quoted(part.column)}={_short(low)}..{_short(high)}"
        case OneOf():
            names = ",".join(_quoted(name).replace("..", r"\.\.") for name in part.names)
            return f"{_quoted(part.column)}{'!=' if part.without else '='}{names}"
        case Contains():
            return f"{_quoted(part.column)}{'!~' if part.without else '~'}{_quoted(part.text)}"
        case Search():
            return f"search={_quoted(part.query)}"
        case Where():
            return f"where={_quoted(part.sql)}"
        case Near():
            given = ",".join(map(_quoted, part.texts or part.ids))
            least = "" if part.least is None else f"@{_short(repr(part.least))}"
            most = "" if part.most is None else f"#{part.most}"
            return f"{'meaning' if part.texts else 'like'}={given}{least}{most}"


def _short(number: str) -> str:
    return number.removesuffix(".0")


def _quoted(text: str) -> str:
    """The text with a backslash before what would end it, blanks at its ends among that."""
    return re.sub(r"\A\s|\s\Z|[\\;,=!~@#]", lambda found: "\\" + found[0], text)


def _trimmed(text: str) -> str:
    """Without blanks around it, but for one with a backslash before it."""
    text = text.lstrip()
    cut = text.rstrip()
    backslashes = len(cut) - len(cut.rstrip("\\"))
    return text[: len(cut) + backslashes % 2]


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _split(text: str, sign: str) -> list[str]:
    """The text at each sign that has no backslash before it."""
    parts, start, place = [], 0, 0
    while place < len(text):
        if text[place] == "\\":
            place += 1
        elif text[place] == sign:
            parts.append(text[start:place])
            start = place + 1
        place += 1
    return [*parts, text[start:]]


def _read(written: str) -> Part:
    found = _SIGN.match(written)
    if not found:
        raise FilterError(
            f"a part of a filter is COLUMN=LOW..HIGH, COLUMN=NAME, COLUMN~TEXT or one of "
            f"{', '.join(f'{key}=' for key in _RESERVED)}, got {_plain(written)!r}"
        )
    sign, value = found[1], written[found.end() :]
    column = _plain(_trimmed(written[: found.start(1)]))
    without = sign.startswith("!")
    if column in _RESERVED:
        if sign != "=":
            raise FilterError(f"{column} takes =, got {sign} in {_plain(written)!r}")
        return _read_reserved(column, value)
    if sign.endswith("~"):
        return Contains(column=column, text=_plain(value), without=without)
    low, dots, high = _bounds(value)
    if dots and not without:
        return Bounds(column=column, low=_number(low, column), high=_number(high, column))
    return OneOf(column=column, names=tuple(_names(value)), without=without)


def _bounds(value: str) -> tuple[str, str, str]:
    """What stands before and after two points without a backslash before them."""
    found = re.fullmatch(r"((?:[^\\.]|\\.|\.(?!\.))*)(\.\.)(.*)", value, re.DOTALL)
    return (found[1], found[2], found[3]) if found else ("", "", "")


def _read_reserved(key: str, value: str) -> Part:
    if key == "search":
        return Search(query=_plain(value))
    if key == "where":
        return Where(sql=_plain(value))
    value, *most = _split(value, "#")
    value, *least = _split(value, "@")
    if len(most) > 1 or len(least) > 1:
        raise FilterError(
            f"{key}= has one @LEAST and one #MOST: write \\@ and \\# inside of a text"
        )
    bounds: dict[str, Any] = {}
    if least:
        bounds["least"] = _number(least[0], key)
    if most:
        bounds["most"] = _whole(most[0], key)
    given = tuple(_names(value))
    return Near(texts=given, **bounds) if key == "meaning" else Near(ids=given, **bounds)


def _names(value: str) -> Iterable[str]:
    return (_plain(_trimmed(name)) for name in _split(value, ","))


def _number(text: str, column: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise FilterError(f"{text!r} of {column} is not a number") from None


def _whole(text: str, column: str) -> int:
    if not text.isdecimal():
        raise FilterError(f"#{text} of {column} is not a whole number of rows")
    return int(text)
