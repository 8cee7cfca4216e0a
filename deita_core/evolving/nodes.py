"""Instruction nodes: how many notions an instruction is made of, as a tree that a model draws.

Tree-Instruct (arXiv 2308.05696) counts the nodes of an instruction's semantic tree; Deita has the
count as a baseline of complexity. A parser of syntax does not give it: its trees have a node for
each word, so that their size is the length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from deita_core.evolving.asking import Question, Reply, UnusableError, ask_for
from deita_core.evolving.prompts import Prompts
from deita_core.evolving.reading import object_schema, read_object
from deita_core.models.chat import Chat

MOST_NODES: Final = 300
_ANSWER_TOKENS: Final = 2048


@dataclass(frozen=True, slots=True)
class NodeTree:
    """texts: of the nodes, the root first. above: the place of the node above each, or -1."""

    texts: tuple[str, ...]
    above: tuple[int, ...]

    def __len__(self) -> int:
        """How many nodes there are: the complexity."""
        return len(self.texts)

    @property
    def depth(self) -> int:
        """Nodes on the longest way down from the root, the root included."""
        depths: list[int] = []
        for above in self.above:
            depths.append(1 if above < 0 else depths[above] + 1)
        return max(depths)


async def instruction_nodes(chat: Chat, instruction: str, prompts: Prompts) -> Reply[NodeTree]:
    """The tree of an instruction, or why there is none. Raises ModelError if the model does."""
    node = {
        "type": "object",
        "properties": {"text": {"type": "string"}, "above": {"type": "integer"}},
        "required": ["text", "above"],
        "additionalProperties": False,
    }
    schema = object_schema({"nodes": {"type": "array", "items": node}})
    question = Question(prompts.nodes(instruction), schema, read_nodes, _ANSWER_TOKENS)
    return await ask_for(chat, question, prompts)


def read_nodes(answer: str) -> NodeTree:
    """The tree of an answer: one root, first, and every node behind the one above it.

    UnusableError for another form, more than 300 nodes, and nodes without text.
    """
    found = (read_object(answer) or {}).get("nodes")
    if not isinstance(found, list):
        raise UnusableError('it is not one JSON object with a list "nodes"')
    if not 1 <= len(found) <= MOST_NODES:
        raise UnusableError(f"it has {len(found)} nodes, not 1 to {MOST_NODES}")
    nodes = [_node(place, given) for place, given in enumerate(found)]
    return NodeTree(tuple(text for text, _ in nodes), tuple(above for _, above in nodes))


def _node(place: int, given: Any) -> tuple[str, int]:
    text = given.get("text") if isinstance(given, dict) else None
    above = given.get("above") if isinstance(given, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise UnusableError(f"node {place} has no text")
    if isinstance(above, bool) or not isinstance(above, int):
        raise UnusableError(f"node {place} has no whole number as the node above it")
    if place == 0 and above != -1:
        raise UnusableError(f"the root comes first and has -1 above it, got {above}")
    if place > 0 and not 0 <= above < place:
        raise UnusableError(f"above node {place} has to be one before it, got {above}")
    return text.strip(), above
