"""models.answers: what was paid for is never lost, whatever happens to the file's end."""

from __future__ import annotations

from pathlib import Path

from deita_core.models.answers import AnswerLog, answers_of, answers_table
from deita_core.models.chat import ChatAnswer

ONE = ChatAnswer("first\nline \ud800 \u2028 é", None, 12, 3, 0.5)
TWO = ChatAnswer(None, "refused", 12, 0, 0.25, True)


def test_answers_are_in_the_file_at_once_and_the_same_when_read_again(tmp_path: Path):
    log = AnswerLog(tmp_path / "deep" / "answers.jsonl")
    log.add("a", ONE)
    log.add("b", TWO)
    again = AnswerLog(log.path)  # the first is still open, as after a kill
    assert (again.get("a"), again.get("b"), again.get("c")) == (ONE, TWO, None)


def test_a_torn_last_line_costs_that_answer_alone(tmp_path: Path):
    path = tmp_path / "answers.jsonl"
    AnswerLog(path).add("a", ONE)
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole + whole[:cut])
        log = AnswerLog(path)
        log.add("b", TWO)
        assert AnswerLog(path).get("b") == TWO
        assert AnswerLog(path).get("a") == ONE


def test_a_spoilt_line_in_the_middle_costs_that_answer_alone(tmp_path: Path):
    path = tmp_path / "answers.jsonl"
    log = AnswerLog(path)
    log.add("a", ONE)
    path.write_bytes(path.read_bytes() + b'\x00\x00\n{"key": "x"}\n[]\n')
    AnswerLog(path).add("b", TWO)
    assert len(AnswerLog(path)) == 2


def test_fresh_answers_are_given_to_the_owner_once_and_again_after_a_kill(tmp_path: Path):
    log = AnswerLog(tmp_path / "answers.jsonl", known={"k": ONE})
    log.add("a", ONE)
    assert log.fresh() == {"a": ONE}
    log.add("b", TWO)
    assert log.fresh() == {"b": TWO}
    assert log.fresh() == {}
    assert AnswerLog(log.path, known={"a": ONE}).fresh() == {"b": TWO}


def test_known_answers_are_answers_and_are_not_written(tmp_path: Path):
    log = AnswerLog(tmp_path / "answers.jsonl", known={"k": ONE})
    assert log.get("k") == ONE
    assert len(log) == 1
    assert log.path.read_bytes() == b""


def test_a_log_that_forgets_begins_anew(tmp_path: Path):
    log = AnswerLog(tmp_path / "answers.jsonl")
    log.add("a", ONE)
    log.forget()
    log.add("b", TWO)
    assert log.get("a") is None
    assert AnswerLog(log.path).fresh() == {"b": TWO}


def test_answers_come_back_out_of_their_table():
    plain = {"a": ChatAnswer("text é", None, 1, 2, 0.5), "b": TWO}
    assert answers_of(answers_table(plain).to_pylist()) == plain
    assert answers_of(answers_table({}).to_pylist()) == {}
