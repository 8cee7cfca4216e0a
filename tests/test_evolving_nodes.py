"""Instruction nodes: a tree out of a model's answer, checked before it counts."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_core.evolving.asking import UnusableError
from deita_core.evolving.nodes import instruction_nodes, read_nodes
from deita_core.evolving.prompts import our_prompts
from tests.scripted_chat import in_turn

LETTER = [("write", -1), ("a letter", 0), ("to a neighbour", 1), ("about noise", 1), ("short", 1)]


def as_nodes(nodes: list[tuple[str, int]]) -> str:
    return json.dumps({"nodes": [{"text": text, "above": above} for text, above in nodes]})


def test_the_size_of_the_tree_is_the_number_of_notions():
    chat = in_turn([as_nodes(LETTER)])
    reply = asyncio.run(instruction_nodes(chat, "Write a short letter.", our_prompts()))
    assert reply.value is not None
    assert (len(reply.value), reply.value.depth) == (5, 3)
    assert reply.value.texts[0] == "write"
    assert reply.requests == (chat.asked[0].key(chat.id),)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("write > letter", 'list "nodes"'),
        (as_nodes([]), "0 nodes, not 1 to 300"),
        (as_nodes([("n", -1)] + [("n", 0)] * 300), "301 nodes"),
        (as_nodes([("write", 0)]), "root comes first and has -1 above it, got 0"),
        (as_nodes([("write", -1), ("read", -1)]), "above node 1 has to be one before it, got -1"),
        (as_nodes([("write", -1), ("a letter", 1)]), "above node 1 .* got 1"),
        (as_nodes([("write", -1), (" ", 0)]), "node 1 has no text"),
        ('{"nodes": [{"text": "write", "above": true}]}', "node 0 has no whole number"),
        ('{"nodes": ["write"]}', "node 0 has no text"),
    ],
)
def test_what_is_no_tree_is_refused(answer: str, problem: str):
    with pytest.raises(UnusableError, match=problem):
        read_nodes(answer)


def test_after_one_repair_in_vain_there_is_a_reason():
    chat = in_turn(["no", "no"])
    reply = asyncio.run(instruction_nodes(chat, "Write.", our_prompts()))
    assert reply.value is None
    assert str(reply.reason).startswith("not usable, nor after one repair: it is not one JSON")


@given(st.lists(st.integers(-2, 6), min_size=1, max_size=6))
def test_whatever_is_read_is_a_tree(above: list[int]):
    try:
        tree = read_nodes(as_nodes([(f"n{n}", a) for n, a in enumerate(above)]))
    except UnusableError:
        assert above[0] != -1 or any(not 0 <= a < n for n, a in enumerate(above) if n)
        return
    for node in range(len(tree)):
        steps = 0
        while node:
            node, steps = tree.above[node], steps + 1
            assert steps < len(tree)
    assert 1 <= tree.depth <= len(tree)
