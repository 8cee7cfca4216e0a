"""Any conversation comes back from any layout and container; no damage ever stops a reading."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deita_core.conversation import ROLES, Conversation, Message
from deita_core.errors import PoolError
from deita_core.formats.read import Mapping, PoolRow, Reject, read

# No examples are kept on disk, and a slow machine is no failure.
QUICK = settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXT = st.text(max_size=30)
ASKED = st.text(min_size=1, max_size=30).filter(str.strip)
MESSAGE = st.builds(Message, st.sampled_from(ROLES), TEXT)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """Messages in any order, with at least one question among them."""
    messages = draw(st.lists(MESSAGE, max_size=5))
    messages.insert(draw(st.integers(0, len(messages))), Message("user", draw(ASKED)))
    return Conversation(tuple(messages))


@st.composite
def alternating(draw: st.DrawFn) -> Conversation:
    turns = draw(st.lists(st.tuples(ASKED, TEXT), min_size=1, max_size=3))
    both = [m for q, a in turns for m in (Message("user", q), Message("assistant", a))]
    return Conversation(tuple(both))


FROM = {"user": "human", "assistant": "gpt", "tool": "observation"}


def sharegpt(one: Conversation) -> dict[str, Any]:
    said = [{"from": FROM.get(m.role, m.role), "value": m.content} for m in one.messages]
    return {"id": 1, "conversations": said}


def openai(one: Conversation) -> dict[str, Any]:
    return {"messages": [{"role": m.role, "content": m.content} for m in one.messages]}


def parts(one: Conversation) -> dict[str, Any]:
    halves = [(m.role, m.content[: len(m.content) // 2], m.content) for m in one.messages]
    cut = [(role, [left, whole[len(left) :]]) for role, left, whole in halves]
    made = [
        {"role": role, "content": [{"type": "text", "text": text} for text in texts]}
        for role, texts in cut
    ]
    return {"messages": made}


def texts(one: Conversation) -> dict[str, Any]:
    return {"conversations": [m.content for m in one.messages]}


def alpaca(one: Conversation) -> dict[str, Any]:
    said = [m.content for m in one.messages]
    history = [list(pair) for pair in zip(said[:-2:2], said[1:-2:2], strict=True)]
    return {"instruction": said[-2], "input": "", "output": said[-1], "history": history}


def preference(one: Conversation) -> dict[str, Any]:
    return {"prompt": "p", "chosen": openai(one)["messages"], "rejected": "worse"}


def nested(one: Conversation) -> dict[str, Any]:
    tree: list[dict[str, Any]] = []
    for message in reversed(one.messages):
        role = "prompter" if message.role == "user" else message.role
        worse = {"role": role, "text": "worse", "rank": 1, "replies": []}
        best = {"role": role, "text": message.content, "rank": 0, "replies": tree}
        tree = [worse, best]
    return {"prompt": tree[1]}


Writer = Callable[[list[dict[str, Any]]], bytes]


def as_array(records: list[dict[str, Any]]) -> bytes:
    return json.dumps(records, indent=1).encode()


def as_lines(records: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(r, ensure_ascii=False) for r in records).encode()


def as_csv(records: list[dict[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(records[0]), quoting=csv.QUOTE_ALL)
    writer.writeheader()
    for record in records:
        cells = {k: v if isinstance(v, str) else json.dumps(v) for k, v in record.items()}
        writer.writerow(cells)
    return out.getvalue().encode()


def as_parquet(records: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(records), out)
    return out.getvalue()


def packed(writer: Writer) -> Writer:
    return lambda records: gzip.compress(writer(records))


CONTAINERS: dict[str, Writer] = {
    "array": as_array,
    "lines": as_lines,
    "csv": as_csv,
    "parquet": as_parquet,
    "gzip": packed(as_lines),
    "zstd": lambda records: zstandard.compress(as_array(records)),
}


def ids_read(path: Path, data: bytes, layout: str) -> list[str]:
    path.write_bytes(data)
    rows = list(read(path, Mapping(layout)))
    assert all(isinstance(row, PoolRow) for row in rows), rows
    return [row.conversation.id for row in rows if isinstance(row, PoolRow)]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(("layout", "write"), [("sharegpt", sharegpt), ("openai", openai)])
@QUICK
@given(many=st.lists(conversations(), min_size=1, max_size=4))
def test_any_chat_comes_back(
    tmp_path: Path, container: str, layout: str, write: Any, many: list[Conversation]
):
    data = CONTAINERS[container]([write(one) for one in many])
    assert ids_read(tmp_path / "pool", data, layout) == [one.id for one in many]


@pytest.mark.parametrize("container", ["array", "lines", "csv", "parquet"])
@pytest.mark.parametrize(
    ("layout", "write"), [("alpaca", alpaca), ("texts", texts), ("preference", preference)]
)
@QUICK
@given(many=st.lists(alternating(), min_size=1, max_size=4))
def test_any_alternating_chat_comes_back(
    tmp_path: Path, container: str, layout: str, write: Any, many: list[Conversation]
):
    data = CONTAINERS[container]([write(one) for one in many])
    assert ids_read(tmp_path / "pool", data, layout) == [one.id for one in many]


@pytest.mark.parametrize(("layout", "write"), [("nested_tree", nested), ("openai", parts)])
@QUICK
@given(many=st.lists(alternating(), min_size=1, max_size=4))
def test_nested_records_come_back(
    tmp_path: Path, layout: str, write: Any, many: list[Conversation]
):
    data = as_lines([write(one) for one in many])
    assert ids_read(tmp_path / "pool", data, layout) == [one.id for one in many]


@QUICK
@given(one=conversations())
def test_chats_are_detected_without_a_mapping(tmp_path: Path, one: Conversation):
    for write in (sharegpt, openai):
        (tmp_path / "pool").write_bytes(as_lines([write(one)]))
        (row,) = read(tmp_path / "pool")
        assert isinstance(row, PoolRow)
        assert row.conversation.id == one.id
        assert json.loads(row.raw) == write(one)


DAMAGE = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["cut", "put", "flip"]), st.binary(max_size=4)),
    min_size=1,
    max_size=6,
)


def damaged(data: bytes, damage: list[tuple[float, str, bytes]]) -> bytes:
    for where, how, more in damage:
        at = int(where * len(data))
        rest = data[at:] if how == "put" else data[at + 1 + len(more) :]
        data = data[:at] + (b"" if how == "cut" else more) + rest
    return data


@pytest.mark.parametrize("container", CONTAINERS)
@QUICK
@given(damage=DAMAGE)
def test_no_damage_raises_anything_but_a_pool_error(tmp_path: Path, container: str, damage: Any):
    records = [{"instruction": f"Q{n}", "input": "", "output": f"A{n}"} for n in range(20)]
    path = tmp_path / "pool.json"
    path.write_bytes(damaged(CONTAINERS[container](records), damage))
    try:
        rows = list(read(path))
    except PoolError:
        return
    assert [row.position for row in rows] == list(range(len(rows)))
    assert all(isinstance(row, PoolRow | Reject) for row in rows)
    assert list(read(path, start=len(rows) // 2)) == rows[len(rows) // 2 :]


@pytest.mark.parametrize("container", ["array", "lines"])
@QUICK
@given(where=st.floats(0.01, 0.999), put=st.binary(min_size=1, max_size=3))
def test_one_wound_costs_at_most_two_rows(tmp_path: Path, container: str, where: float, put: bytes):
    records = [{"instruction": f"Q{n}", "input": "", "output": f"A{n}"} for n in range(40)]
    path = tmp_path / "pool.json"
    path.write_bytes(damaged(CONTAINERS[container](records), [(where, "put", put)]))
    rows = list(read(path, Mapping("alpaca")))
    read_as_written = {
        (row.conversation.turns[0].instruction, row.conversation.turns[0].response)
        for row in rows
        if isinstance(row, PoolRow)
    }
    assert len(read_as_written & {(f"Q{n}", f"A{n}") for n in range(40)}) >= 38
