"""The views of a queue through app.py: progress, agreement, calibration, decisions."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.jobs.review import calibrations, cost_for, write_labelled
from deita_core.people import Person, Role
from deita_core.project import Project
from deita_core.project.ledger import edit_row
from deita_core.project.pins import pins, set_pins
from deita_core.project.queue_state import leases
from deita_core.project.queues import answer, answers, claim, make_queue, queue_rows
from deita_core.review.decision import Decision
from deita_core.selection.rule import SelectionRule
from studio.shell.resources import open_at
from tests.builders import prepared_project
from tests.test_ledger import corrected
from tests.test_pages import APP, opened, texts
from tests.test_row_list import row_numbers

VERDICTS = {"Ada": "kkddu", "Bob": "kkdkk", "Cid": "kddu"}
WORDS = {"k": "keep", "d": "drop", "u": "unsure"}


@pytest.fixture
def path(projects: Path) -> Path:
    """Eight rows asked of three reviewers: verdict and quality; the last three have no answer."""
    projects.mkdir()
    path = prepared_project(projects / "topics.duckdb")
    with Project.open(path) as project:
        queue = make_queue(
            project, "First *one*", range(10, 18), asks=("verdict", "quality"), reviewers=3
        )
        for quality, (name, said) in enumerate(VERDICTS.items(), 2):
            for row, letter in enumerate(said, 10):
                given = [Decision(row, WORDS[letter]), Decision(row, "quality", str(quality))]
                answer(project, queue, given, reviewer=name)
    return path


def view(doing: str, name: str = "Eve", **address: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    app.session_state["author"] = name
    for key, value in ({"project": "topics", "queue": "1", "doing": doing} | address).items():
        app.query_params[key] = value
    return opened(app, "review")


def project_of(path: Path) -> Project:
    return open_at(str(path)).project


def clicked(page: AppTest, key: str) -> AppTest:
    page.button(key=key).click().run()
    assert not page.exception, page.exception
    return page


def metrics(page: AppTest) -> dict[str, str]:
    return {one.label: one.value for one in page.metric}


def first_line(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """AppTest cannot tick a line of a table: let the first one be ticked."""
    monkeypatch.setattr(f"studio.review.{module}.lines_chosen", lambda *given, **named: [0])


# progress


def test_the_progress_tells_the_rows_that_wait_and_who_could_answer_them(path: Path) -> None:
    page = view("progress")
    assert metrics(page)["Rows that wait"] == "4"
    reviewers = page.dataframe[0].value.set_index("reviewer")
    assert reviewers["rows"].to_dict() == {"Ada": 5, "Bob": 5, "Cid": 4}
    assert reviewers["open to them"].to_dict() == {"Ada": 3, "Bob": 3, "Cid": 4}
    assert page.dataframe[1].value["row"].tolist() == [14, 15, 16, 17]
    assert page.dataframe[1].value["answers"].tolist() == ["2 of 3"] + ["0 of 3"] * 3


def test_claimed_rows_of_somebody_who_left_are_given_back(path: Path) -> None:
    page = view("progress")
    claim(project_of(path), 1, "Dan", 2)
    page.run()
    assert metrics(page)["Claimed now"] == "2"
    assert page.dataframe[0].value.set_index("reviewer")["claimed"]["Dan"] == 2
    assert page.dataframe[1].value["claimed by"][0].startswith("Dan until ")
    assert "2 rows of Dan given back" in page_after_toast(clicked(page, "release_0"))
    assert leases(project_of(path), 1) == []
    assert "release_0" not in [one.key for one in page.button]


def page_after_toast(page: AppTest) -> str:
    return " ".join(one.value for one in page.toast)


def test_more_reviewers_are_asked_about_rows_that_are_counted_first(path: Path) -> None:
    page = view("progress")
    assert page.button(key="more_ask").label == "Ask 1 more about 1 row"
    assert "No clear verdict · 1" in page.button_group(key="more_kind").options
    page.button_group(key="more_kind").set_value("differ").run()
    page.number_input(key="more_number").set_value(2).run()
    assert page.button(key="more_ask").label == "Ask 2 more about 5 rows"
    clicked(page, "more_ask")
    needed = answers(project_of(path), 1).needed.tolist()
    assert needed == [5, 5, 5, 5, 5, 3, 3, 3]


# agreement


def test_the_agreement_is_told_by_pair_and_answer(path: Path) -> None:
    page = view("agreement")
    assert metrics(page)["Answered twice or more"] == "5"
    assert metrics(page)["Rows that differ"] == "3"
    pairs = page.dataframe[0].value.set_index("reviewers")
    assert pairs["agree"].to_dict() == {
        "Ada and Bob": 0.6,
        "Ada and Cid": 0.5,
        "Bob and Cid": 0.5,
    }
    assert page.dataframe[1].value["given"].tolist() == [5, 2, 7]
    page.button_group(key="agreement_on").set_value("quality").run()
    assert metrics(page)["Raw agreement"] == "0%"


def test_without_two_answers_to_a_row_the_page_says_what_is_needed(path: Path) -> None:
    with Project.open(path) as project:
        make_queue(project, "second", [1, 2])
        answer(project, 2, [Decision(1, "keep")], reviewer="Ada")
    page = view("agreement", queue="2")
    assert "once two people have answered the same row. So far 1 row of this" in texts(page)


def test_a_row_that_differs_tells_what_each_said_and_becomes_the_adjudicators(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_line(monkeypatch, "agreement")
    page = view("agreement")
    assert "Rows on which they differ · 5" in texts(page)
    said = texts(page)
    assert "**Cid**: keep, quality 4" in said
    assert "Tell me about bread, item 10." in said
    clicked(page, "adjudicate_make")
    assert queue_rows(project_of(path), 2) == [10, 11, 12, 13, 14]
    assert "**First *one*: settled** settles them: 0 of 5 rows done" in texts(page)
    clicked(page, "adjudicates_2")
    assert page.query_params["queue"] == "2"


def test_what_others_said_is_withheld_from_who_may_still_answer(path: Path) -> None:
    with Project.open(path) as project:
        answer(project, 1, [Decision(14, "drop"), Decision(14, "note", "odd")], reviewer="Dan")
    assert 14 not in view("agreement", "Eve").dataframe[-1].value["row"].tolist()
    seen = view("agreement", "Ada").dataframe[-1].value
    assert seen[seen["row"] == 14]["said_3"].tolist() == ["drop"]


def test_verdicts_become_pins_by_the_rule_and_one_undo_takes_them_back(path: Path) -> None:
    with Project.open(path) as project:
        set_pins(project, [10], "pinned")
        set_pins(project, [12], "pinned", note="mine")
    page = view("agreement")
    said = texts(page)
    assert "2 rows pinned, 1 excluded by majority" in said
    assert "2 undecided, 3 without an answer" in said
    assert "So already: 1 row. Of 1 row the pin becomes an exclusion" in said
    clicked(page, "verdicts_apply")
    kinds = [(pin.row, pin.kind) for pin in pins(project_of(path))]
    assert kinds == [(10, "pinned"), (11, "pinned"), (12, "excluded")]
    assert page.button(key="verdicts_apply").disabled
    assert page.button(key="verdicts_undo").label == "Undo: take 2 rows back"
    clicked(page, "verdicts_undo")
    found = {pin.row: (pin.kind, pin.note) for pin in pins(project_of(path))}
    assert found == {10: ("pinned", ""), 12: ("pinned", "mine")}


def test_an_adjudicators_queue_acts_through_the_one_that_it_settles(path: Path) -> None:
    with Project.open(path) as project:
        make_queue(project, "settled", [12, 13], adjudicates=1)
        answer(project, 2, [Decision(13, "keep")], reviewer="Abe")
    page = view("agreement", queue="2")
    assert "The verdicts of this queue settle **First *one***" in texts(page)
    clicked(page, "verdicts_other")
    assert page.button_group(key="verdicts_rule").value == "adjudicated"
    assert page.query_params["queue"] == "1"


# calibration


def test_people_are_held_against_a_scorer_with_the_figures_of_the_core(path: Path) -> None:
    page = view("calibration")
    with Project.open(path) as project:
        (wanted,) = calibrations(project, 1)
    assert "**Quality by tests/quality**" in texts(page)
    assert metrics(page)["Spearman with people"] == f"{wanted.whole.spearman:.2f}"
    assert metrics(page)["Within one point"] == f"{wanted.whole.within_one:.0%}"
    assert metrics(page)["Bias"] == f"{wanted.whole.bias:+.2f} points"
    assert page.dataframe[0].value["rows"].sum() == 5
    errors = page.dataframe[1].value
    assert errors["row"].tolist() == [row for row in wanted.rows.tolist() if row != 14]
    assert "1 row waits for an answer of your own" in texts(page)
    assert len(view("calibration", "Ada").dataframe[1].value) == 5


def test_the_rows_where_it_errs_open_in_explore(path: Path) -> None:
    page = view("calibration", "Ada")
    rows = page.dataframe[1].value["row"].tolist()
    clicked(page, "calibration_explore")
    assert page.query_params["filter"].startswith("where=row IN (")
    assert "**5** of 60 conversations pass the filter" in texts(page)
    assert sorted(row_numbers(page)) == sorted(rows)


def test_the_cost_tells_which_rows_would_enter_or_leave_a_saved_selection(path: Path) -> None:
    with Project.open(path) as project:
        select_and_save(project, SelectionRule("top_score", budget=10), "ten")
        wanted = cost_for(project, "ten", 1)
    assert len(wanted)
    page = view("calibration", "Ada")
    page.selectbox(key="calibration_selection").set_value("ten").run()
    assert not page.exception, page.exception
    assert wanted.sentence()[1:] in texts(page)
    listed = page.dataframe[-1].value
    assert listed[listed["becomes"] == "enters"]["row"].tolist() == wanted.entered.tolist()
    assert listed[listed["becomes"] == "leaves"]["row"].tolist() == wanted.left.tolist()


def test_the_labelled_rows_are_counted_as_they_are_written(path: Path, tmp_path: Path) -> None:
    with Project.open(path) as project:
        done = write_labelled(project, tmp_path / "labelled.jsonl", 1)
    assert done.rows == len((tmp_path / "labelled.jsonl").read_text().splitlines()) == 4
    page = view("calibration")
    assert "4 labelled rows; 1 rows of several turns or of none left out." in texts(page)
    assert page.download_button(key="calibration_labelled").label == "Labelled rows"


def test_a_queue_without_scores_says_what_calibration_needs(path: Path) -> None:
    with Project.open(path) as project:
        make_queue(project, "second", [1, 2])
    assert "does not ask for complexity or quality" in texts(view("calibration", queue="2"))


# decisions


def test_the_ledger_is_listed_newest_first_and_filtered(path: Path) -> None:
    page = view("decisions", queue="all")
    assert "**28 decisions**, the newest first" in texts(page)
    listed = page.dataframe[0].value
    assert listed["row"].tolist()[:2] == [13, 13]
    assert listed["what"].tolist()[:2] == ["quality 4", "unsure"]
    page.selectbox(key="decisions_author").set_value("Bob").run()
    page.selectbox(key="decisions_kind").set_value("drop").run()
    assert page.dataframe[0].value["row"].tolist() == [12]
    page.number_input(key="decisions_row").set_value(11).run()
    assert "No decision" in texts(page)


def test_the_ledger_hides_what_others_said_of_rows_that_wait_for_oneself(path: Path) -> None:
    page = view("decisions", "Eve")
    page.number_input(key="decisions_row").set_value(14).run()
    assert page.dataframe[0].value["what"].tolist() == ["hidden"] * 4
    page = view("decisions", "Ada")
    page.number_input(key="decisions_row").set_value(14).run()
    assert page.dataframe[0].value["what"].tolist() == ["quality 3", "keep", "quality 2", "unsure"]


def test_ones_last_decision_and_any_entry_are_taken_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_line(monkeypatch, "decisions")
    page = view("decisions", "Bob")
    assert "row 14: keep and 1 more" in texts(page)
    clicked(page, "decisions_undo_last")
    assert "row 13: keep and 1 more" in texts(page)
    given = answers(project_of(path), 1)
    assert given.whole(["verdict", "quality"])[1].sum() == 4
    page.selectbox(key="decisions_author").set_value("Cid").run()
    assert "Tell me about poems, item 13." in texts(page)
    clicked(page, "decisions_undo")
    assert answers(project_of(path), 1).whole(["verdict", "quality"])[2].sum() == 3


def test_without_a_queue_the_decisions_are_there_too(projects: Path) -> None:
    projects.mkdir()
    with Project.open(prepared_project(projects / "topics.duckdb")) as project:
        set_pins(project, [3], "pinned", note="*good*", author="Ada")
    page = view("decisions", queue="all")
    assert "A queue is a list of rows" in texts(page)
    assert page.dataframe[0].value["what"].tolist() == ["pin"]


def test_a_corrected_text_is_read_in_its_version(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Project.open(path) as project:
        edit_row(project, 20, corrected(20, "Quite another answer."), of=0, author="Ada")
    what = view("decisions", "Bob", queue="all").dataframe[0].value["what"]
    assert what[0] == "corrected text, version 1"
    first_line(monkeypatch, "decisions")
    said = texts(view("decisions", "Bob", queue="all"))
    assert "**Row 20** · version 1 of its text" in said
    assert "Quite another answer." in said


@pytest.mark.parametrize(
    ("role", "able"),
    [
        ("viewer", set()),
        ("reviewer", set()),
        ("curator", {"more_ask", "release_0", "verdicts_apply", "adjudicate_make"}),
    ],
)
def test_only_a_curator_acts_on_a_queue(
    path: Path, monkeypatch: pytest.MonkeyPatch, role: Role, able: set[str]
) -> None:
    with Project.open(path) as project:
        claim(project, 1, "Dan", 2)
    person = Person(name="Vi", email="vi@example.org", role=role)
    monkeypatch.setattr("deita_core.people._resolver", lambda: person)
    offered = {one.key for doing in ("progress", "agreement") for one in view(doing).button}
    acting = {"more_ask", "release_0", "verdicts_apply", "adjudicate_make"}
    assert offered & acting == able
