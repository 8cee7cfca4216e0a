"""Preference rows: the verdicts of a queue as KTO; corrected answers, and pairs, as DPO."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deita_core.cli import main
from deita_core.conversation import Conversation, Message
from deita_core.errors import ExportError, ReviewError
from deita_core.formats.read import PoolRow, detect, read
from deita_core.formats.read.question_answer import rejected_messages
from deita_core.formats.write.export_format import NotExpressibleError
from deita_core.formats.write.preferences import PreferenceLayout, kto_record, pairs_of_edit
from deita_core.jobs.chains import register_files
from deita_core.jobs.kinds import ImportSpec
from deita_core.jobs.preferences import PairsAtHand, pairs_at_hand, write_preferences
from deita_core.project import Project
from deita_core.project.ledger import edit_row
from deita_core.project.queues import answer, make_queue
from deita_core.review.decision import Decision
from tests.builders import Channel, conversation, prepared_project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.open(prepared_project(tmp_path / "topics.duckdb")) as made:
        yield made


def corrected(number: int, text: str, *, message: int = 1) -> Conversation:
    """The number-th conversation with another text in one message."""
    before = conversation(number).messages
    new = (*before[:message], replace(before[message], content=text), *before[message + 1 :])
    return Conversation(new)


def reviewed(project: Project) -> int:
    """A queue of rows 0 to 3: kept by both, dropped by both, one of each, nothing."""
    queue = make_queue(project, "first", [0, 1, 2, 3], asks=["verdict"], reviewers=2)
    for name, verdicts in (("Ada", ("keep", "drop", "keep")), ("Bea", ("keep", "drop", "drop"))):
        said = [Decision(row, verdict) for row, verdict in enumerate(verdicts)]  # type: ignore[arg-type]
        answer(project, queue, said, reviewer=name)
    return queue


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_verdicts_are_wanted_and_unwanted_answers(project: Project, tmp_path: Path) -> None:
    queue, out = reviewed(project), tmp_path / "kto.jsonl"
    edit_row(project, 0, corrected(0, "Better."), of=0, author="Ada")
    edit_row(project, 1, corrected(1, "Better."), of=0, author="Ada")
    written = write_preferences(project, out, "kto", queue=queue)
    assert (written.rows, written.wanted, written.undecided) == (2, 1, 1)
    kept, dropped = lines(out)
    # A kept row is wanted as it stands; what was dropped is what the file had said.
    assert kept["prompt"] + kept["completion"] == [
        {"role": m.role, "content": m.content} for m in corrected(0, "Better.").messages
    ]
    assert dropped["completion"] == [
        {"role": "assistant", "content": conversation(1).messages[1].content}
    ]
    assert (kept["label"], dropped["label"]) == (True, False)
    assert (kept["version"], dropped["version"]) == (1, 0)
    assert kept["id"] == conversation(0).id
    assert kept["reviewers"] == ["Ada", "Bea"]


def test_a_corrected_answer_stands_against_the_imported_one(
    project: Project, tmp_path: Path
) -> None:
    edit_row(project, 3, corrected(3, "Better."), of=0, author="Ada")
    edit_row(project, 4, corrected(4, "Another question?", message=0), of=0, author="Ada")
    written = write_preferences(project, tmp_path / "dpo.jsonl", "dpo")
    (line,) = lines(tmp_path / "dpo.jsonl")
    before = conversation(3).messages
    assert line["prompt"] == [{"role": "user", "content": before[0].content}]
    assert line["chosen"] == [{"role": "assistant", "content": "Better."}]
    assert line["rejected"] == [{"role": "assistant", "content": before[1].content}]
    assert line["reviewers"] == ["Ada"]
    assert list(written.left_out.values()) == [1]
    assert "its user message was corrected too" in written.sentence()


def test_each_corrected_answer_of_a_conversation_is_a_pair_after_the_corrected_ones() -> None:
    before = conversation(5)
    texts = ("a?", "one", "b?", "two")
    after = Conversation(
        tuple(
            replace(m, content=text) if m.role == "assistant" else m
            for m, text in zip(before.messages, texts, strict=True)
        )
    )
    first, second = pairs_of_edit(before, after)
    assert first.prompt == before.messages[:1]
    assert second.prompt == after.messages[:3]
    assert (second.chosen.content, second.rejected) == ("two", before.messages[3])


@pytest.mark.parametrize("kind", ["kto", "dpo"])
def test_llama_factory_finds_the_file_by_its_entry(
    project: Project, tmp_path: Path, kind: str
) -> None:
    queue, out = reviewed(project), tmp_path / f"{kind}.jsonl"
    edit_row(project, 3, corrected(3, "Better."), of=0, author="Ada")
    (tmp_path / "dataset_info.json").write_text('{"mine": {"file_name": "mine.json"}}')
    write_preferences(
        project,
        out,
        kind,  # type: ignore[arg-type]
        layout="llama-factory",
        queue=queue,
    )
    known = json.loads((tmp_path / "dataset_info.json").read_text())
    assert set(known) == {"mine", out.name}
    columns = known[out.name]["columns"]
    assert set(columns.values()) <= set(lines(out)[0])
    assert known[out.name].get("ranking", False) == (kind == "dpo")


def test_a_kto_file_of_ours_is_read_as_a_pool(project: Project, tmp_path: Path) -> None:
    queue, out = reviewed(project), tmp_path / "kto.jsonl"
    write_preferences(project, out, "kto", queue=queue, layout="llama-factory")
    found = detect(out)
    read_back = list(read(out, found.mapping, container=found.container))
    assert [row.conversation.id for row in read_back] == [conversation(n).id for n in (0, 1)]  # type: ignore[union-attr]


def test_what_has_no_place_is_refused() -> None:
    call = Conversation((Message("user", "a"), Message("function_call", "{}")))
    with pytest.raises(NotExpressibleError, match="no place for tools"):
        kto_record(call, True, "trl")
    with pytest.raises(NotExpressibleError, match="does not end with an answer"):
        kto_record(Conversation((Message("user", "a"),)), True, "trl")
    broken = Conversation((Message("user", "\ud800"), Message("assistant", "b")))
    with pytest.raises(NotExpressibleError, match="lone surrogate"):
        kto_record(broken, True, "trl")
    mended = Conversation((Message("user", "a"), Message("assistant", "better")))
    before = Conversation((Message("user", "a"), Message("assistant", "\udc80")))
    with pytest.raises(NotExpressibleError, match="lone surrogate"):
        list(pairs_of_edit(before, mended))


PAIRS: list[dict[str, Any]] = [
    {"prompt": "One?", "chosen": "Good.", "rejected": "Bad."},
    {"system": "Be short.", "prompt": "Two?", "chosen": "Good.", "rejected": None},
    {"prompt": "Three?", "chosen": "Same.", "rejected": "Same."},
    {
        "chosen": "\n\nHuman: Four?\n\nAssistant: Well?\n\nHuman: Yes.\n\nAssistant: Good.",
        "rejected": "\n\nHuman: Four?\n\nAssistant: Well?\n\nHuman: Yes.\n\nAssistant: Bad.",
    },
    {
        "prompt": [{"role": "user", "content": "Five?"}],
        "chosen": [{"role": "assistant", "content": "Good."}],
        "rejected": [{"role": "assistant", "content": "Bad."}],
    },
    {
        "chosen": "\n\nHuman: Six?\n\nAssistant: Good.",
        "rejected": "\n\nHuman: Other?\n\nAssistant: Bad.",
    },
]


@pytest.fixture
def pairs(tmp_path: Path) -> Iterator[Project]:
    """A project of `PAIRS`, row by row."""
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(map(json.dumps, PAIRS)), "utf-8")
    with Project.open(tmp_path / "pairs.duckdb", create=True) as made:
        Channel(made, ImportSpec(sources=register_files(made, [file])), tmp_path / "job")
        yield made


@pytest.mark.parametrize("layout", ["trl", "llama-factory"])
def test_pairs_of_the_pool_are_written_with_their_rejected_answers(
    pairs: Project, tmp_path: Path, layout: PreferenceLayout
) -> None:
    out = tmp_path / "dpo.jsonl"
    written = write_preferences(pairs, out, "dpo", layout=layout)
    assert (written.rows, written.pairs) == (3, 3)
    assert written.left_out == {
        "it has no rejected answer": 1,
        "its two answers say the same": 1,
        "its two answers are to different messages": 1,
    }
    found = detect(out)
    # The file is read as a pool again: as the same conversations, with the same rejected answers.
    read_back = [
        row
        for row in read(out, found.mapping, container=found.container)
        if isinstance(row, PoolRow)
    ]
    ids = [identity for (identity,) in pairs.rows("SELECT id FROM conversations ORDER BY row")]
    assert [row.conversation.id for row in read_back] == [ids[0], ids[3], ids[4]]
    for row in read_back:
        rejected = rejected_messages(json.loads(row.raw), found.mapping)
        assert rejected[:-1] == list(row.conversation.messages[:-1])
        assert rejected[-1] == Message("assistant", "Bad.")


def test_a_pair_that_was_corrected_has_the_corrected_answer_as_its_better_one(
    pairs: Project, tmp_path: Path
) -> None:
    better = Conversation((Message("user", "One?"), Message("assistant", "Better.")))
    edit_row(pairs, 0, better, of=0, author="Ada")
    asked = (Message("user", "5?"), Message("assistant", "Good."))
    edit_row(pairs, 4, Conversation(asked), of=0, author="Ada")
    assert pairs_at_hand(pairs) == PairsAtHand(edits=2, pairs=6)
    written = write_preferences(pairs, tmp_path / "dpo.jsonl", "dpo")
    assert "3 DPO rows, 1 of edits and 2 of pairs of the pool; " in written.sentence()
    assert (
        written.left_out["its user message was corrected too: the old answer was to another one"]
        == 2
    )
    said = [
        (line["chosen"][0]["content"], line["rejected"][0]["content"], line["reviewers"])
        for line in lines(tmp_path / "dpo.jsonl")
    ]
    assert said == [
        ("Better.", "Good.", ["Ada"]),
        ("Better.", "Bad.", ["Ada"]),
        ("Good.", "Bad.", []),
    ]


def test_of_a_queue_only_its_pairs_are_written(pairs: Project, tmp_path: Path) -> None:
    queue = make_queue(pairs, "first", [3], asks=["verdict"])
    assert write_preferences(pairs, tmp_path / "dpo.jsonl", "dpo", queue=queue).rows == 1
    assert pairs_at_hand(pairs, queue) == PairsAtHand(edits=0, pairs=1)


def test_nothing_to_write_is_said_and_leaves_no_file(project: Project, tmp_path: Path) -> None:
    out = tmp_path / "none.jsonl"
    with pytest.raises(ReviewError, match="name one"):
        write_preferences(project, out, "kto")
    with pytest.raises(ReviewError, match="nobody has edited an answer yet"):
        write_preferences(project, out, "dpo")
    with pytest.raises(ExportError, match="one of kto, dpo, got 'sft'"):
        write_preferences(project, out, "sft")  # type: ignore[arg-type]
    assert not out.exists()


def test_preference_rows_are_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = prepared_project(tmp_path / "topics.duckdb")
    with Project.open(path) as project:
        reviewed(project)
    out = tmp_path / "kto.jsonl"
    arguments = ["preferences", "kto", "--queue", "first", "--project", str(path)]
    assert main([*arguments, "--out", str(out)]) == 0
    assert capsys.readouterr().out == (
        f"{out}: 2 KTO rows, 1 wanted and 1 not; 1 rows without a clear verdict left out\n"
    )
    assert main([*arguments, "--out", str(out)]) == 1
    assert "--force" in capsys.readouterr().err
    assert main([*arguments, "--out", str(out), "--by", "any", "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 3
    assert main([*arguments, "--out", str(path.with_suffix(".json"))]) == 1
    assert ".jsonl" in capsys.readouterr().err


def test_who_adjudicated_a_row_is_among_its_reviewers(project: Project, tmp_path: Path) -> None:
    queue = reviewed(project)
    judge = make_queue(project, "judge", [2], asks=["verdict"], adjudicates=queue)
    answer(project, judge, [Decision(2, "keep")], reviewer="Cleo")
    out = tmp_path / "kto.jsonl"
    write_preferences(project, out, "kto", queue=queue, rule="adjudicated")
    by_id = {line["id"]: line["reviewers"] for line in lines(out)}
    assert by_id[conversation(2).id] == ["Ada", "Bea", "Cleo"]
    assert by_id[conversation(0).id] == ["Ada", "Bea"]


def test_rows_of_several_batches_come_in_order(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, out = reviewed(project), tmp_path / "kto.jsonl"
    write_preferences(project, out, "kto", queue=queue)
    whole = out.read_bytes()
    monkeypatch.setattr("deita_core.jobs.preferences._AT_ONCE", 1)
    write_preferences(project, tmp_path / "again.jsonl", "kto", queue=queue)
    assert (tmp_path / "again.jsonl").read_bytes() == whole
