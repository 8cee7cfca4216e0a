"""JSON pools: what is an array, what are lines, and what is saved from a damaged file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deita_core.formats.read import PoolRow, Reject, detect, read

ROWS = [{"instruction": f"Question {n}?", "input": "", "output": f"Answer {n}."} for n in range(6)]


def texts(*rows: dict[str, str]) -> list[str]:
    return [json.dumps(row) for row in rows]


def read_text(folder: Path, text: str | bytes, name: str = "pool.json") -> list[PoolRow | Reject]:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    rows = list(read(path))
    assert [row.position for row in rows] == list(range(len(rows)))
    return rows


def asked(rows: list[PoolRow | Reject]) -> list[str]:
    return [row.conversation.turns[0].instruction for row in rows if isinstance(row, PoolRow)]


def rejects(rows: list[PoolRow | Reject]) -> list[Reject]:
    return [row for row in rows if isinstance(row, Reject)]


QUESTIONS = [row["instruction"] for row in ROWS]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "\n".join(texts(*ROWS)),
        "\r\n".join(texts(*ROWS)) + "\r\n\r\n",
        ",\n".join(texts(*ROWS)),
        "[\n" + ",\n".join(texts(*ROWS)) + "\n]\n",
        "\n".join(json.dumps(row, indent=1) for row in ROWS),
        " ".join(texts(*ROWS)),
        json.dumps({"version": 1, "meta": {"a": [1]}, "data": ROWS, "license": "CC0"}, indent=1),
        json.dumps({"train": ROWS[:4], "count": 2, "test": ROWS[4:]}),
        json.dumps(ROWS[:3]) + "\n" + json.dumps(ROWS[3:]),
        "\ufeff" + json.dumps(ROWS),
    ],
)
def test_every_way_of_writing_records_down_gives_the_same_rows(tmp_path: Path, text: str):
    rows = read_text(tmp_path, text)
    assert asked(rows) == QUESTIONS
    assert rejects(rows) == []


def test_the_content_decides_and_not_the_name(tmp_path: Path):
    (tmp_path / "lines.json").write_text("\n".join(texts(*ROWS)))
    (tmp_path / "array.jsonl").write_text(json.dumps(ROWS))
    assert detect(tmp_path / "lines.json").container.kind == "jsonl"
    assert detect(tmp_path / "array.jsonl").container.kind == "json"


def test_a_single_record_is_a_pool_of_one_row(tmp_path: Path):
    assert asked(read_text(tmp_path, json.dumps(ROWS[0], indent=2))) == QUESTIONS[:1]


def test_one_conversation_alone_in_a_file_is_one_row(tmp_path: Path):
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    (row,) = read_text(tmp_path, json.dumps(chat))
    assert isinstance(row, PoolRow)
    assert len(row.conversation.messages) == 2


def test_lines_that_are_lists_of_messages_are_rows(tmp_path: Path):
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert len(asked(read_text(tmp_path, f"{json.dumps(chat)}\n{json.dumps(chat)}\n"))) == 2


def test_the_raw_record_is_the_text_of_the_file(tmp_path: Path):
    raw = '{"instruction" : "Hi",  "output": "caf\\u00e9", "extra": [1.50, null]}'
    (row,) = read_text(tmp_path, f"[ {raw} ]")
    assert row.raw == raw


def test_rows_know_their_line(tmp_path: Path):
    rows = read_text(tmp_path, json.dumps(ROWS, indent=2))
    assert [row.line for row in rows] == [2 + 5 * n for n in range(6)]


def test_a_start_skips_rows_and_keeps_positions(tmp_path: Path):
    whole = read_text(tmp_path, json.dumps(ROWS))
    assert list(read(tmp_path / "pool.json", start=4)) == whole[4:]
    assert list(read(tmp_path / "pool.json", start=99)) == []


def test_a_trailing_comma_is_told_and_costs_no_row(tmp_path: Path):
    rows = read_text(tmp_path, "[\n" + ",\n".join(texts(*ROWS)) + ",\n]")
    assert asked(rows) == QUESTIONS
    assert [(r.line, r.reason) for r in rejects(rows)] == [(7, "a comma is followed by no record")]


def test_a_missing_comma_costs_no_row(tmp_path: Path):
    rows = read_text(tmp_path, "[" + " ".join(texts(*ROWS)) + "]")
    assert asked(rows) == QUESTIONS
    assert rows[1].notes == ("no comma before it in the file",)


def test_a_broken_record_in_an_array_is_one_reject(tmp_path: Path):
    broken = json.dumps(ROWS, indent=1).replace('"Question 2?"', '"Quest "ion" 2?"')
    rows = read_text(tmp_path, broken)
    assert asked(rows) == [q for q in QUESTIONS if q != "Question 2?"]
    assert [(r.position, r.line) for r in rejects(rows)] == [(2, 12)]
    assert 'Quest "ion" 2?' in rejects(rows)[0].raw


@pytest.mark.parametrize("cut", ['"', "}", ":", '",', "{"])
def test_any_sign_may_be_missing_and_only_its_record_is_lost(tmp_path: Path, cut: str):
    whole = json.dumps(ROWS, indent=1)
    at = whole.index(cut, whole.index("Question 3?") - len('"instruction": "') - 4)
    rows = read_text(tmp_path, whole[:at] + whole[at + 1 :])
    assert set(asked(rows)) >= {q for q in QUESTIONS if q not in ("Question 3?", "Question 4?")}
    assert len(rows) == 6


def test_glued_broken_records_are_one_reject_each(tmp_path: Path):
    lines = texts(*ROWS)
    lines[2:4] = [lines[2].replace('"input"', "input"), lines[3].replace('"output"', "output")]
    rows = read_text(tmp_path, "[" + ",\n".join(lines) + "]")
    assert asked(rows) == [QUESTIONS[n] for n in (0, 1, 4, 5)]
    assert [r.line for r in rejects(rows)] == [3, 4]


def test_messages_inside_a_broken_chat_do_not_become_rows(tmp_path: Path):
    chat = {
        "id": "a",
        "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}] * 3,
    }
    whole = json.dumps([chat, chat, chat])
    middle = whole.index('"id"', 40)
    rows = read_text(tmp_path, whole[: middle + 4] + whole[middle + 5 :])
    assert len(asked(rows)) == 2
    assert len(rejects(rows)) == 1


def test_broken_lines_are_rejected_with_line_and_text(tmp_path: Path):
    lines = texts(*ROWS)
    lines[1] = '{"instruction": "a bad \\escape"}'
    lines[4] = "not json at all"
    rows = read_text(tmp_path, "\n".join(lines))
    assert asked(rows) == [QUESTIONS[n] for n in (0, 2, 3, 5)]
    assert [(r.line, r.raw) for r in rejects(rows)] == [(2, lines[1]), (5, lines[4])]


def test_a_record_behind_garbage_on_its_line_is_read(tmp_path: Path):
    lines = texts(*ROWS)
    lines[2] = '{"instruction": "lost ' + lines[2] + lines[3]
    del lines[3]
    rows = read_text(tmp_path, "\n".join(lines))
    assert asked(rows) == QUESTIONS
    assert len(rejects(rows)) == 1


@pytest.mark.parametrize("style", ["array", "lines"])
def test_a_cut_off_file_gives_what_is_whole(tmp_path: Path, style: str):
    text = json.dumps(ROWS) if style == "array" else "\n".join(texts(*ROWS))
    for end in range(100, len(text) - 1, 13):
        rows = read_text(tmp_path, text[:end])
        assert asked(rows) == QUESTIONS[: len(asked(rows))]
        assert len(asked(rows)) == text[:end].count('."}')


def test_a_file_cut_off_between_records_says_so(tmp_path: Path):
    rows = read_text(tmp_path, "[" + ",".join(texts(*ROWS)))
    assert asked(rows) == QUESTIONS
    assert "cut off" in rejects(rows)[0].reason


def test_bad_utf8_rejects_its_row_alone(tmp_path: Path):
    data = json.dumps(ROWS).encode().replace(b"Question 3", b"Quest\xffion 3")
    rows = read_text(tmp_path, data)
    assert asked(rows) == [q for q in QUESTIONS if q != "Question 3?"]
    assert "Quest\\xffion 3" in rejects(rows)[0].raw


def test_unescaped_line_breaks_in_a_text_are_read_with_a_note(tmp_path: Path):
    text = json.dumps(ROWS, indent=1).replace("Answer 2.", "Answer\n2.")
    rows = read_text(tmp_path, text)
    assert rows[2].conversation.turns[0].response == "Answer\n2."
    assert rows[2].notes == ("line breaks or tabs inside a text were not escaped",)


def test_half_a_surrogate_pair_is_replaced_and_kept_in_the_raw_record(tmp_path: Path):
    (row,) = read_text(tmp_path, '[{"instruction": "a \\ud83d b", "output": "c"}]')
    assert row.conversation.turns[0].instruction == "a \ufffd b"
    assert "\\ud83d" in row.raw


def test_deep_nesting_and_huge_numbers_are_rejects(tmp_path: Path):
    deep = '{"instruction": ' + "[" * 100_000
    huge = '{"instruction": "Hi", "n": ' + "9" * 5_000 + "}"
    rows = read_text(tmp_path, "\n".join([*texts(*ROWS), deep, huge]))
    assert asked(rows) == QUESTIONS
    assert [r.line for r in rejects(rows)] == [7, 8]
    assert "nested more than 500 deep" in rejects(rows)[0].reason
    assert "more than 4,300 digits" in rejects(rows)[1].reason


DEEP = ["[" * 100_000 + "]" * 100_000, '{"a": [' * 100_000 + "]}" * 100_000]


@pytest.mark.parametrize("deep", DEEP)
@pytest.mark.parametrize("between", [", ", ",\n"])
def test_a_record_nested_too_deeply_is_one_reject_in_an_array(
    deep: str, between: str, tmp_path: Path
):
    first, *others = texts(*ROWS)
    record = f'{{"instruction": {deep}}}'
    rows = read_text(tmp_path, f"[{between.join([first, record, *others])}]")
    assert asked(rows) == QUESTIONS
    assert [row.position for row in rejects(rows)] == [1]


@pytest.mark.parametrize("deep", DEEP)
def test_a_record_glued_behind_one_nested_too_deeply_is_read(deep: str, tmp_path: Path):
    rows = read_text(tmp_path, "\n".join([*texts(*ROWS[1:]), deep + texts(ROWS[0])[0]]))
    assert len(asked(rows)) == len(ROWS)
    assert len(rejects(rows)) == 1


def test_how_deep_a_record_may_be_nested_does_not_depend_on_who_calls(tmp_path: Path):
    for depth, read_as in ((499, PoolRow), (500, Reject)):
        record = f'{{"instruction": "Hi", "n": {"[" * depth}{"]" * depth}}}'
        *_, last = read_text(tmp_path, "\n".join([*texts(*ROWS), record]))
        assert isinstance(last, read_as)


def test_records_longer_than_a_piece_of_the_file_are_read_whole(tmp_path: Path):
    long = "word " * 700_000
    many = [*ROWS[:2], {"instruction": "Long?", "output": long}, *ROWS[2:]]
    rows = read_text(tmp_path, json.dumps(many))
    assert len(asked(rows)) == 7
    assert rows[2].conversation.turns[0].response == long


def test_damage_reading_is_the_same_however_the_file_is_cut_into_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # In pieces of one byte, most of those of a wide character are no text yet.
    rows = [*ROWS, {"instruction": "Frage übrig?", "output": "はい、そうです。"}]
    text = json.dumps(rows, indent=1, ensure_ascii=False)
    text = text.replace('"Question 2?"', '"Quest "ion" 2?"') + ",\n]"
    expected = read_text(tmp_path, text)
    for size in (1, 3, 17, 64):
        monkeypatch.setattr("deita_core.formats.read.text.CHUNK", 1 << 20)
        mapping = detect(tmp_path / "pool.json").mapping
        monkeypatch.setattr(
            "deita_core.formats.read.containers.sniff", _kept(tmp_path / "pool.json")
        )
        monkeypatch.setattr("deita_core.formats.read.text.CHUNK", size)
        assert list(read(tmp_path / "pool.json", mapping)) == expected
        monkeypatch.undo()


def _kept(path: Path):
    from deita_core.formats.read import containers
    from deita_core.formats.read.rows import is_record

    kept = containers.sniff(path, is_record)
    return lambda path, is_record: kept
