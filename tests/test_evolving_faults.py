"""Evolving against a server with every fault: each costs its attempt or waits, never the run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from deita_core.evolving.chain import evolve_chain
from deita_core.evolving.plan import EvolvePlan, RankPlan
from deita_core.evolving.prompts import our_prompts
from deita_core.evolving.ranking import rank_chain
from deita_core.evolving.variant import Ranking, Seed, Variant
from deita_core.models.answers import AnswerLog
from deita_core.models.chat_models import OpenChat, open_chat
from deita_core.models.options import ModelOptions
from deita_core.models.running import run_chats
from tests.fake_chat import PASSING, USELESS, Moody, clauses_in, plausible
from tests.fake_endpoint import Answer, Server, serving

CHAINS, ROUNDS = 10, 3
PROMPTS = our_prompts()
EVOLVE = EvolvePlan(kind="complexity", rounds=ROUNDS)
Chains = dict[int, tuple[list[Variant], list[Ranking]]]


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deita_core.models.pace.FIRST_WAIT", 0.01)


def evolved(answer: Answer, folder: Path) -> tuple[Chains, Server]:
    found: Chains = {}

    async def one(chat: OpenChat, number: int) -> tuple[int, tuple[list[Variant], list[Ranking]]]:
        seed = Seed(number, number, 0, f"Explain how to boil egg number {number}.", None)
        variants = await evolve_chain(chat, seed, EVOLVE, PROMPTS)
        return number, (
            variants,
            await rank_chain(chat, variants, "complexity", RankPlan(), PROMPTS),
        )

    async def work(url: str) -> None:
        log = AnswerLog(folder / "answers.jsonl")
        async with open_chat(f"m@{url}", ModelOptions(timeout=20), log) as chat:
            await run_chats((one(chat, n) for n in range(CHAINS)), lambda got: found.update([got]))

    with serving(answer) as server:
        asyncio.run(asyncio.wait_for(work(server.url), 60))
    return found, server


def texts(chains: Chains) -> dict[int, list[str]]:
    return {number: [one.instruction for one in made] for number, (made, _) in chains.items()}


def test_an_honest_server_evolves_all_and_ranks_them_by_what_was_added(tmp_path: Path):
    chains, server = evolved(plausible, tmp_path)
    for variants, rankings in chains.values():
        assert [one.round for one in variants] == list(range(ROUNDS + 1))
        added = [clauses_in(one.instruction) for one in variants]
        assert added == list(range(ROUNDS + 1))
        assert rankings[0].scores == {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}
    assert set(server.delivered.values()) == {1}


def test_faults_that_pass_change_nothing_but_the_time(tmp_path: Path):
    undisturbed, _ = evolved(plausible, tmp_path / "a")
    disturbed, server = evolved(Moody(PASSING, every=2), tmp_path / "b")
    assert texts(disturbed) == texts(undisturbed)
    assert len(server.asked) > len(server.delivered)


def test_answers_of_no_use_cost_an_attempt_each_and_have_their_reason(tmp_path: Path):
    chains, _ = evolved(Moody(USELESS, every=3, lasting=True), tmp_path)
    assert len(chains) == CHAINS
    lost = [one for made, _ in chains.values() for one in made if one.eliminated]
    assert {one.eliminated for one in lost} >= {"refusal", "not parseable"}
    assert all(one.detail for one in lost)
    for variants, rankings in chains.values():
        assert all(ranking.scores or ranking.reason for ranking in rankings)
        assert variants[0].eliminated is None
