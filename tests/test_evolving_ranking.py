"""Ranking: all variants together in a drawn order, no ties, one repair, passes and their mean."""

from __future__ import annotations

import asyncio
import json
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_core.errors import EvolvingError
from deita_core.evolving.asking import UnusableError
from deita_core.evolving.plan import RankPlan
from deita_core.evolving.prompts import our_prompts
from deita_core.evolving.ranking import (
    agreement_of_passes,
    mean_scores,
    rank_chain,
    read_ranking,
)
from deita_core.evolving.variant import Ranking, Variant
from deita_core.models.chat import ChatAnswer, ChatRequest
from tests.scripted_chat import Said, ScriptedChat, as_json, in_turn, said_to

TEXTS = ["Plant.", "Plant a tree.", "Plant a tree in May.", "Plant an oak in May, in clay."]
VARIANTS = [
    Variant(4, n, 0, n - 1 if n else None, "deepen" if n else None, text, f"Done {n}.")
    for n, text in enumerate(TEXTS)
]
LETTERS = {letter: n for n, letter in enumerate("ABCDEF")}


def shown(request: ChatRequest) -> dict[str, str]:
    """The texts that a request shows, by letter."""
    parts = said_to(request).split("\n<<<\n")
    letters = [part[-1] for part in parts[:-1]]
    texts = [part.partition("\n>>>")[0] for part in parts[1:]]
    return {k: text for k, text in zip(letters, texts, strict=True) if k in "ABCDEF"}


def by_length(request: ChatRequest) -> str:
    """The longer the better, whatever the letter."""
    texts = shown(request)
    order = sorted(texts, key=lambda letter: len(texts[letter]))
    return as_json(**{letter: place + 1 for place, letter in enumerate(order)})


def rank(chat: ScriptedChat, plan: RankPlan | None = None, kind: str = "complexity",
         variants: list[Variant] = VARIANTS) -> list[Ranking]:  # fmt: skip
    return asyncio.run(rank_chain(chat, variants, kind, plan or RankPlan(), our_prompts()))  # type: ignore[arg-type]


def test_scores_go_to_the_variants_whatever_the_order_they_are_shown_in():
    for seed in range(6):
        chat = ScriptedChat(by_length)
        (ranking,) = rank(chat, RankPlan(seed=seed))
        assert ranking.scores == {0: 1, 1: 2, 2: 3, 3: 4}
        assert [VARIANTS[n].instruction for n in ranking.order] == list(
            shown(chat.asked[0]).values()
        )
        assert ranking.requests == (chat.asked[0].key(chat.id),)
        assert (ranking.model, ranking.prompts) == (chat.id, our_prompts().version)


def test_the_order_gives_nothing_away_over_many_chains():
    plan = RankPlan()
    first = [plan.orders(range(6), f"chain {n}")[0].index(0) for n in range(1200)]
    assert all(150 < first.count(place) < 250 for place in range(6))


def test_passes_show_other_orders_as_long_as_there_are_any():
    for text in map(str, range(50)):
        assert len(set(RankPlan(passes=6).orders((0, 1, 2), text))) == 6
        assert sorted(set(RankPlan(passes=3).orders((0, 1), text))) == [(0, 1), (1, 0)]


def test_the_answer_has_to_fit_a_schema_with_each_letter():
    chat = ScriptedChat(by_length)
    rank(chat)
    schema = json.loads(chat.asked[0].schema or "")
    assert schema["required"] == ["A", "B", "C", "D"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["A"] == {"type": "integer", "enum": [1, 2, 3, 4, 5, 6]}


def test_eliminated_variants_are_not_shown():
    copied = Variant(4, 4, 0, 3, "deepen", TEXTS[3], None, "copy", "it has the words")
    chat = ScriptedChat(by_length)
    (ranking,) = rank(chat, variants=[*VARIANTS, copied])
    assert sorted(ranking.order) == [0, 1, 2, 3]
    assert len(shown(chat.asked[0])) == 4


def test_responses_are_ranked_under_their_instruction():
    chat = ScriptedChat(by_length)
    rank(chat, kind="quality")
    assert "Plant.\n>>>" in said_to(chat.asked[0])
    assert sorted(shown(chat.asked[0]).values()) == [f"Done {n}." for n in range(4)]


def test_a_chain_of_one_is_not_asked_about_and_says_why():
    chat = ScriptedChat(by_length)
    (ranking,) = rank(chat, RankPlan(passes=3), variants=VARIANTS[:1])
    assert ranking.scores == {}
    assert ranking.reason == "only the seed is left of the chain: there is nothing to compare"
    assert chat.asked == []


TIED = as_json(A=1, B=2, C=2, D=4)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (TIED, "B and C have the same number, 2"),
        (as_json(A=1, B=2, C=3), "no number for D"),
        (as_json(A=1, B=2, C=3, D=4, E=5), "there is no 'E' to be compared"),
        (as_json(A=1, B=2, C=3, D=7), "D has 7, not a whole number from 1 to 6"),
        (as_json(A=1, B=2, C=3, D=2.5), "D has 2.5, not a whole number"),
        (as_json(A=1, B=2, C=3, D=True), "D has True, not a whole number"),
        ("A is best, then B.", "it is not one JSON object"),
        ('{"A": 1, "A": 2, "B": 3, "C": 4, "D": 5}', "it is not one JSON object"),
    ],
)
def test_an_answer_that_cannot_be_used_is_repaired_once(wrong: str, problem: str):
    chat = in_turn([wrong, as_json(A=4, B=3, C=2, D=1)])
    (ranking,) = rank(chat)
    assert ranking.reason is None
    assert [ranking.scores[n] for n in ranking.order] == [4, 3, 2, 1]
    first, repair = chat.asked
    assert repair.messages[:-1] == (*first.messages, ("assistant", wrong))
    assert problem in said_to(repair)
    assert ranking.requests == (first.key(chat.id), repair.key(chat.id))

    (ranking,) = rank(in_turn([wrong, wrong]))
    assert ranking.scores == {}
    assert ranking.reason == f"not usable, nor after one repair: {problem}" or problem in str(
        ranking.reason
    )


def test_an_answer_that_did_not_come_or_broke_off_says_so():
    (ranking,) = rank(in_turn([ChatAnswer(None, "timed out")]))
    assert (ranking.scores, ranking.reason, len(ranking.requests)) == ({}, "timed out", 1)
    (ranking,) = rank(in_turn([ChatAnswer('{"A": 1', cut=True)] * 2))
    assert "broke off at 256 tokens" in str(ranking.reason)


@pytest.mark.parametrize(
    "answer",
    [
        "```json\n%s\n```",
        "Here you are: %s",
        '<think>A could be {2}, or {"A": 9}.</think>\n%s',
        "%s\nI hope this helps.",
    ],
)
def test_one_object_is_read_with_whatever_stands_around_it(answer: str):
    assert read_ranking(answer % as_json(A="1", B=2.0, C=3), {"A": 0, "B": 1, "C": 2}) == {
        0: 1,
        1: 2,
        2: 3,
    }


SCORES = st.one_of(st.integers(-1, 8), st.sampled_from(["1", "6", "x", 2.0, 2.5, None, True]))


@given(st.dictionaries(st.sampled_from("ABCDEFG"), SCORES), st.integers(2, 6))
def test_what_is_read_as_a_ranking_never_has_ties_gaps_or_other_numbers(answer, count):
    letters = dict(list(LETTERS.items())[:count])
    try:
        scores = read_ranking(json.dumps(answer), letters)
    except UnusableError:
        return
    assert set(answer) == set(letters)
    assert sorted(scores) == list(range(count))
    assert len(set(scores.values())) == count
    assert set(scores.values()) <= {1, 2, 3, 4, 5, 6}


def test_every_ranking_without_ties_is_accepted():
    letters = dict(list(LETTERS.items())[:3])
    for scores in permutations(range(1, 7), 3):
        answer = json.dumps(dict(zip("ABC", scores, strict=True)))
        assert list(read_ranking(answer, letters).values()) == list(scores)


def test_direct_scoring_asks_of_each_variant_alone_and_may_tie():
    chat = ScriptedChat(lambda _: as_json(score=3))
    rankings = rank(chat, RankPlan(direct=True, passes=2))
    assert len(rankings) == len(chat.asked) == 8
    assert all(r.direct and r.scores == {r.order[0]: 3} for r in rankings)
    assert len({request.key("m") for request in chat.asked}) == 8
    assert TEXTS[3] in said_to(chat.asked[3])


def of_pass(draw: int, scores: dict[int, float], chain: int = 0) -> Ranking:
    return Ranking(chain, draw, tuple(scores), scores)


@given(st.lists(st.dictionaries(st.integers(0, 5), st.integers(1, 6)), max_size=5))
def test_means_over_passes_are_those_of_the_passes_that_have_a_score(passes):
    means = mean_scores(of_pass(n, scores) for n, scores in enumerate(passes))
    assert set(means) == set().union(*passes)
    for round_, mean in means.items():
        scores = [scores[round_] for scores in passes if round_ in scores]
        assert mean == pytest.approx(sum(scores) / len(scores))


def test_agreement_of_passes_is_the_share_of_pairs_in_the_same_order():
    up, down = {0: 1, 1: 2, 2: 3}, {0: 3, 1: 2, 2: 1}
    assert agreement_of_passes([of_pass(0, up), of_pass(1, up)]).share == 1
    assert agreement_of_passes([of_pass(0, up), of_pass(1, down)]).share == 0
    nearly = agreement_of_passes([of_pass(0, up), of_pass(1, {0: 1, 1: 3, 2: 2})])
    assert (nearly.pairs, nearly.same) == (3, 2)
    assert agreement_of_passes([of_pass(0, up), of_pass(1, up, chain=1)]).share is None
    assert agreement_of_passes([of_pass(0, up), of_pass(1, {})]).share is None
    tied = agreement_of_passes([of_pass(0, up), of_pass(1, {0: 1, 1: 1})])
    assert (tied.pairs, tied.same) == (1, 0.5)


def test_a_plan_that_cannot_be_says_why():
    with pytest.raises(EvolvingError, match=r"passes of a plan of ranking: .*got 0"):
        RankPlan(passes=0)


def test_the_same_answers_give_the_same_rankings():
    plan = RankPlan(passes=3)
    chat = ScriptedChat(lambda r: by_length(r) if len(r.messages) > 2 or r.draw else TIED)
    rankings = rank(chat, plan)
    known: dict[str, Said] = {r.key(chat.id): chat.answer(r) for r in chat.asked}
    assert rank(ScriptedChat(lambda r: known[r.key(chat.id)]), plan) == rankings
    assert len(rankings[0].requests) == 2
