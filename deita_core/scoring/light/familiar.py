"""What the light scorers learnt from, and how far a pool is from it.

Their ratings come from short, single English turns. On other texts they still give numbers, which
say less; how much of a pool is of another kind can be counted without running them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deita_core.errors import ModelError

LEARNT = Path(__file__).parent / "weights" / "learnt.json"
# A share of a pool worth a sentence; also at least so many times what was seen in training.
NOTABLE, TIMES = 0.1, 3.0
# Signs of code in the JSON of messages, where a line break is written \n (RE2 and Python alike):
# a fence, or a line that begins as one of a program or ends in a brace or semicolon.
CODE_SIGNS = (
    r"```|\\n[ ]*(?:def |class |import |#include|public |private |function |SELECT |</)"
    r"|[;{}](?:\\n[ ]*)+[;{}]"
)

Range = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
Share = Annotated[float, Field(ge=0, le=1)]


class Learnt(BaseModel):
    """The rated rows that the light scorers were fitted on.

    language: of all of them. instruction_characters, response_characters: the range in which all
    but 1 % of them lie. code: share of rows with signs of code.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: Annotated[int, Field(ge=1)]
    language: str
    instruction_characters: Range
    response_characters: Range
    code: Share


@dataclass(frozen=True, slots=True)
class PoolKinds:
    """What kinds of rows and turns a pool has, in counts.

    other_language: rows whose language is known and another; most_common_other: the one that most
    of them have. code: rows with signs of code. several_turns, tools: rows with more than one
    turn, with tools. instructions, responses: those with text; *_outside: shorter or longer than
    `Learnt` says.
    """

    rows: int
    other_language: int
    most_common_other: str | None
    code: int
    several_turns: int
    tools: int
    instructions: int
    instructions_outside: int
    responses: int
    responses_outside: int


def learnt(path: Path = LEARNT) -> Learnt:
    """What the shipped weights learnt from; ModelError when the file is missing or damaged."""
    try:
        return Learnt.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelError(
            f"{path.name} beside the weights of the light scorers cannot be read: "
            "restore the folder from the repository, or install the package again"
        ) from error


def unfamiliar(pool: PoolKinds, known: Learnt) -> tuple[str, ...]:
    """A sentence for each kind of text that the pool has much of and the light scorers did not
    learn from, the largest share first; none where there is nothing to say."""
    other = f" (most often {pool.most_common_other})" if pool.most_common_other else ""
    instructions, responses = known.instruction_characters, known.response_characters
    found = (
        (pool.other_language, pool.rows, 0.0, f"of the rows are not in English{other}"),
        (pool.several_turns, pool.rows, 0.0, "of the rows have several turns"),
        (pool.tools, pool.rows, 0.0, "of the rows come with tools"),
        (pool.code, pool.rows, known.code, "of the rows have code in them"),
        (pool.instructions_outside, pool.instructions, 0.01, _beyond("instructions", instructions)),
        (pool.responses_outside, pool.responses, 0.01, _beyond("responses", responses)),
    )
    shares = [(part / whole if whole else 0.0, usual, said) for part, whole, usual, said in found]
    notable = [one for one in shares if one[0] >= max(NOTABLE, TIMES * one[1])]
    notable.sort(key=lambda one: -one[0])
    return tuple(f"{100 * share:.0f} % {said}" for share, _, said in notable)


def _beyond(what: str, usual: Range) -> str:
    low, high = usual
    return f"of the {what} are shorter than {low:,} or longer than {high:,} characters"
