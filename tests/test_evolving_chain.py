"""Chains: methods by seed, elimination with a second try, an end where nothing comes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_core.errors import EvolvingError, ModelError
from deita_core.evolving.chain import evolve_chain, kept
from deita_core.evolving.plan import EvolvePlan
from deita_core.evolving.prompts import our_prompts
from deita_core.evolving.variant import Seed, Variant
from deita_core.models.chat import ChatAnswer, ChatRequest
from tests.scripted_chat import Said, ScriptedChat, as_json, in_turn, said_to

SEED = Seed(7, 3, 0, "Name three rivers of Asia.", "Ganges, Mekong, Indus.")
COMPLEXITY = EvolvePlan(kind="complexity")
QUALITY = EvolvePlan(kind="quality")
DEPTHS = {"constraints", "deepen", "concretise", "reasoning"}


def grown(request: ChatRequest) -> str:
    """The text to work on with one more sentence that no earlier round has."""
    part = "response" if "RESPONSE TO WORK ON" in said_to(request) else "instruction"
    text = said_to(request).rpartition("<<<\n")[2].partition("\n>>>")[0]
    return as_json(**{part: f"{text} Part {len(text)} compares lake number {len(text)} with it."})


def evolve(chat: ScriptedChat, seed: Seed = SEED, plan: EvolvePlan = COMPLEXITY) -> list[Variant]:
    return asyncio.run(evolve_chain(chat, seed, plan, our_prompts()))


def fates(variants: list[Variant]) -> list[tuple[int, int, str | None]]:
    return [(v.round, v.attempt, v.eliminated) for v in variants]


def test_a_seed_and_five_rounds_make_six_variants_each_grown_from_the_one_before():
    chat = ScriptedChat(grown)
    variants = evolve(chat)
    assert fates(variants) == [(n, 0, None) for n in range(6)]
    assert [v.parent for v in variants] == [None, 0, 1, 2, 3, 4]
    for parent, child in pairwise(variants):
        assert child.instruction.startswith(parent.instruction)
    assert variants[0].response == SEED.response
    assert all(v.response is None for v in variants[1:])
    assert {v.chain for v in variants} == {7}


def test_each_variant_says_how_it_came_to_be():
    chat = ScriptedChat(grown)
    variants = evolve(chat)
    for variant, request in zip(variants[1:], chat.asked, strict=True):
        assert variant.request == request.key(chat.id)
        assert variant.model == chat.id
        assert variant.prompts == our_prompts().version
        assert variant.method in DEPTHS
        task = our_prompts().file.evolve.complexity.methods[variant.method].task
        assert task in said_to(request)
        assert variant.prompt_tokens == len(said_to(request))
        assert request.schema is not None


def test_responses_evolve_under_an_instruction_that_stays():
    variants = evolve(ScriptedChat(grown), plan=QUALITY)
    assert len(kept(variants)) == 6
    assert {v.instruction for v in variants} == {SEED.instruction}
    assert len({v.response for v in variants}) == 6


def test_a_failed_round_is_tried_once_more_with_another_method():
    copy = as_json(instruction=SEED.instruction)
    new = as_json(instruction="Compare three Asian rivers by length, in a table.")
    variants = evolve(in_turn([copy, new]), plan=COMPLEXITY.model_copy(update={"rounds": 1}))
    assert fates(variants) == [(0, 0, None), (1, 0, "copy"), (1, 1, None)]
    first, second = variants[1:]
    assert first.method != second.method
    assert first.request != second.request
    assert first.instruction == SEED.instruction


def test_with_one_method_only_the_second_try_asks_the_same_as_another_draw():
    chat = ScriptedChat(lambda _: as_json(instruction=""))
    plan = EvolvePlan(kind="complexity", methods=("deepen",))
    variants = evolve(chat, plan=plan)
    assert [v.method for v in variants[1:]] == ["deepen", "deepen"]
    assert len({request.key("m") for request in chat.asked}) == 2


def test_a_chain_ends_after_two_failures_of_a_round_and_nothing_is_made_up():
    answers = [grown_text("one"), grown_text("two"), "no", as_json(instruction="  ")]
    variants = evolve(in_turn(answers))
    assert fates(variants)[1:] == [
        (1, 0, None),
        (2, 0, None),
        (3, 0, "not parseable"),
        (3, 1, "empty"),
    ]
    assert len(kept(variants)) == 3
    assert variants[3].instruction == "no"


def grown_text(word: str) -> str:
    return as_json(instruction=f"{SEED.instruction} {(word + ' ') * 2}more islands and seas")


@pytest.mark.parametrize(
    ("answer", "fate", "detail"),
    [
        (ChatAnswer(None, "the server said 500"), "failed", "the server said 500"),
        (ChatAnswer('{"instruction": "Name', cut=True), "too long", "broke off at 1,600 tokens"),
        ("I'm sorry, but I can't help with that.", "refusal", "begins by refusing"),
        ("", "empty", "nothing to be seen"),
        ('{"question": "Name six rivers."}', "not parseable", "'instruction'"),
        ('{"instruction": 6}', "not parseable", "no JSON object with a text"),
    ],
)
def test_an_answer_without_a_variant_in_it_has_its_reason(answer: Said, fate: str, detail: str):
    variants = evolve(ScriptedChat(lambda _: answer))
    assert [v.eliminated for v in variants] == [None, fate, fate]
    assert detail in str(variants[1].detail)


def test_a_seed_that_cannot_start_comes_back_alone_and_nothing_is_asked():
    chat = ScriptedChat(grown)
    (alone,) = evolve(chat, replace(SEED, response=None), QUALITY)
    assert (alone.eliminated, alone.detail) == ("empty", "the seed has no response")
    (alone,) = evolve(chat, replace(SEED, instruction="river " * 2000))
    assert alone.eliminated == "too long"
    assert "2,4" in str(alone.detail)
    assert chat.asked == []


def test_what_ends_the_run_is_no_fate_of_a_variant():
    def refuse(_: ChatRequest) -> Said:
        raise ModelError("the key is refused")

    with pytest.raises(ModelError, match="the key is refused"):
        evolve(ScriptedChat(refuse))


def test_evolved_instructions_are_answered_when_asked_for():
    def answer(request: ChatRequest) -> str:
        return grown(request) if request.schema else f"Answer to: {said_to(request)}"

    chat = ScriptedChat(answer)
    plan = EvolvePlan(kind="complexity", rounds=2, answer_instructions=True)
    variants = evolve(chat, plan=plan)
    assert [v.response for v in variants[1:]] == [
        f"Answer to: {v.instruction}" for v in variants[1:]
    ]
    evolved, answered = chat.asked[:2]
    assert (variants[1].request, variants[1].answer_request) == (
        evolved.key(chat.id),
        answered.key(chat.id),
    )
    assert variants[1].prompt_tokens == len(said_to(evolved)) + len(said_to(answered))


def test_an_instruction_that_only_meets_a_refusal_is_eliminated():
    chat = ScriptedChat(lambda r: grown(r) if r.schema else "I'm sorry, but I cannot do that.")
    plan = EvolvePlan(kind="complexity", answer_instructions=True)
    variants = evolve(chat, plan=plan)
    assert fates(variants)[1:] == [(1, 0, "refusal"), (1, 1, "refusal")]
    assert variants[1].detail == "the answer to it: it begins by refusing"


def test_the_method_is_drawn_by_seed_and_not_by_the_number_of_the_chain():
    def methods(seed: Seed, draw: int) -> list[str | None]:
        plan = EvolvePlan(kind="complexity", seed=draw)
        return [v.method for v in evolve(ScriptedChat(grown), seed, plan)]

    assert methods(SEED, 1) == methods(replace(SEED, chain=99, row=5), 1)
    assert len({tuple(methods(SEED, draw)) for draw in range(8)}) > 4


def test_over_many_chains_every_method_comes_about_as_often():
    plan = EvolvePlan(kind="complexity")
    among = our_prompts().methods(plan)
    drawn = [plan.method(among, f"text {n}", 1, ()) for n in range(2000)]
    assert set(drawn) == DEPTHS
    assert all(420 < drawn.count(method) < 580 for method in DEPTHS)


def test_a_schedule_says_the_method_of_each_round():
    schedule = ("reasoning", "deepen", "breadth")
    plan = EvolvePlan(kind="complexity", rounds=3, schedule=schedule)
    assert [v.method for v in evolve(ScriptedChat(grown), plan=plan)[1:]] == list(schedule)


def test_breadth_is_drawn_only_when_asked_for():
    plan = EvolvePlan(kind="complexity", breadth=True)
    assert set(our_prompts().methods(plan)) == DEPTHS | {"breadth"}
    assert set(our_prompts().methods(COMPLEXITY)) == DEPTHS
    with pytest.raises(EvolvingError, match="no method 'speed' for quality: choose from helpful"):
        our_prompts().methods(EvolvePlan(kind="quality", methods=("speed",)))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "beauty"}, "kind of a plan: .*got 'beauty'"),
        ({"kind": "quality", "rounds": 6}, "rounds of a plan: .*less than or equal to 5, got 6"),
        ({"kind": "quality", "breadth": True}, "for the kind 'complexity'"),
        ({"kind": "quality", "schedule": ["depth"]}, "5 of them, got 1"),
        ({"kind": "quality", "speed": 1}, r"no 'speed' \(known: kind, rounds"),
    ],
)
def test_a_plan_that_cannot_be_says_why(values: dict[str, object], said: str):
    with pytest.raises(EvolvingError, match=said):
        EvolvePlan.model_validate(values)


ANSWERS = st.lists(
    st.one_of(
        st.builds(
            lambda words: as_json(instruction=" ".join(words)),
            st.lists(st.sampled_from(["river", "lake", "map", "the", "of"]), max_size=12),
        ),
        st.text(max_size=20),
        st.just(ChatAnswer(None, "gone")),
    ),
    min_size=10,
    max_size=10,
)


@given(ANSWERS)
def test_whatever_is_answered_the_chain_holds_together_and_replays(answers: list[Said]):
    plan = EvolvePlan(kind="complexity", seed=3)
    chat = in_turn(answers)
    variants = evolve(chat, plan=plan)
    known = {r.key(chat.id): a for r, a in zip(chat.asked, answers, strict=False)}
    assert evolve(ScriptedChat(lambda r: known[r.key(chat.id)]), plan=plan) == variants

    good = kept(variants)
    assert [v.round for v in good] == list(range(len(good)))
    assert all((v.detail is None) == (v.eliminated is None) for v in variants)
    tries = [sum(v.round == n for v in variants) for n in range(1, 6)]
    assert max(tries) <= 2
    if len(good) < 6:
        assert tries[len(good) - 1] == 2  # both tries of the round after the last kept
        assert sum(tries[len(good) :]) == 0
