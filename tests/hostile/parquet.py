"""Parquet files of every type, and some that lie."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as parquet

_ASKED = pa.array(["Why?", "Who?", "How?"])
_SAID = pa.array(["Because.", None, "So."])
_TIME = dt.datetime(9999, 12, 31, 23, 59, 59, 999999)


def _bytes(table: pa.Table, **options: Any) -> bytes:
    out = io.BytesIO()
    parquet.write_table(table, out, **options)
    return out.getvalue()


def _with(column: pa.Array | pa.ChunkedArray) -> bytes:
    """Two columns of texts, and this one."""
    return _bytes(pa.table({"instruction": _ASKED, "output": _SAID, "odd": column}))


def _as_text(column: pa.Array) -> bytes:
    """This column where a text should be."""
    return _bytes(pa.table({"instruction": column, "output": column}))


_STRUCT = pa.struct([("role", pa.string()), ("content", pa.string())])
_DEEP: Any = pa.string()
for _ in range(40):
    _DEEP = pa.list_(pa.struct([("a", _DEEP)]))

_ODD: dict[str, Callable[[], pa.Array]] = {
    "null": lambda: pa.nulls(3),
    "bool": lambda: pa.array([True, False, None]),
    "uint64": lambda: pa.array([2**64 - 1, 0, None], pa.uint64()),
    "int64": lambda: pa.array([-(2**63), 2**63 - 1, None]),
    "int8": lambda: pa.array([-128, 127, None], pa.int8()),
    "half": lambda: pa.array([1.5, float("nan"), None], pa.float16()),
    "double": lambda: pa.array([float("nan"), float("inf"), -0.0]),
    "decimal128": lambda: pa.array([Decimal("9" * 38), None, Decimal(-1)], pa.decimal128(38)),
    "decimal256": lambda: pa.array([Decimal("9" * 76), None, Decimal(-1)], pa.decimal256(76)),
    "binary": lambda: pa.array([b"\xff\0\xfe", b"", None]),
    "large binary": lambda: pa.array([b"\xff", b"", None], pa.large_binary()),
    "fixed binary": lambda: pa.array([b"\xff\0", b"ab", None], pa.binary(2)),
    "large text": lambda: pa.array(["a", "", None], pa.large_string()),
    "dates": lambda: pa.array([2**31 - 1, -(2**31), None], pa.int32()).cast(pa.date32()),
    "times": lambda: pa.array([dt.time(23, 59, 59, 999999), None, dt.time()], pa.time64("us")),
    "seconds": lambda: pa.array([2**40, -(2**40), None]).cast(pa.timestamp("s")),
    "nanoseconds": lambda: pa.array([2**63 - 1, -(2**63) + 1, None]).cast(pa.timestamp("ns")),
    "microseconds in a zone": lambda: pa.array([2**62, 0, None]).cast(pa.timestamp("us", "Asia/X")),
    "durations": lambda: pa.array([2**62, -(2**62), None]).cast(pa.duration("us")),
    "dictionary": lambda: pa.array(["a", "b", None]).dictionary_encode(),
    "list": lambda: pa.array([[1, None], [], None]),
    "fixed list": lambda: pa.array([[1, 2], [3, 4], None], pa.list_(pa.int8(), 2)),
    "struct": lambda: pa.array([{"a": {"b": [1]}}, None, {"a": None}]),
    "empty struct list": lambda: pa.array([[], None, [{"a": 1}]]),
    "map": lambda: pa.array([[("k", 1), ("k", 2)], [], None], pa.map_(pa.string(), pa.int64())),
    "map of bytes": lambda: pa.array(
        [[(b"\xff", None)], [], None], pa.map_(pa.binary(), pa.int8())
    ),
    "40 levels": lambda: pa.array([None, [], [{"a": None}]], _DEEP),
    "surrogates": lambda: pa.array([b"\xed\xa0\x80", b"\xff", b"a"]).view(pa.string()),
}
_TEXTS = (
    "null",
    "uint64",
    "double",
    "decimal256",
    "binary",
    "nanoseconds",
    "dictionary",
    "struct",
    "surrogates",
)


def _run_ends() -> bytes:
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["a", "b"]))
    table = pa.table({"instruction": _ASKED, "output": runs})
    try:
        return _bytes(table)
    except (pa.ArrowException, NotImplementedError):  # this Arrow cannot write them as they are
        return _bytes(table.set_column(1, "output", compute.run_end_decode(runs)))


def _pandas() -> bytes:
    """Metadata that names classes to load."""
    names = {b"pandas": json.dumps({"index_columns": [{"kind": "os.system"}], "columns": []})}
    names |= {b"ARROW:extension:name": "arrow.py_extension_type", b"x": b"\x80\x04cos\nsystem\n"}
    table = pa.table({"instruction": _ASKED, "output": _SAID})
    field = table.schema.field(0).with_metadata(
        {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": b"cos\n"}
    )
    return _bytes(
        table.cast(pa.schema([field, table.schema.field(1)])).replace_schema_metadata(names)
    )


def _messages() -> bytes:
    said = [[{"role": "user", "content": "a"}, {"role": "assistant", "content": None}], None, []]
    return _bytes(pa.table({"messages": pa.array(said, pa.list_(_STRUCT)), "tools": pa.nulls(3)}))


def _changed(at: int, to: bytes) -> bytes:
    whole = bytearray(_with(_ODD["list"]()))
    at = at if at >= 0 else len(whole) + at
    whole[at : at + len(to)] = to
    return bytes(whole)


def _bomb(rows: int, length: int) -> bytes:
    """A long text that a dictionary holds once and the rows a thousand times."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["x" * length])
    return _bytes(pa.table({"instruction": text, "output": text}), compression="zstd")


PARQUET: dict[str, Callable[[], bytes]] = {
    "text": lambda: _bytes(pa.table({"instruction": _ASKED, "output": _SAID})),
    "messages": _messages,
    "run ends": _run_ends,
    "pandas metadata": _pandas,
    **{name: (lambda made=made: _with(made())) for name, made in _ODD.items()},
    **{f"{name} as text": (lambda made=_ODD[name]: _as_text(made())) for name in _TEXTS},
    "no rows": lambda: _bytes(pa.table({"instruction": _ASKED[:0]})),
    "no columns": lambda: _bytes(pa.table({})),
    "names": lambda: _bytes(
        pa.table({"instruction": _ASKED, "'; DROP": _SAID, "": _ASKED, "a.b": _SAID})
    ),
    "names twice": lambda: _bytes(
        pa.Table.from_arrays([_ASKED, _SAID, _SAID], ["instruction", "output", "output"])
    ),
    "footer of 4 GB": lambda: _changed(-8, b"\xff\xff\xff\xff"),
    "footer of nothing": lambda: _changed(-8, b"\0\0\0\0"),
    "changed page": lambda: _changed(20, b"\xff" * 8),
    "changed footer": lambda: _changed(-60, b"\xff" * 8),
    "a bomb": lambda: _bomb(2_000, 1_000_000),
}
