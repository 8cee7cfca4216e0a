"""The longest instructions: length as a stand-in for complexity."""

from __future__ import annotations

from collections.abc import Generator

from deita_core.selection.passes import pass_steps
from deita_core.selection.progress import FilterProgress
from deita_core.selection.status import SelectionTrace
from deita_core.selection.strategies.longest_response import longest_first
from deita_core.selection.strategies.protocol import Candidates, Choice


class LongestInstructionStrategy:
    """Instruction length alone: characters of all instructions of a conversation, added up over
    its turns. Ties go to the lower row number.
    """

    name = "longest_instruction"
    label = "Longest instruction"
    phrase = "by longest instruction"
    source = (
        "The instruction length baseline of Deita (arXiv 2312.15685): most characters in the "
        "instructions of all turns."
    )
    uses_threshold = False
    uses_score = False
    needs_graph = False
    needs_clusters = False
    duplicate_of = ""

    def steps(
        self, candidates: Candidates, choice: Choice
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`."""
        order = longest_first(candidates, candidates.instruction_characters, "instruction")
        return (yield from pass_steps(order, candidates, choice, threshold=None))
