"""Several at once on one project: the short form of `python -m tests.together`."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from deita_core.errors import ProjectError
from deita_core.jobs import JobRunner
from deita_core.jobs.chains import register_files
from deita_core.jobs.kinds import ExportSpec, ImportSpec
from deita_core.people import Person, acting_as
from deita_core.project import Project
from deita_core.project.log import log_entries
from deita_core.project.pins import set_pins
from deita_core.project.selections import (
    delete_selection,
    duplicate_selection,
    make_current,
    rename_selection,
    save_selection,
    selections,
)
from deita_core.selection.rule import SelectionRule
from tests.builders import prepared_project
from tests.together.ledger import differences

ROWS, ACTIONS, SESSIONS = 30, 60, 4
RULE = SelectionRule().to_json()
NAMES = ("one", "two", "three")


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Project]:
    with Project.open(prepared_project(tmp_path / "shared.duckdb", rows=ROWS)) as project:
        yield project


def save(project: Project, name: str, replaces: int | None = None) -> int:
    rows = np.arange(3)
    return save_selection(project, name, RULE, "", rows, rows * 1.0, replaces=replaces)


class Session(threading.Thread):
    """Does things at random, and counts what was done and what was refused."""

    def __init__(self, project: Project, number: int) -> None:
        super().__init__()
        self.project, self.random = project, random.Random(number)
        self.person = Person(name=f"person {number}", session=f"session {number}")
        self.done: Counter[str] = Counter()
        self.refused: list[str] = []
        self.broken: list[BaseException] = []

    def run(self) -> None:
        with acting_as(self.person):
            for _ in range(ACTIONS):
                do = self.random.choice(self.actions())
                try:
                    do()
                    self.done["done"] += 1
                except ProjectError as error:
                    self.refused.append(str(error))
                except BaseException as error:
                    self.broken.append(error)

    def actions(self) -> list[Callable[[], object]]:
        project, pick = self.project, self.random.choice
        rows, name = self.random.sample(range(ROWS), 3), pick(NAMES)
        known = selections(project)
        actions: list[Callable[[], object]] = [
            lambda: set_pins(project, rows, pick(("pinned", "excluded", None))),
            lambda: save(project, name),
            lambda: project.rename(f"renamed by {self.person.name}"),
        ]
        if known:
            one = pick(known)
            actions += [
                lambda: save(project, one.name, one.selection),
                lambda: rename_selection(project, one.selection, name),
                lambda: delete_selection(project, one.selection),
                lambda: duplicate_selection(project, one.selection),
                lambda: make_current(project, one.selection),
            ]
        return actions


def test_no_update_is_lost_and_each_conflict_is_said(shared: Project, tmp_path: Path) -> None:
    pool = tmp_path / "more.jsonl"
    pool.write_text('{"instruction": "Why?", "output": "Because."}\n' * 3)
    save(shared, "kept")
    runner = JobRunner(shared)
    runner.start()
    runner.submit([ExportSpec(selection="kept", format="sharegpt", out=tmp_path / "kept.json")])
    runner.submit([ImportSpec(sources=register_files(shared, [pool]))])
    sessions = [Session(shared, number) for number in range(SESSIONS)]
    for session in sessions:
        session.start()
    for session in sessions:
        session.join()
    while runner.busy:
        time.sleep(0.02)
    runner.stop()
    assert [error for session in sessions for error in session.broken] == []
    assert list(differences(shared)) == []
    done = {s.person.session: s.done["done"] for s in sessions}
    logged = Counter(entry.session for entry in log_entries(shared))
    assert {name: logged[name] for name in done} == done
    refused = [said for session in sessions for said in session.refused]
    words = (
        "already, it was saved by",
        "already, it was renamed by",
        "was deleted by",
        "was replaced by",
    )
    assert [said for said in refused if not any(word in said for word in words)] == []
    assert refused


@pytest.mark.parametrize(
    "loss",
    [
        "DELETE FROM decisions WHERE row = 2",
        "UPDATE selections SET name = 'other'",
        "UPDATE meta SET value = 'other' WHERE key = 'name'",
        "DELETE FROM sources",
        "UPDATE conversations SET row = row + 1",
    ],
)
def test_a_lost_update_is_noticed(shared: Project, loss: str) -> None:
    set_pins(shared, [1, 2], "pinned")
    save(shared, "kept")
    assert list(differences(shared)) == []
    shared.cursor().execute(loss)
    assert len(list(differences(shared))) == 1
