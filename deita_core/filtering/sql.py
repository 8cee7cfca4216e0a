"""One condition in SQL over the pool, in a DuckDB of its own that can reach nothing else.

    quality > (SELECT avg(quality) FROM pool) AND language = 'de' AND len(flags) = 0

The line is parsed first and must be one condition: what it reads is `pool` alone, and its functions
are those of `FUNCTIONS`, which rules out files, settings, and values as large as one likes. It then
runs in memory, over the columns that it names, where files, the network and extensions are
switched off and the settings locked; after `SECONDS` it is interrupted.

The columns of `pool`: row, id, preview, text (all messages), original (the record's JSON), flags
and tags (lists), and the numbers and names of `filtering.columns`; the cluster is a number here.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import without_surrogates
from deita_core.errors import FilterError
from deita_core.filtering.columns import NUMBERS, PoolColumns

if TYPE_CHECKING:
    import pyarrow as pa

SECONDS: Final = 5.0
LONGEST: Final = 2_000
TEXTS: Final = {
    "id": "id",
    "preview": "preview",
    "original": "original",
    "text": "array_to_string(json_extract_string(messages, '$[*].content'), chr(10) || chr(10))",
}
COLUMNS: Final = (
    "row",
    *TEXTS,
    *NUMBERS,
    "language",
    "file",
    "cluster",
    "flags",
    "tags",
    "decision",
)
# What costs no more than its arguments; others could fill the memory (repeat), read a file
# (read_text) or a setting (current_setting).
_FUNCTIONS: Final = """
    + - * / // % ** ^ || ~~ !~~ ~~* !~~* ~~~ abs ceil floor round sign sqrt ln log log2 log10 exp
    pow power greatest least mod isnan isfinite length len strlen lower upper trim ltrim rtrim
    left right substring substr contains prefix suffix starts_with ends_with position strpos instr
    reverse concat ascii unicode levenshtein regexp_matches regexp_full_match regexp_extract
    like_escape ilike_escape not_like_escape not_ilike_escape list_contains list_has
    array_contains list_has_any list_has_all array_length list_position array_extract list_extract
    list_value json_extract json_extract_string -> ->> json_valid json_array_length json_type
    json_exists json_contains json_keys coalesce ifnull nullif if hash count count_star sum avg
    mean min max median quantile quantile_cont quantile_disc mode stddev stddev_samp stddev_pop
    variance var_samp var_pop any_value corr
"""
FUNCTIONS: Final = frozenset(_FUNCTIONS.split())
_BEFORE: Final = "SELECT row FROM pool WHERE "
_NO_CONDITION: Final = (
    "the line of SQL must be one condition, as in quality > 4 AND language = 'de': leave out what "
    "orders, groups, limits, joins or follows a semicolon"
)
_CONFIG: Final[dict[str, Any]] = {
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
    "memory_limit": "1GB",
    "threads": "2",
}


def where_mask(line: str, columns: PoolColumns, *, seconds: float = SECONDS) -> NDArray[np.bool_]:
    """Rows for which the condition is true: (n,) bool.

    line: the condition, with or without WHERE in front. Raises FilterError, with the position,
    for what cannot be read, is no condition, reads anything but the pool, or takes too long.
    """
    line = _condition(line)
    with _sandbox() as sandbox:
        named = _checked(line, sandbox)
        sandbox.register("pool", _pool(columns, named))
        sandbox.execute("SET lock_configuration = true")
        rows = _run(line, sandbox, seconds)
    mask = np.zeros(len(columns), np.bool_)
    mask[rows] = True
    return mask


def _condition(line: str) -> str:
    line = re.sub(r"\A\s*where\b", "", without_surrogates(line), flags=re.IGNORECASE).strip()
    line = line.removesuffix(";").strip()
    if not line:
        raise FilterError("the line of SQL is empty: write a condition, as in quality > 4")
    if len(line) > LONGEST:
        raise FilterError(f"the line of SQL has {len(line):,} characters: {LONGEST:,} at most")
    return line


@contextmanager
def _sandbox() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config=_CONFIG) as sandbox:
        yield sandbox


def _run(line: str, sandbox: duckdb.DuckDBPyConnection, seconds: float) -> NDArray[np.int64]:
    clock = threading.Timer(seconds, sandbox.interrupt)
    clock.start()
    try:
        # The line end closes a comment, so that it cannot swallow anything.
        found = sandbox.execute(f"{_BEFORE}{line}\n").fetchnumpy()["row"]
    except duckdb.InterruptException:
        raise FilterError(
            f"the line of SQL took more than {seconds:g} s and was stopped: make it simpler"
        ) from None
    except duckdb.OutOfMemoryException:
        raise FilterError(
            f"the line of SQL needs more than {_CONFIG['memory_limit']} of memory: make it simpler"
        ) from None
    except duckdb.Error as error:
        raise _problem(str(error), line) from None
    finally:
        clock.cancel()
    return np.asarray(found, np.int64)


def _problem(said: str, line: str) -> FilterError:
    """DuckDB's own words, with the place in the line that it points at."""
    first, _, rest = said.partition("\n\nLINE ")
    first = " ".join(re.sub(r"^[A-Z][\w ]*? Error: ", "", first).split())
    place = ""
    if shown := re.match(r"(\d+): (.*)\n( *)\^", rest):
        # DuckDB cuts long lines: what it shows is looked up in the line as it was.
        number, text, blanks = int(shown[1]), shown[2], len(shown[3])
        at = blanks - len(f"LINE {number}: ")
        whole = f"{_BEFORE}{line}".split("\n")[number - 1]
        text = text.removeprefix("...").removesuffix("...")
        at += max(whole.find(text), 0) - (3 if "..." in shown[2][:3] else 0)
        at += sum(len(one) + 1 for one in f"{_BEFORE}{line}".split("\n")[: number - 1])
        place = _at(at - len(_BEFORE), line)
    return FilterError(f"the line of SQL cannot be used{place}: {first}")


def _at(position: int, line: str) -> str:
    """ " at character 12 (“ann x”)"."""
    if not 0 <= position <= len(line):
        return ""
    shown = line[position : position + 20].strip()
    return f" at character {position + 1} ({f'“{shown}”' if shown else 'its end'})"


# what the line may be


def _checked(line: str, sandbox: duckdb.DuckDBPyConnection) -> set[str]:
    """The columns that the line names; FilterError where it is not one condition on the pool."""
    query = f"{_BEFORE}{line}\n"
    ((text,),) = sandbox.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
    tree = json.loads(text)
    if tree["error"]:
        if tree["error_type"] == "not implemented":  # it was read, and is not one SELECT
            raise FilterError(_NO_CONDITION)
        place = _at(int(tree.get("position") or -1) - len(_BEFORE), line)
        raise FilterError(f"the line of SQL cannot be read{place}: {tree['error_message']}")
    statements = tree["statements"]
    node = statements[0]["node"]
    extra = node["type"] != "SELECT_NODE" or any(
        node.get(part) for part in ("modifiers", "group_expressions", "having", "qualify", "sample")
    )
    if len(statements) != 1 or extra:
        raise FilterError(_NO_CONDITION)
    return set(_named(node, line))


def _named(node: Any, line: str) -> Iterator[str]:
    """The names of columns in a syntax tree; FilterError at what is not allowed in it."""
    if isinstance(node, list):
        for one in node:
            yield from _named(one, line)
    if not isinstance(node, dict):
        return
    kind, function = str(node.get("type", "")), node.get("function_name")
    place = _at(int(node.get("query_location") or 0) - len(_BEFORE), line)
    if kind == "BASE_TABLE" and node["table_name"].lower() != "pool":
        raise FilterError(f"a line of SQL reads pool alone, not {node['table_name']!r}{place}")
    if kind == "TABLE_FUNCTION" or (kind.endswith("_NODE") and kind != "SELECT_NODE"):
        raise FilterError(f"a line of SQL reads pool alone{place}: take the rest out")
    if node.get("class") in ("STAR", "LAMBDA", "WINDOW", "PARAMETER"):
        what = str(node["class"]).lower()
        raise FilterError(f"a line of SQL has no {what}{place}: name columns and functions")
    if function and function.lower() not in FUNCTIONS:
        raise FilterError(
            f"the function {function!r} cannot be used in a line of SQL{place}; those of numbers, "
            "texts, lists and JSON can, and aggregates in a subquery"
        )
    if node.get("class") == "COLUMN_REF":
        name = str(node["column_names"][-1]).lower()
        if name not in COLUMNS:
            raise FilterError(
                f"pool has no column {name!r}{place}; it has {', '.join(COLUMNS)}, and "
                "original->>'$.FIELD' for a field of the record"
            )
        yield name
    for one in node.values():
        yield from _named(one, line)


# the pool as a table


def _pool(columns: PoolColumns, named: set[str]) -> pa.Table:
    """The columns that are named, and `row`; the others would only take time."""
    import pyarrow as pa

    made: dict[str, Any] = {"row": pa.array(np.arange(len(columns)), pa.int32())}
    if wanted := [name for name in TEXTS if name in named]:
        asked = ", ".join(f"{TEXTS[name]} AS {name}" for name in wanted)
        query = f"SELECT {asked} FROM conversations ORDER BY row LIMIT {len(columns)}"  # noqa: S608 - only names of ours go in
        with columns.project.reading() as cursor:
            texts = cursor.sql(query).to_arrow_table()
        made |= {name: texts[name] for name in wanted}
    for name in NUMBERS:
        if name in named:
            values = columns[name].values
            made[name] = pa.array(values, mask=np.isnan(values))
    for name in ("language", "file", "decision"):
        if name in named:
            made[name] = _texts(columns[name].values, columns[name].names)
    if "cluster" in named:
        codes = columns["cluster"].values
        made["cluster"] = pa.array(codes, mask=codes < 0)
    for name, column in (("flags", "flag"), ("tags", "tag")):
        if name in named:
            made[name] = pa.array(columns[column].texts(), pa.list_(pa.string()))
    return pa.table(made)


def _texts(codes: NDArray[np.int32], names: tuple[str, ...]) -> Any:
    import pyarrow as pa

    places = pa.array(codes, mask=codes < 0)
    return pa.DictionaryArray.from_arrays(places, pa.array(names, pa.string())).cast(pa.string())
