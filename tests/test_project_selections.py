"""Saved selections: copies, notes, the current one; none of it touches the pool's version."""

from __future__ import annotations

import numpy as np

from deita_core.project import Project
from deita_core.project.selections import (
    delete_selection,
    duplicate_selection,
    find_selection,
    make_current,
    save_selection,
    selection_rows,
    selections,
    selections_version,
    set_notes,
)


def saved(project: Project, name: str = "six", *, replace: bool = False) -> int:
    rows, scores = np.array([4, 2]), np.array([9.0, 8.5])
    return save_selection(project, name, "{}", "2 of 9", rows, scores, replace=replace)


def test_a_copy_has_the_rows_and_a_name_of_its_own(project: Project) -> None:
    first = saved(project)
    copies = [duplicate_selection(project, first, "Ada") for _ in range(2)]
    assert [s.name for s in selections(project)] == ["six (copy 2)", "six (copy)", "six"]
    assert selection_rows(project, copies[1]) == ([4, 2], [9.0, 8.5])
    assert find_selection(project, "six (copy)").author == "Ada"


def test_at_most_one_selection_is_current(project: Project) -> None:
    for number in (saved(project), saved(project, "seven")):
        make_current(project, number)
    assert [s.name for s in selections(project) if s.current] == ["seven"]
    make_current(project, None)
    assert not any(s.current for s in selections(project))


def test_a_replaced_selection_stays_current(project: Project) -> None:
    make_current(project, saved(project))
    saved(project, replace=True)
    assert find_selection(project, "six").current


def test_notes_can_be_replaced(project: Project) -> None:
    set_notes(project, saved(project), "for the demo")
    assert find_selection(project, "six").notes == "for the demo"


def test_every_change_counts_for_selections_and_none_for_the_pool(project: Project) -> None:
    pool, versions = project.data_version(), [selections_version(project)]
    number = saved(project)
    versions.append(selections_version(project))
    make_current(project, number)
    versions.append(selections_version(project))
    delete_selection(project, number)
    versions.append(selections_version(project))
    assert versions == sorted(set(versions))
    assert project.data_version() == pool
