"""At least 120 files that no careful program wrote: by "kind: name", made when asked for, seeded.

Each gives rows and rejects that add up, or one error of ours; nothing is downloaded. What stands in
`HEAVY` takes long to write or read and is left out of the short form.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import pickle
import random
import zipfile
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import zstandard

from tests.hostile.parquet import PARQUET
from tests.hostile.texts import HTML, NAMES, every_text, hostile_pool

Content = Callable[[], bytes]
GOOD = {"instruction": "Why?", "output": "Because."}
CHAT = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}
LINE = json.dumps(GOOD)
LINES = f"{LINE}\n{json.dumps({**GOOD, 'instruction': 'Who?'})}\n"
MEGABYTE = 1 << 20


def _fixed(content: str | bytes) -> Content:
    made = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return lambda: made


def _around(middle: str) -> Content:
    """Something between two good lines."""
    return _fixed(f"{LINE}\n{middle}\n{LINES}")


def _field(text: str) -> Content:
    """A good line that holds this JSON text in a field."""
    return _around(f'{{"instruction": "a", "output": "b", "n": {text}}}')


def cut() -> dict[str, Content]:
    """Good files that end, or begin, at a random place."""
    draw = random.Random(11)
    records = [{**GOOD, "instruction": f"{n} é 🌦"} for n in range(20)]
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerows([["instruction", "output"], *([str(n), 'a "b"\nc'] for n in range(20))])
    whole = {
        "json": json.dumps(records, ensure_ascii=False).encode(),
        "jsonl": "\n".join(json.dumps(r) for r in records).encode(),
        "csv": table.getvalue().encode(),
        "gz": gzip.compress(json.dumps(records).encode(), mtime=0),
        "zst": zstandard.compress(json.dumps(records).encode()),
        "parquet": PARQUET["text"](),
    }
    made: dict[str, Content] = {}
    for name, content in whole.items():
        for place in sorted(draw.sample(range(1, len(content)), 4)):
            made[f"cut: {name} at {place}"] = _fixed(content[:place])
        made[f"cut: {name} without its start"] = _fixed(content[draw.randrange(5, 40) :])
        damaged = bytearray(content)
        for _ in range(5):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        made[f"cut: {name} with five bytes changed"] = _fixed(bytes(damaged))
    return made


ENCODINGS = {
    "utf-8 with a mark": _fixed("\ufeff" + LINES),
    "a mark in the middle": _around("\ufeff" + LINE),
    "two marks": _fixed("\ufeff\ufeff" + LINES),
    "utf-16": lambda: LINES.encode("utf-16"),
    "utf-16 without a mark": lambda: LINES.encode("utf-16-le"),
    "utf-16, the other way round": lambda: b"\xfe\xff" + LINES.encode("utf-16-be"),
    "utf-32": lambda: LINES.encode("utf-32"),
    "utf-32 without a mark": lambda: LINES.encode("utf-32-be"),
    "utf-7": lambda: LINES.encode("utf-7"),
    "latin-1": lambda: '{"instruction": "Größe", "output": "ä"}\n'.encode("latin-1"),
    "latin-1 header": lambda: "Größe,output\na,b\n".encode("latin-1"),
    "mixed": lambda: LINES.encode() + '{"instruction": "é"}\n'.encode("latin-1") + LINES.encode(),
    "overlong": _fixed(
        b'{"instruction": "\xc0\xaf\xe0\x80\xaf", "output": "b"}\n' + LINES.encode()
    ),
    "raw surrogates": _fixed(b'{"instruction": "\xed\xa0\x80", "output": "b"}\n' + LINES.encode()),
    "escaped surrogates": _around('{"instruction": "\\ud83d", "output": "\\udfff\\ud800"}'),
    "cut in a character": _fixed(LINES.encode() + b'{"instruction": "\xf0\x9f\x8c'),
    "zero bytes": _around('{"instruction": "\0", "output": "\0"}'),
    "escaped zero": _around('{"instruction": "a\\u0000b", "output": "\\u0000"}'),
    "only a mark": _fixed("\ufeff"),
    "line ends of three kinds": _fixed(LINE + "\r" + LINE + "\r\n" + LINE + "\u2028" + LINE),
    "controls in texts": _around('{"instruction": "\x01\x1f\x7f", "output": "\t"}'),
}
EMPTY = {
    "no byte": _fixed(b""),
    "spaces": _fixed(" \n\t\r\n" * 50),
    "zeros": _fixed(bytes(5_000)),
    "an empty array": _fixed("[]"),
    "an empty object": _fixed("{}"),
    "null": _fixed("null"),
    "a number": _fixed("17"),
    "a text": _fixed('"text"'),
    "a word": _fixed("word"),
    "empty records": _fixed("[{}, {}, [], null, 1]"),
    "random bytes": lambda: random.Random(5).randbytes(50_000),
    "a csv header": _fixed("instruction,output\n"),
    "a comma": _fixed(","),
}
NESTING = {
    "brackets": _field("[" * 100_000),
    "closed brackets": _field("[" * 100_000 + "]" * 100_000),
    "objects": _field('{"a":' * 100_000 + "1" + "}" * 100_000),
    "both": _field('[{"a":' * 60_000 + "1" + "}]" * 60_000),
    "in an array": _fixed(f"[{LINE}, {'[' * 100_000}{']' * 100_000}, {LINE}]"),
    "open in an array": _fixed(f"[{LINE}, " + '{"a":[' * 100_000),
    "all brackets": _fixed("[" * 300_000),
    "only objects": _fixed('{"a":' * 200_000),
    "closing only": _fixed("]}" * 200_000),
    "just allowed": _field("[" * 400 + "]" * 400),
    "as a message": _around(
        json.dumps({"messages": [{"role": "user", "content": "["}]}).replace(
            '"["', "[" * 300 + "]" * 300
        )
    ),
    "as text": _around(json.dumps({**GOOD, "history": "[" * 100_000})),
    "as a call": _around(
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": "a"},
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [{"function": {"name": "f", "arguments": "[" * 50_000}}],
                    },
                ]
            }
        )
    ),
    "replies": _fixed(
        '{"prompt": '
        + '{"text": "a", "role": "prompter", "replies": [' * 2_000
        + "]}" * 2_000
        + "}"
    ),
    "repr": _fixed(f'instruction,history\na,"{"[" * 5_000}"\n'),
    "dots": _fixed(json.dumps({"a" + ".a" * 5_000: 1, **GOOD})),
}
NUMBERS = {
    "past 64 bits": _field("9" * 30),
    "below": _field("-" + "9" * 30),
    "4,000 digits": _field("9" * 4_000),
    "100,000 digits": _field("9" * 100_000),
    "a large exponent": _field("1e999999"),
    "a large negative exponent": _field("-1e-999999"),
    "ten to the 400": _field(str(10**400)),
    "NaN": _field("NaN"),
    "Infinity": _field("[Infinity, -Infinity, NaN]"),
    "as text": _around('{"instruction": 1e999999, "output": NaN}'),
    "as a rank": _fixed(
        json.dumps(
            {"message_id": 1, "parent_id": None, "text": "a", "role": "user", "rank": 10**400}
        )
    ),
    "as an id": _fixed(
        json.dumps({"message_id": 10**400, "parent_id": None, "text": "a", "role": "user"})
    ),
    "as a role": _around('{"messages": [{"role": 1e400, "content": 9999999999999999999999}]}'),
    "as messages": _fixed('{"messages": 9999999999999999999999}\n{"messages": NaN}\n'),
    "as a turn": _fixed('{"turns": [1e400, "a"], "question_id": 99999999999999999999999}'),
    "with zeros": _field("007"),
    "half": _field("1."),
    "as a score": _around(json.dumps({**GOOD, "complexity": 10**400, "quality": [10**20, 1.5]})),
}
PACKED = {
    "xz": lambda: lzma.compress(LINES.encode()),
    "bz2": lambda: bz2.compress(LINES.encode()),
    "zip": lambda: _zipped(LINES.encode()),
    "gzip in gzip": lambda: gzip.compress(gzip.compress(LINES.encode())),
    "zstd in gzip": lambda: gzip.compress(zstandard.compress(LINES.encode())),
    "empty gzip": lambda: gzip.compress(b""),
    "many gzip members": lambda: gzip.compress(LINES.encode(), mtime=0) * 300,
    "many empty gzip members": lambda: gzip.compress(b"", mtime=0) * 20_000,
    "gzip with rubbish behind": lambda: gzip.compress(LINES.encode()) + b"rubbish",
    "gzip with zeros behind": lambda: gzip.compress(LINES.encode()) + bytes(1_000),
    "only a gzip header": _fixed(b"\x1f\x8b\x08"),
    "only a zstd header": _fixed(b"\x28\xb5\x2f\xfd"),
    "zstd that asks for a large window": _fixed(b"\x28\xb5\x2f\xfd\x00\xf8\x01\x00\x00"),
    "zstd frames": lambda: zstandard.compress(LINES.encode()) * 50,
    "packed parquet": lambda: gzip.compress(PARQUET["text"]()),
    "packed half a parquet": lambda: gzip.compress(PARQUET["text"]()[:300]),
    "gzip bomb": lambda: gzip.compress(b'{"instruction": "' + bytes(50 * MEGABYTE), 9),
}
BOMBS = {
    "zstd, a gigabyte of zeros": lambda: _zstd(b"", b"\0", 1_000),
    "zstd, one record of a gigabyte": lambda: _zstd(
        f'{LINES}{{"instruction": "'.encode(), b"0", 1_000
    ),
    "zstd, a gigabyte of lines": lambda: _zstd(
        b"", _giant('{"instruction": "', "a", '"}\n', 1), 1_000
    ),
    "zstd, a gigabyte of brackets": lambda: _zstd(b"[", b"[" * 500_000, 1_000),
    "zstd, a gigabyte of csv": lambda: _zstd(b"instruction,output\n", b'"a""', 1_000),
    "gzip, a gigabyte of zeros": lambda: _gzip(b"", b"\0", 1_000),
    "gzip, one record of a gigabyte": lambda: _gzip(b'[{"instruction": "', b"0", 1_000),
    "gzip, a gigabyte that is a parquet": lambda: _gzip(b"PAR1", b"0", 1_000),
    "xz": lambda: lzma.compress(bytes(100 * MEGABYTE)),
    "bz2": lambda: bz2.compress(bytes(100 * MEGABYTE)),
    "zip": lambda: _zipped(bytes(100 * MEGABYTE)),
}
GIANTS = {
    "a line of 210 MB": lambda: _giant(f'{LINE}\n{{"instruction": "', "word ", f'"}}\n{LINES}'),
    "an object of 210 MB in an array": lambda: _giant(
        f'[{LINE}, {{"a": "', "word ", f'"}}, {LINE}]'
    ),
    "a list of 210 MB": lambda: _giant(f'[{LINE}, {{"a": [', "1,", f"1]}}, {LINE}]"),
    "messages of 210 MB": lambda: _giant(
        '[{"conversations": [', '{"from": "human", "value": "a"},', "{}]}]"
    ),
    "escapes of 210 MB": lambda: _giant(f'[{LINE}, {{"a": "', '\\"\\\\', f'"}}, {LINE}]'),
    "a csv cell of 210 MB": lambda: _giant('instruction,output\na,"', "word ", '"\nb,c\n'),
    "a csv line of 210 MB": lambda: _giant("instruction,output\n", "a,", "\nb,c\n"),
    "a csv header of 210 MB": lambda: _giant("instruction,", "word ", "\nb,c\n"),
    "210 MB without an end": lambda: _giant('{"instruction": "', "word ", ""),
    "210 MB of words": lambda: _giant("", "word ", ""),
    "a million empty lists": lambda: (
        f"{LINE}\n{json.dumps({**GOOD, 'n': [[]] * 5_000_000})}\n".encode()
    ),
    "a million fields": lambda: (
        f"{LINE}\n{json.dumps({**GOOD, **{str(n): n for n in range(1_000_000)}})}\n".encode()
    ),
    "a repr of a million": lambda: _giant('instruction,history\na,"[', "'a',", ']"\n', 30),
    "a million messages": lambda: _giant(
        '[{"conversations": [', '{"from":"human","value":"a"},', '{"from":"gpt","value":"b"}]}]', 28
    ),
    "a million roles": lambda: json.dumps(
        [{"conversations": [{"from": f"role {n}", "value": "a"}]} for n in range(200_000)]
    ).encode(),
}
STRUCTURE = {
    "no comma": _fixed(f"[{LINE} {LINE}]"),
    "two commas": _fixed(f"[{LINE},, {LINE},]"),
    "two arrays": _fixed(f"[{LINE}][{LINE}]"),
    "an array in an array": _fixed(f"[[{LINE}], [{LINE}]]"),
    "brackets too many": _fixed(f"[[[[{LINE}]"),
    "single quotes": _around("{'instruction': 'a', 'output': 'b'}"),
    "comments": _around('{"instruction": "a", /* */ "output": "b"} // c'),
    "javascript": _fixed(f"window.data = [{LINE}];"),
    "glued": _fixed(LINE * 50),
    "the same field twice": _around('{"instruction": "a", "instruction": "b", "output": "c"}'),
    "an empty name": _around('{"instruction": "a", "output": "b", "": 1}'),
    "a name of 100,000 letters": _around(json.dumps({**GOOD, "x" * 100_000: 1})),
    "10,000 names": _fixed("\n".join(json.dumps({**GOOD, f"f{n}": n}) for n in range(10_000))),
    "messages of every kind": _around(
        json.dumps({"messages": [1, None, "a", [], {}, {"role": []}]})
    ),
    "roles that are objects": _fixed(json.dumps([{"messages": [{"role": {}, "content": []}]}] * 3)),
    "parts of every kind": _around(
        json.dumps(
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            1,
                            None,
                            [],
                            {},
                            {"type": 5},
                            {"type": {"a": []}},
                            {"type": "text"},
                            {"type": "tool_use"},
                            {
                                "type": "tool_result",
                                "content": [{"type": "tool_result", "content": 5}],
                            },
                        ],
                    }
                ]
            }
        )
    ),
    "calls of every kind": _around(
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": "a"},
                    {
                        "role": "assistant",
                        "tool_calls": [
                            None,
                            1,
                            "a",
                            [],
                            {},
                            {"function": 5},
                            {"function": {"name": []}},
                        ],
                        "reasoning": {"a": 1},
                    },
                ]
            }
        )
    ),
    "a tree in a circle": _fixed(
        "\n".join(
            json.dumps(
                {
                    "message_id": str(n),
                    "parent_id": str((n + 1) % 5),
                    "text": "a",
                    "role": "prompter",
                }
            )
            for n in range(5)
        )
    ),
    "a message that is its own parent": _fixed(
        json.dumps({"message_id": "1", "parent_id": "1", "text": "a", "role": "user"})
    ),
    "a tree of 3,000 levels": _fixed(
        "\n".join(
            json.dumps(
                {
                    "message_id": str(n),
                    "parent_id": str(n - 1) if n else None,
                    "text": "a",
                    "role": "prompter",
                }
            )
            for n in range(3_000)
        )
    ),
    "csv with one quote": _fixed('instruction,output\n"a,b\nc,d\ne,f\n'),
    "csv of quotes": _fixed("instruction,output\n" + '"' * 10_001 + "\nc,d\n"),
    "csv with zero bytes": _fixed("instruction,output\na\0,b\nc,d\n"),
    "csv with names twice": _fixed("instruction,instruction,output,\na,b,c,d\n"),
    "csv of 20,000 fields": _fixed(",".join(f"f{n}" for n in range(20_000)) + "\na,b\n"),
    "csv of formulas": _fixed("instruction,output\n" + "".join(f"{c}1+1,x\n" for c in "=+-@\t")),
    "csv that says how": _fixed("sep=;\ninstruction;output\na;b\n"),
    "html page": _fixed("<!doctype html>\n<html>" + "".join(HTML.values())),
    "yaml": _fixed("- instruction: !!python/object/apply:os.system ['touch deita-was-here']\n"),
    "xml": _fixed('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
}


class _Runs:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("deita-was-here", "w"))


def _objects() -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([_Runs(), Decimal(1)], dtype=object), allow_pickle=True)
    return out.getvalue()


PICKLES = {
    **{f"protocol {n}": _fixed(pickle.dumps(_Runs(), protocol=n)) for n in range(6)},
    "numpy objects": _objects,
    "packed": lambda: gzip.compress(pickle.dumps(_Runs())),
    "in json": _around(json.dumps({**GOOD, "py/object": "os.system", "py/reduce": ["touch x"]})),
    "in base64": _around(json.dumps({**GOOD, "__class__": "os", "data": "gASVIAAAAAAAAACMAm9z"})),
}
MAGIC = {
    "sqlite": _fixed(b"SQLite format 3\0" + bytes(5_000)),
    "duckdb": _fixed(bytes(8) + b"DUCK" + bytes(5_000)),
    "arrow": _fixed(b"ARROW1\0\0" + bytes(500)),
    "pdf": _fixed(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"),
    "elf": _fixed(b"\x7fELF" + bytes(500)),
    "png": _fixed(b"\x89PNG\r\n\x1a\n" + bytes(500)),
    "hdf5": _fixed(b"\x89HDF\r\n\x1a\n" + bytes(500)),
    "script": _fixed("#!/bin/sh\ntouch deita-was-here\n"),
    "parquet in name alone": _fixed(b"PAR1"),
    "encrypted parquet": _fixed(b"PARE" + bytes(500)),
}


def _pieces(head: bytes, unit: bytes, megabytes: int) -> list[bytes]:
    block = unit * (MEGABYTE // len(unit))
    return [head, *([block] * megabytes)]


def _zstd(head: bytes, unit: bytes, megabytes: int) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    made = [packer.compress(piece) for piece in _pieces(head, unit, megabytes)]
    return b"".join([*made, packer.flush()])


def _gzip(head: bytes, unit: bytes, megabytes: int) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as packer:
        for piece in _pieces(head, unit, megabytes):
            packer.write(piece)
    return out.getvalue()


def _zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../pool.jsonl", content)
    return out.getvalue()


def _giant(head: str, unit: str, tail: str, megabytes: int = 210) -> bytes:
    return (head + unit * (megabytes * 1_000_000 // len(unit)) + tail).encode()


def _texts() -> dict[str, Content]:
    pool = {"texts: all in one pool": _fixed(hostile_pool())}
    for name, text in every_text().items():
        pool[f"texts: {name}"] = _around(json.dumps({**CHAT, **GOOD, "input": text, text: text}))
    return pool


HEAVY = {"bombs": BOMBS, "giants": GIANTS}
_LIGHT = {
    "encodings": ENCODINGS,
    "empty": EMPTY,
    "nesting": NESTING,
    "numbers": NUMBERS,
    "packed": PACKED,
    "structure": STRUCTURE,
    "pickles": PICKLES,
    "magic": MAGIC,
    "parquet": PARQUET,
    "names": {name: _fixed(LINES) for name in NAMES},
}


def every_file(*, heavy: bool = True) -> dict[str, Content]:
    """All files, by "kind: name"."""
    groups = {**_LIGHT, **(HEAVY if heavy else {})}
    made = {f"{kind}: {name}": c for kind, group in groups.items() for name, c in group.items()}
    return {**cut(), **_texts(), **made}


def name_of(key: str) -> str:
    """What the file is called."""
    return NAMES[key.removeprefix("names: ")] if key.startswith("names: ") else "pool"
