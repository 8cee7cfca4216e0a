"""The Review page through app.py: making queues, listing them, and what follows from answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.jobs.review import rows_of_rule
from deita_core.project import Project
from deita_core.project.queues import Queue, find_queue, make_queue, queue_rows, queues
from deita_core.review.queue_rule import QueueRule
from deita_core.selection.rule import SelectionRule
from studio.shell.resources import open_at
from tests.builders import prepared_project, with_graph
from tests.test_pages import APP, opened, texts


@pytest.fixture
def path(projects: Path) -> Path:
    projects.mkdir()
    return with_graph(prepared_project(projects / "topics.duckdb"))


def review(**address: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["project"] = "topics"
    for key, value in address.items():
        app.query_params[key] = value
    return opened(app, "review")


# making a queue


def dialog(path: Path, rows: list[int] | None = None) -> AppTest:
    """The dialog alone, because AppTest runs a whole page again, where a dialog closes."""

    def page(path: str, rows: list[int] | None) -> None:
        from pathlib import Path

        from studio.review.new_queue import new_queue_dialog
        from studio.shell.resources import open_project

        new_queue_dialog(open_project(Path(path)), rows)

    return AppTest.from_function(page, args=(str(path), rows), default_timeout=60).run()


def made(dialog: AppTest) -> AppTest:
    dialog.button(key="queue_make").click().run()
    assert not dialog.exception, dialog.exception
    return dialog


def the_queue(path: Path, number: int = 1) -> tuple[Queue, list[int]]:
    project = open_at(str(path)).project
    return find_queue(project, queues(project)[-number].name), queue_rows(project, number)


def test_without_a_queue_the_page_says_what_one_is(path: Path) -> None:
    page = review()
    assert "A queue is a list of rows that people read one by one" in texts(page)
    assert page.button(key="queue_new").label == "New queue"


def test_a_queue_by_rule_has_the_rows_that_the_rule_finds(path: Path) -> None:
    with Project.open(path) as project:
        select_and_save(project, SelectionRule("top_score", budget=10), "ten")
        wanted = rows_of_rule(project, QueueRule("top", size=4), selection="ten").tolist()
    form = dialog(path)
    form.selectbox(key="queue_rule").set_value("top").run()
    assert form.selectbox(key="queue_selection").value == "ten"
    form.number_input(key="queue_size").set_value(4)
    form.text_input(key="queue_name").set_value("Best *four*")
    form.number_input(key="queue_reviewers").set_value(2)
    made(form)
    queue, rows = the_queue(path)
    assert (queue.name, queue.asks, queue.blind, rows) == (
        "Best *four*",
        ("verdict",),
        True,
        wanted,
    )
    assert form.session_state["next_queue"] == "1"


def test_given_rows_are_counted_and_keep_their_order(path: Path) -> None:
    form = dialog(path, [30, 2, 7])
    assert "3 rows of this view" in texts(form)
    made(form)
    assert the_queue(path)[1] == [30, 2, 7]


def test_what_cannot_be_is_said_in_the_dialog_and_nothing_is_made(path: Path) -> None:
    form = dialog(path)
    form.selectbox(key="queue_rule").set_value("low-mass").run()
    assert "no active scorer says how much probability" in texts(made(form))
    form.selectbox(key="queue_rule").set_value("random").run()
    form.button_group(key="queue_asks").set_value(["label"]).run()
    assert "a queue that asks for a label has labels: name them" in texts(made(form))
    assert queues(open_at(str(path)).project) == []
    form.text_input(key="queue_labels").set_value("right, wrong,, right").run()
    made(form)
    assert the_queue(path)[0].labels == ("right", "wrong")


# the list of queues


def made_queue(path: Path, name: str = "First *one*", **options: object) -> int:
    with Project.open(path) as project:
        return make_queue(project, name, list(range(8)), **options)  # type: ignore[arg-type]


def test_queues_are_listed_with_their_progress(path: Path) -> None:
    made_queue(path, asks=("quality",), author="Ada")
    page = review()
    assert "**First *one*** · quality; blind" in texts(page)
    assert "Rows of a view; made " in texts(page)
    page.button(key="queue_open_1").click().run()
    assert page.selectbox(key="queue").value == "1"


# reading a queue


def test_the_name_is_asked_once_and_then_rows_are_handed_out(path: Path) -> None:
    made_queue(path)
    page = review(queue="1")
    held = "SELECT count(*) FROM leases WHERE reviewer = 'Ada'"
    assert open_at(str(path)).project.number(held) == 0
    page.text_input(key="reviewer_typed").set_value(" Ada ").run()
    assert not page.exception, page.exception
    assert [one.key for one in page.text_input if one.key == "reviewer_typed"] == []
    assert open_at(str(path)).project.number(held) == 8
