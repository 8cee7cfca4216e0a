"""Tags and nodes of instructions by a chat model: scores, a column of filters, a strategy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deita_core.evolving.tags import TagRule
from deita_core.filtering import PoolColumns, matching_rows, parse_filter
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.jobs.kinds.turn_counts import NodesSpec, TagSpec
from deita_core.models.spending import SpendingLimit
from deita_core.project import Project
from deita_core.project.models import active_model
from deita_core.project.scores import scorers
from deita_core.project.turn_tags import tags_of_turns
from deita_core.selection.rule import SelectionRule
from tests.builders import Channel, prepared_project
from tests.fake_endpoint import Server, said, serving


def by_topic(body: dict[str, Any], number: int) -> dict[str, Any]:
    """Tags are words of the instruction; rivers cannot be tagged."""
    asked = body["messages"][-1]["content"]
    if "nodes" in body["response_format"]["json_schema"]["schema"]["properties"]:
        return said(json.dumps({"nodes": [{"text": "a", "above": -1}, {"text": "b", "above": 0}]}))
    if "rivers" in asked or "cannot be used" in asked:
        return said("I would rather not")
    words = [topic for topic in ("bread", "matrices", "poems", "taxes") if topic in asked]
    even = ["Even"] if any(f"item {n}." in asked for n in range(0, 60, 2)) else []
    return said(json.dumps({"tags": [*(words or ["follow-up"]), *even]}), tokens=(100, 20))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.open(prepared_project(tmp_path / "p.duckdb")) as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(by_topic) as served:
        yield served


def tagged(project: Project, server: Server, folder: Path, **other: Any) -> Channel:
    spec = TagSpec(chat=f"m@{server.url}", rule=TagRule(similarity=None), **other)
    (folder / "job").mkdir(exist_ok=True)
    return Channel(project, spec, folder / "job" / "input")


def test_the_number_of_tags_is_a_score_and_a_turn_without_tags_has_a_reason(
    project: Project, server: Server, tmp_path: Path
) -> None:
    job = tagged(project, server, tmp_path, activate=True)
    found = next(one for one in scorers(project) if one.model.startswith("instag:"))
    assert found.active
    scores = project.rows(
        "SELECT row, score, reason FROM scores WHERE scorer = ? AND turn = 0 ORDER BY row LIMIT 3",
        found.scorer,
    )
    assert [score for _, score, _ in scores] == [2.0, None, 2.0]
    assert "not usable" in scores[1][2]
    assert tags_of_turns(project, 0) == [(0, ("bread", "even")), (1, ("follow up",))]
    assert tags_of_turns(project, 1) == []
    assert job.message.startswith("60 of 72 turns scored")


def test_tags_are_a_column_of_filters(project: Project, server: Server, tmp_path: Path) -> None:
    tagged(project, server, tmp_path)
    columns = PoolColumns(project)
    assert columns["instag"].names == ("bread", "even", "follow up", "matrices", "poems", "taxes")
    rows = np.flatnonzero(matching_rows(parse_filter("instag=poems").strict(), columns))
    assert rows.tolist() == list(range(3, 60, 5))
    assert columns["tag"].names == ()


def test_the_strategy_takes_rows_with_new_tags_first(
    project: Project, server: Server, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match="no row has one"):
        select_and_save(project, SelectionRule("instag", budget=4), "early")
    tagged(project, server, tmp_path)
    kept = select_and_save(project, SelectionRule("instag", budget=4), "spread").kept
    # The first has three tags, the others bring one topic each.
    assert kept[0] % 10 == 0
    assert sorted(int(row) % 5 for row in kept) == [0, 2, 3, 4]


def test_a_pilot_asks_a_few_turns_keeps_no_score_and_names_the_cost(
    project: Project, server: Server, tmp_path: Path
) -> None:
    prices = SpendingLimit(price_in=1.0, price_out=1.0)
    job = tagged(project, server, tmp_path, first=10, limit=prices)
    assert "the 62 others take about" in job.message
    assert not [one for one in scorers(project) if one.model.startswith("instag:")]
    before = len(server.asked)
    tagged(project, server, tmp_path)
    bodies = [json.dumps(one, sort_keys=True) for one in server.asked]
    assert before < len(bodies) == len(set(bodies))


def test_nodes_are_a_score_that_leaves_the_active_one_in_place(
    project: Project, server: Server, tmp_path: Path
) -> None:
    before = active_model(project, "complexity")
    (tmp_path / "job").mkdir()
    Channel(project, NodesSpec(chat=f"m@{server.url}"), tmp_path / "job" / "input")
    assert active_model(project, "complexity") == before
    query = "SELECT DISTINCT s.score FROM scores s JOIN models m ON m.model = s.scorer "
    assert project.values(f"{query} WHERE starts_with(m.id, 'nodes:')") == [2.0]
