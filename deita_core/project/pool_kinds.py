"""How much of a pool is of kinds of text that the light scorers did not learn from."""

from __future__ import annotations

from deita_core.project.store import Project
from deita_core.scoring.light.familiar import CODE_SIGNS, Learnt, PoolKinds, learnt, unfamiliar

_LIGHT = "deita-studio/light-%"
# So many rows are looked at, evenly spread: for a share that is enough, and a page waits for it.
_LOOKED_AT = 50_000

_ROWS = """
SELECT count(*), count(*) FILTER (language <> $1), mode(language) FILTER (language <> $1),
       count(*) FILTER (regexp_matches(messages, $2)),
       count(*) FILTER (turns > 1), count(*) FILTER (tools IS NOT NULL)
FROM conversations WHERE row % $3 = 0
"""

_TURNS = """
SELECT count(*) FILTER (instruction_characters > 0),
       count(*) FILTER (instruction_characters > 0
                        AND instruction_characters NOT BETWEEN $1 AND $2),
       count(*) FILTER (response_characters > 0),
       count(*) FILTER (response_characters > 0 AND response_characters NOT BETWEEN $3 AND $4)
FROM turns WHERE row % $5 = 0
"""


def pool_kinds(project: Project, known: Learnt) -> PoolKinds:
    """The counts; of a pool above 50,000 rows those of every second, every third row and so on."""
    step = -(-project.number("SELECT count(*) FROM conversations") // _LOOKED_AT) or 1
    ((rows, *of_rows),) = project.rows(_ROWS, known.language, CODE_SIGNS, step)
    bounds = (*known.instruction_characters, *known.response_characters)
    (of_turns,) = project.rows(_TURNS, *bounds, step)
    return PoolKinds(rows, *of_rows, *of_turns)


def unfamiliar_to_light(project: Project) -> tuple[str, ...]:
    """How the pool differs from what the light scorers learnt from, a sentence each.

    None where it does not, and where scores of other scorers are the ones in use.
    """
    used = project.values("SELECT id FROM models WHERE active AND role <> 'embedding'")
    light = project.number(
        "SELECT count(*) FROM models WHERE active AND role <> 'embedding' AND id LIKE ?", _LIGHT
    )
    if used and not light:
        return ()
    known = learnt()
    return unfamiliar(pool_kinds(project, known), known)
