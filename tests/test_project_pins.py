"""project.pins: pins and exclusions by hand."""

from pathlib import Path

import pytest

from deita_core.errors import ProjectError
from deita_core.project import Project
from deita_core.project.pins import pins, pins_version, set_pins
from tests.builders import conversation, prepared_project


@pytest.fixture
def prepared(tmp_path: Path) -> Project:
    return Project.open(prepared_project(tmp_path / "topics.duckdb", rows=12))


def test_a_pin_is_kept_with_its_note_and_author(prepared: Project) -> None:
    set_pins(prepared, [7, 3], "pinned", note="a classic", author="Ada")
    found = pins(prepared)
    assert [(c.row, c.note, c.author) for c in found] == [
        (3, "a classic", "Ada"),
        (7, "a classic", "Ada"),
    ]
    assert found.pinned == (conversation(3).id, conversation(7).id)


def test_a_later_pin_replaces_the_earlier_one(prepared: Project) -> None:
    set_pins(prepared, [3, 4], "pinned")
    set_pins(prepared, [4], "excluded")
    found = pins(prepared)
    assert (found.pinned, found.excluded) == ((conversation(3).id,), (conversation(4).id,))


def test_a_pin_can_be_taken_back(prepared: Project) -> None:
    set_pins(prepared, [3, 4], "pinned")
    set_pins(prepared, [3, 5], None)
    assert [c.row for c in pins(prepared)] == [4]


def test_pins_count_their_own_changes_and_leave_the_data_version_alone(
    prepared: Project,
) -> None:
    before = prepared.data_version()
    assert pins_version(prepared) == 0
    set_pins(prepared, [1], "pinned")
    set_pins(prepared, [1], None)
    set_pins(prepared, [], "pinned")
    assert (pins_version(prepared), prepared.data_version()) == (2, before)


@pytest.mark.parametrize(
    ("rows", "choice", "words"),
    [([2, 99], "pinned", "1 of 2 rows are not in this project"), ([2], "liked", "got 'liked'")],
)
def test_bad_pins_change_nothing(prepared: Project, rows, choice, words) -> None:
    with pytest.raises(ProjectError, match=words):
        set_pins(prepared, rows, choice)
    assert len(pins(prepared)) == 0
