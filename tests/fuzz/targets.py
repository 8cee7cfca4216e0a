"""What is fuzzed: a function of bytes for each input that others write, with seeds to start from.

A target raises only what is a mistake of ours: any error but a `DeitaError`, or rows and rejects
that do not add up.
"""

from __future__ import annotations

import atexit
import gzip
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deita_core.cli.options import condition_of, ids_of, quota_of
from deita_core.conversation import Conversation
from deita_core.errors import DeitaError
from deita_core.filtering import PoolColumns, parse_filter
from deita_core.filtering.search import found_rows
from deita_core.filtering.sql import where_mask
from deita_core.formats.manifest import Manifest
from deita_core.formats.read import LAYOUTS, Mapping, PoolRow, Reject, detect, read
from deita_core.formats.read.containers import Container
from deita_core.formats.read.json_records import Start, Style, scan
from deita_core.formats.read.rows import is_record, rows_of
from deita_core.formats.read.text import Record
from deita_core.formats.score_file import read_scores, score_fields
from deita_core.jobs.kinds.import_pool import rows_and_rejects
from deita_core.project import Project
from deita_core.project.columns import numeric_columns, write_column
from deita_core.project.pool import add_rows, add_source
from deita_core.selection.rule import SelectionRule
from tests.hostile.texts import every_text

CHAT = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}
PARTS = {
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "name": "f", "input": {}}],
            "reasoning_content": "r",
            "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}],
        },
    ],
    "tools": [{"type": "function", "function": {"name": "f"}}],
}
ALPACA = {"instruction": "a", "input": "b", "output": "c", "history": [["d", "e"]], "system": "s"}
TREE = {"message_id": "1", "parent_id": None, "text": "a", "role": "prompter", "rank": 0}
NESTED = {"prompt": {"text": "a", "role": "prompter", "replies": [{"text": "b", "role": "bot"}]}}
PAIR = {"prompt": "a", "chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": [CHAT]}
RECORDS = (CHAT, PARTS, ALPACA, TREE, NESTED, PAIR, {"turns": ["a", "b"], "question_id": 1})


def texts(records: Iterable[object] = RECORDS) -> list[bytes]:
    return [json.dumps(record).encode() for record in records]


def checked(rows: Iterable[PoolRow | Reject]) -> None:
    """The rows have the positions they must have, and become what the project stores."""
    found = list(rows)
    assert [row.position for row in found] == list(range(len(found)))
    stored, rejected = rows_and_rejects(found)
    assert len(stored) + len(rejected) == len(found)
    for row in found:
        if isinstance(row, PoolRow):
            again = Conversation.from_json(row.conversation.to_json(), row.conversation.tools)
            assert again == row.conversation


def detection(data: bytes) -> None:
    """Any file: what is it, and which rows has it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool"
        path.write_bytes(data)
        with suppress(DeitaError):
            found = detect(path)
            assert Mapping.from_json(found.mapping.to_json()) == found.mapping
            assert Container.from_json(found.container.to_json()) == found.container
            rows = list(read(path, found.mapping, container=found.container))
            assert [row.position for row in rows] == list(range(len(rows)))


class Pieces:
    """A stream of text whose pieces are as short as the fuzzer likes."""

    failure = ""

    def __init__(self, text: str, size: int) -> None:
        self.parts = [text[at : at + size] for at in range(0, len(text), size)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)


_STYLES: Sequence[Style] = ("array", "lines", "values")


def recovery(data: bytes) -> None:
    """Damaged JSON: the first byte says how the text is cut in pieces, and the style."""
    if not data:
        return
    text = data[1:].decode("utf-8", "surrogateescape")
    stream = Pieces(text, 1 + data[0] // 3 * 7)
    start = Start(_STYLES[data[0] % 3], 0, wrapped=data[0] > 127)
    for found in scan(stream, start, is_record):  # type: ignore[arg-type]
        assert found.raw or isinstance(found, Record) or found.reason


def records(data: bytes) -> None:
    """Any JSON value as a record of each layout."""
    with suppress(ValueError, RecursionError):
        value = json.loads(data)
        raw = json.dumps(value)
        for name, layout in LAYOUTS.items():
            mapping = Mapping(name, layout.fits(value) or {c: c for c in layout.column_names})
            if name != "flat_tree":
                checked(rows_of(iter([Record(1, raw, value)]), mapping))
    return


def manifest(data: bytes) -> None:
    with suppress(DeitaError):
        found = Manifest.from_json(data.decode("utf-8", "surrogateescape"))
        assert Manifest.from_json(found.to_json()) == found


def rule(data: bytes) -> None:
    with suppress(DeitaError):
        found = SelectionRule.from_json(data.decode("utf-8", "surrogateescape"))
        assert SelectionRule.from_json(found.to_json()) == found


def options(data: bytes) -> None:
    """Conditions, quotas and lists of ids as they are typed."""
    text = data.decode("utf-8", "surrogateescape")
    for read_option in (condition_of, quota_of, lambda given: ids_of([given])):
        with suppress(DeitaError):
            read_option(text)


@cache
def project() -> Project:
    """A project whose records hold every hostile text."""
    folder = tempfile.mkdtemp(prefix="fuzz-")
    made = Project.open(Path(folder) / "fuzz.duckdb", create=True)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(_ended)
    source = add_source(made, "pool", "/pool", None)
    rows = [
        {**ALPACA, "instruction": text or name, name: number, text: {text: number}}
        for number, (name, text) in enumerate(every_text().items())
        if len(text) < 1_000
    ]
    items = (Record(1, json.dumps(row), row) for row in rows)
    found = list(rows_of(items, Mapping("alpaca", {n: n for n in ("instruction", "output")})))
    add_rows(made, source, *rows_and_rejects(found))
    assert numeric_columns(made)
    return made


def _ended() -> None:
    project().close()
    project.cache_clear()


def search(data: bytes) -> None:
    """What a user types to search, as a line of SQL, as a filter, and as the name of a column."""
    text = data.decode("utf-8", "surrogateescape")
    before = project().number("SELECT count(*) FROM conversations")
    with suppress(DeitaError):
        assert len(found_rows(project(), text)) <= before
    with suppress(DeitaError):
        assert len(where_mask(text, PoolColumns(project()), seconds=1.0)) == before
    with suppress(DeitaError):
        wanted = parse_filter(text).filter
        assert parse_filter(wanted.to_text()).strict() == wanted
    out = Path(str(project().path)).with_name("column.parquet")
    with suppress(DeitaError):
        write_column(project(), {"complexity": text}, out)
    assert project().number("SELECT count(*) FROM conversations") == before


def scores(data: bytes) -> None:
    """Any file as a file of scores."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores"
        path.write_bytes(data)
        with suppress(DeitaError):
            fields = score_fields(path)
            for position, row in enumerate(read_scores(path, fields)):
                assert row.position == position


@dataclass(frozen=True)
class Target:
    """run: the function. seeds: where it starts from, with what once broke it."""

    run: Callable[[bytes], None]
    seeds: Sequence[bytes]


def _files() -> list[bytes]:
    lines, array = b"\n".join(texts()), b"[" + b",".join(texts()) + b"]"
    csv = b'instruction,output\n"a, ""b""",c\n=1,\n'
    plain = [
        *texts(),
        lines,
        array,
        b'{"data": ' + array + b"}",
        lines[:-9],
        csv,
        b"\xef\xbb\xbf" + csv,
    ]
    return [*plain, gzip.compress(lines), gzip.compress(csv)[:-5]]


_RULE = SelectionRule(threshold=0.7, budget=600).to_json().encode()
_RULES = [_RULE, b'{"\xff": 1}', b"[" * 100_000, b'{"budget": ' + b"9" * 5_000 + b"}"]
_TYPED = [b"complexity=2..5", b"tokens=..400", b"language:en=30%", b"source:a.json=100", b"0" * 32]
_TYPED += [b"@2.\0en", b"@~nobody-of-this-name/ids", b"@\xff", b"language:\xe0=30%", b"\xe0=1..2"]
_KIND = b'{"kind": "deita-studio manifest", "schem'
_MANIFESTS = [_KIND + b'a_version": 1}', _KIND + b'\xa2_version": 1}', b"[" * 100_000]
_SCORED = b'{"id": "' + b"0" * 32 + b'", "turn": 0, "complexity": 1e400, "quality": [1, null]}'

TARGETS = {
    "detection": Target(detection, _files()),
    "recovery": Target(recovery, [bytes([n]) + one for n, one in enumerate(_files()[:12])]),
    "records": Target(records, texts()),
    "manifest": Target(manifest, _MANIFESTS),
    "rule": Target(rule, _RULES),
    "options": Target(options, _TYPED),
    "search": Target(search, [t.encode("utf-8", "surrogatepass") for t in every_text().values()]),
    "scores": Target(scores, [_SCORED, b"id,complexity\n" + b"0" * 32 + b",5\n"]),
}
