"""project.pool and project.browse: batches of rows, duplicates, rejects, pages."""

import json
from pathlib import Path

import pytest

from deita_core.conversation import Conversation, Message
from deita_core.errors import ProjectError
from deita_core.formats.read.layout import PoolRow, Reject
from deita_core.jobs.kinds.import_pool import rows_and_rejects
from deita_core.project import Project, browse
from deita_core.project.pool import (
    Source,
    add_rows,
    add_source,
    finish_source,
    load_pool_table,
    next_position,
    sources,
    stop_sources,
)


def row(position: int, text: str, answer: str = "yes") -> PoolRow:
    said = Conversation((Message("user", text), Message("assistant", answer)))
    return PoolRow(position, position + 1, said, json.dumps({"q": text, "extra": 1}))


def add(project: Project, *rows: PoolRow | Reject, source: int | None = None) -> Source:
    number = add_source(project, "a.jsonl", "/a.jsonl", None) if source is None else source
    add_rows(project, number, *rows_and_rejects(list(rows)))
    return next(s for s in sources(project) if s.source == number)


def test_rows_read_are_imported_duplicates_and_rejected(project: Project) -> None:
    found = add(project, row(0, "a"), row(1, "b"), row(2, "a"), Reject(3, 4, "broken", "{"))
    assert (found.read, found.imported, found.duplicates, found.rejected) == (4, 2, 1, 1)
    assert found.complete


def test_a_duplicate_of_another_file_points_to_the_row_kept(project: Project) -> None:
    add(project, row(0, "a"), row(1, "b"))
    found = add(project, row(0, "b"))
    assert found.duplicates == 1
    assert browse.duplicates_page(project, 10)["row"].tolist() == [1]


def test_a_file_whose_rows_do_not_add_up_is_an_error(project: Project) -> None:
    found = add(project, row(0, "a"))
    with pytest.raises(ProjectError, match="2 rows were read, but 1 imported"):
        finish_source(project, found.source, 2)


def test_an_import_goes_on_behind_the_last_row_of_any_kind(project: Project) -> None:
    found = add(project, row(0, "a"), row(1, "a"), Reject(2, 3, "broken", "{"))
    assert next_position(project, found.source) == 3


def test_a_stopped_import_is_incomplete(project: Project) -> None:
    add(project, row(0, "a"))
    stop_sources(project)
    assert sources(project)[0].state == "incomplete"


def test_the_original_record_is_kept_untouched(project: Project) -> None:
    add(project, row(0, "a"))
    assert json.loads(browse.stored_row(project, 0).original) == {"q": "a", "extra": 1}


def test_a_conversation_comes_back_as_it_was(project: Project) -> None:
    given = row(0, "Grüße 🙂\n\nline")
    add(project, given)
    assert browse.stored_row(project, 0).conversation == given.conversation


def test_a_reject_keeps_line_reason_and_text(project: Project) -> None:
    add(project, Reject(0, 7, "broken JSON", '{"a": '))
    found = browse.rejects_page(project, 10).to_dict("records")
    assert found == [
        {"file": "a.jsonl", "position": 0, "line": 7, "reason": "broken JSON", "raw": '{"a": '}
    ]


def test_a_table_keeps_the_order_asked_for(project: Project) -> None:
    add(project, *(row(i, f"text {i}") for i in range(5)))
    assert browse.table_of(project, [3, 0, 4])["row"].tolist() == [3, 0, 4]


def test_an_unknown_row_is_an_error(project: Project) -> None:
    with pytest.raises(ProjectError, match="no row 5"):
        browse.stored_row(project, 5)


def test_the_row_of_an_id_is_found(project: Project) -> None:
    given = row(0, "a")
    add(project, given)
    rows = load_pool_table(project).rows_of((given.conversation.id, "0" * 32))
    assert rows.tolist() == [0, -1]


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    with Project.open(tmp_path / "a.duckdb", create=True) as project:
        add(project, row(0, "a"), Reject(1, 2, "broken", "{"))
    with Project.open(tmp_path / "a.duckdb") as project:
        assert sources(project)[0].imported == 1
        assert browse.stored_row(project, 0).conversation.turns[0].instruction == "a"
