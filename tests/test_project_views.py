"""project.views: filters saved under a name."""

from __future__ import annotations

import pytest

from deita_core.errors import PermissionDeniedError, ProjectError
from deita_core.people import Person, acting_as
from deita_core.project import Project
from deita_core.project.log import log_entries
from deita_core.project.views import (
    delete_view,
    find_view,
    rename_view,
    save_view,
    views,
    views_version,
)


def test_a_view_comes_back_as_it_was_saved(project: Project):
    save_view(project, " good ", "quality=4..", author="Ada")
    (found,) = views(project)
    assert (found.name, found.filter, found.author) == ("good", "quality=4..", "Ada")
    assert find_view(project, "good") == found


def test_a_name_that_is_taken_is_replaced_only_when_asked(project: Project):
    save_view(project, "good", "quality=4..", author="Ada")
    with pytest.raises(ProjectError, match="a view 'good' already, of Ada: choose another name"):
        save_view(project, "good", "quality=5..")
    save_view(project, "good", "quality=5..", replace=True)
    assert [view.filter for view in views(project)] == ["quality=5.."]


def test_a_view_takes_another_name_that_is_free(project: Project):
    save_view(project, "good", "quality=4..", author="Ada")
    save_view(project, "bad", "quality=..2")
    with pytest.raises(ProjectError, match="a view 'bad' already: choose another name"):
        rename_view(project, "good", "bad")
    rename_view(project, "good", " best ")
    assert [(view.name, view.author) for view in views(project)] == [("bad", ""), ("best", "Ada")]


def test_an_unknown_view_names_those_there_are(project: Project):
    save_view(project, "good", "quality=4..")
    for action in (find_view, delete_view):
        with pytest.raises(ProjectError, match=r"no view 'bad' \(there are: 'good'\)"):
            action(project, "bad")


def test_a_deleted_view_is_gone_and_its_number_is_not_given_again(project: Project):
    first = save_view(project, "good", "quality=4..")
    delete_view(project, "good")
    assert views(project) == []
    assert save_view(project, "good", "quality=4..") > first


def test_views_have_a_counter_of_their_own(project: Project):
    data, before = project.data_version(), views_version(project)
    save_view(project, "good", "quality=4..")
    delete_view(project, "good")
    assert views_version(project) == before + 2
    assert project.data_version() == data


def test_a_viewer_saves_no_view_and_what_was_saved_is_in_the_log(project: Project):
    viewer = Person(name="Eve", email="eve@example.org", role="viewer")
    with acting_as(viewer), pytest.raises(PermissionDeniedError):
        save_view(project, "good", "quality=4..")
    with acting_as(Person(name="Ada", email="ada@example.org", role="reviewer")):
        save_view(project, "good", "quality=4..", author="somebody else")
    assert views(project)[0].author == "Ada"
    assert [entry.action for entry in log_entries(project)][:2] == ["save a view", "refused"]
