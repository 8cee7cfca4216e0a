"""studio.explore.colouring: a name in the legend stands for a filter that finds just its rows."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from deita_core.filtering import PoolColumns, matching_rows
from deita_core.filtering.filter import Bounds, Contains, Filter, OneOf, Search, Where
from deita_core.jobs.kinds import ClusterSpec
from deita_core.project import Project
from deita_core.project.clusters import rename_cluster
from studio.charts.colours import OUTSIDE, colour_by_category, greyed
from studio.explore import colouring as ours
from studio.explore.colouring import COLOURINGS, colouring, column_of, group_part, legend_filter
from studio.shell.resources import Opened, open_at
from tests.builders import Channel, prepared_project, with_graph


@pytest.fixture
def opened(projects: Path, tmp_path: Path) -> Opened:
    projects.mkdir()
    path = with_graph(prepared_project(projects / "topics.duckdb"))
    with Project.open(path) as project:
        Channel(project, ClusterSpec(), tmp_path / "clusters")
        rename_cluster(project, 1, "same")
        rename_cluster(project, 3, "same")
    return open_at(str(path))


@pytest.mark.parametrize("name", COLOURINGS)
def test_each_name_in_the_legend_filters_to_the_rows_of_its_colour(
    opened: Opened, name: str
) -> None:
    codes, groups = colouring(opened, name)
    columns = PoolColumns(opened.project)
    for code in set(codes.tolist()):
        wanted = Filter(parts=(group_part(opened, name, list(groups), code),))
        assert matching_rows(wanted, columns).tolist() == (codes == code).tolist(), wanted


def test_other_is_what_none_of_the_names_stands_for(opened: Opened, monkeypatch) -> None:
    monkeypatch.setattr(ours, "colour_by_category", partial(colour_by_category, most=2))
    codes, groups = colouring(opened, "cluster")
    assert groups[-1].label == "other"
    part = group_part(opened, "cluster", list(groups), len(groups) - 1)
    found = matching_rows(Filter(parts=(part,)), PoolColumns(opened.project))
    assert found.tolist() == (codes == len(groups) - 1).tolist()
    assert found.any()


def test_a_click_takes_the_place_of_a_filter_on_the_same_column(
    opened: Opened, monkeypatch
) -> None:
    put = []
    monkeypatch.setattr(
        ours, "put_in_filter", lambda *parts, instead_of: put.append((parts, instead_of))
    )
    coloured = greyed(colouring(opened, "language"), np.zeros(60, np.bool_))
    assert coloured[1][-1] == OUTSIDE
    legend_filter(opened, "language", coloured)(0)
    ((part,), instead_of) = put[0]
    assert part == OneOf(column="language", names=(coloured[1][0].label,))
    assert instead_of(OneOf(column="language", names=("xx",)))
    assert not instead_of(OneOf(column="file", names=("xx",)))


@pytest.mark.parametrize(
    ("part", "column"),
    [
        (Bounds(column="turns", low=2), "turns"),
        (Contains(column="record.a", text="b"), "record.a"),
        (Where(sql="cluster NOT IN (1, 2)"), "cluster"),
        (Where(sql="evol_score IS NULL"), "evol_score"),
        (Where(sql="len(flags) = 0"), "flag"),
        (Where(sql="turns > 2"), None),
        (Search(query="bread"), None),
    ],
)
def test_a_part_looks_at_one_column_or_at_none(part, column: str | None) -> None:
    assert column_of(part) == column
