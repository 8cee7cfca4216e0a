"""cli.evolving: evolve, chains, instag and nodes as typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deita_core.cli import main
from tests.answering import plausible
from tests.builders import prepared_project
from tests.fake_endpoint import Server, serving

pytestmark = pytest.mark.usefixtures("jobs_here")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(plausible) as served:
        yield served


class Typed:
    """Types commands on one project, and reads what they say."""

    def __init__(self, path: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self._server, self._capsys = str(path), server, capsys

    def says(self, *arguments: str, status: int = 0) -> str:
        asks = arguments[0] in ("evolve", "instag", "nodes")
        model = ["--model", "m", "--base-url", self._server.url] if asks else []
        assert main([*arguments, *model, "--project", self.path, "--quiet"]) == status
        found = self._capsys.readouterr()
        return found.err if status else found.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.says(*arguments, "--json"))


@pytest.fixture
def typed(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(prepared_project(tmp_path / "p.duckdb"), server, capsys)


EVOLVE = ("evolve", "--kind", "complexity", "--seeds", "25", "--rounds", "2")


def test_a_pilot_then_the_run_then_its_chains(typed: Typed, server: Server) -> None:
    prices = ("--price-in", "1", "--price-out", "2")
    pilot = typed.says(*EVOLVE, *prices, "--pilot")
    assert pilot.startswith("complexity: 20 of 25 chains done, 20 of them to the last round")
    assert "the 5 chains that are left take about" in pilot
    run = typed.json(*EVOLVE)
    assert (run["done"], run["kept"], run["left"]["chains"]) == (25, 50, 0)
    assert run["requests"] == len(server.asked) == 75
    assert [one["name"] for one in typed.json("chains")] == ["complexity"]
    page = typed.json("chains", "complexity", "--complete", "--limit", "3", "--offset", "4")
    assert (page["chains"], [one["chain"] for one in page["page"]]) == (25, [4, 5, 6])
    assert "no chain" not in typed.says("chains", "complexity", "--broken")


def test_a_rank_is_corrected_and_taken_back(typed: Typed) -> None:
    typed.says(*EVOLVE)

    def score() -> float:
        return typed.json("chains", "complexity", "--chain", "3")["variants"][1]["score"]

    before = score()
    chain = ("chains", "complexity", "--chain", "3")
    assert typed.json(*chain, "--correct", "1=5.5", "--why", "harder") == {"correction": 1}
    assert score() == 5.5
    assert "gave 5.5 to round 1 harder" in typed.says(*chain)
    typed.says("chains", "--undo", "1")
    assert score() == before
    assert "takes ROUND=SCORE" in typed.says(*chain, "--correct", "much", status=1)
    assert "a rank is 1 to 6" in typed.says(*chain, "--correct", "1=9", status=1)


def test_mistakes_are_told_before_anything_is_asked(typed: Typed, server: Server) -> None:
    assert "no method 'nosuch'" in typed.says(*EVOLVE, "--method", "nosuch", status=1)
    assert "there is no evolution 'nosuch'" in typed.says("chains", "nosuch", status=1)
    money = typed.says(*EVOLVE, "--most-money", "1", status=1)
    assert "needs the prices" in money
    assert typed.says("chains") == "nothing was evolved yet\n"
    assert not server.asked


def test_instructions_are_tagged_and_taken_apart(typed: Typed) -> None:
    assert "the 52 others take about" in typed.says("instag", "--pilot")
    assert "72 of 72 turns scored" in typed.says("instag", "--similarity", "0")
    assert "72 of 72 turns scored" in typed.says("nodes")
    assert typed.says("rows", "--filter", "instag=a text").startswith("60 of 60 rows")
