"""Chains of a run: by page, and each whole, with fates, ranks, and corrections by hand.

A score of a variant is the one that a person gave it last, else the mean over the passes that
ranked its chain together, else what was said of it alone. Corrections are lines that are never
changed or deleted; taking one back appends the line that brings back what stood before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from deita_core import people
from deita_core.errors import ProjectError
from deita_core.evolving.variant import Ranking, Variant
from deita_core.project.evolutions import EVOLUTIONS_VERSION
from deita_core.project.store import Project, count_up, next_number, now

CORRECT: Final = "correct a rank"
LOWEST, HIGHEST = 1.0, 6.0


@dataclass(frozen=True, slots=True)
class ChainFilter:
    """Which chains of a run. eliminated: with an attempt eliminated for this reason. complete: to
    the last round, or not. ranked: with a pass that gave scores, or not. None: any."""

    eliminated: str | None = None
    complete: bool | None = None
    ranked: bool | None = None


@dataclass(frozen=True, slots=True)
class ChainLine:
    """A chain in a list.

    row, turn: its seed. preview: of the row. last: the last round with a variant kept, None while
    the chain is not done. kept: rounds with one, the seed's not counted; reasons: why attempts were
    eliminated, one for each. passes: that gave scores; refused: that did not.
    """

    chain: int
    row: int
    turn: int
    preview: str
    done: bool
    last: int | None
    kept: int
    reasons: tuple[str, ...]
    passes: int
    refused: int


@dataclass(frozen=True, slots=True)
class RankEdit:
    """A correction by hand. score: None takes the earlier ones back. before: what stood until then;
    replaces: the number of the correction that it stands in for. made: UTC."""

    number: int
    round: int
    score: float | None
    before: float | None
    replaces: int | None
    why: str
    author: str
    who: str
    made: datetime


@dataclass(frozen=True, slots=True)
class VariantScore:
    """What is known of a variant's rank, 1 to 6; None for what is not.

    mean: over the passes; spread: between the highest and the lowest of them. direct: mean of what
    was said of it alone. hand: the correction that stands.
    """

    mean: float | None
    spread: float | None
    direct: float | None
    hand: RankEdit | None

    @property
    def score(self) -> float | None:
        """The one that counts."""
        if self.hand is not None and self.hand.score is not None:
            return self.hand.score
        return self.mean if self.mean is not None else self.direct


@dataclass(frozen=True, slots=True)
class ChainView:
    """A chain, whole. variants: the seed first, then every attempt. scores: by round, of those that
    were kept. edits: every correction, newest first."""

    line: ChainLine
    variants: tuple[Variant, ...]
    rankings: tuple[Ranking, ...]
    scores: Mapping[int, VariantScore]
    edits: tuple[RankEdit, ...]

    @property
    def kept(self) -> tuple[Variant, ...]:
        """The seed and the variants that were kept, by round."""
        return tuple(one for one in self.variants if one.eliminated is None)


_LINES = """
WITH v AS (
    SELECT chain, max(round) FILTER (eliminated IS NULL) AS last,
           count(*) FILTER (eliminated IS NULL AND round > 0) AS kept,
           list(eliminated ORDER BY round, attempt) FILTER (eliminated IS NOT NULL) AS reasons
    FROM variants WHERE evolution = $1 GROUP BY chain),
r AS (
    SELECT chain, count(*) FILTER (reason IS NULL) AS passes,
           count(*) FILTER (reason IS NOT NULL) AS refused
    FROM rankings WHERE evolution = $1 AND NOT direct GROUP BY chain)
SELECT h.chain, h.row, h.turn, c.preview, h.done, v.last, coalesce(v.kept, 0),
       coalesce(v.reasons, []), coalesce(r.passes, 0), coalesce(r.refused, 0)
FROM chains h JOIN evolutions e USING (evolution) JOIN conversations c USING (row)
LEFT JOIN v ON v.chain = h.chain LEFT JOIN r ON r.chain = h.chain
WHERE h.evolution = $1 AND ($2 IS NULL OR list_contains(v.reasons, $2))
  AND ($3 IS NULL OR (h.done AND v.last = e.rounds) = $3)
  AND ($4 IS NULL OR (coalesce(r.passes, 0) > 0) = $4)
"""


def count_chains(project: Project, evolution: int, which: ChainFilter | None = None) -> int:
    """How many chains of a run pass the filter."""
    return project.number(
        f"SELECT count(*) FROM ({_LINES})",  # noqa: S608 - only names of ours go in
        *_given(evolution, which),
    )


def chain_lines(
    project: Project,
    evolution: int,
    which: ChainFilter | None = None,
    *,
    limit: int = 50,
    offset: int = 0,
) -> list[ChainLine]:
    """A page of the chains of a run, in their order."""
    found = project.rows(
        f"{_LINES} ORDER BY h.chain LIMIT $5 OFFSET $6", *_given(evolution, which), limit, offset
    )
    return [_line(row) for row in found]


def _given(evolution: int, which: ChainFilter | None) -> tuple[Any, ...]:
    which = which or ChainFilter()
    return evolution, which.eliminated, which.complete, which.ranked


def _line(row: tuple[Any, ...]) -> ChainLine:
    chain, seed, turn, preview, done, last, kept, reasons, passes, refused = row
    return ChainLine(chain, seed, turn, preview, done, last, kept, tuple(reasons), passes, refused)


def chain_view(project: Project, evolution: int, chain: int) -> ChainView:
    """A chain, whole; ProjectError when the run has none of this number."""
    found = project.rows(f"{_LINES} AND h.chain = $5", *_given(evolution, None), chain)
    if not found:
        last = project.number("SELECT max(chain) FROM chains WHERE evolution = ?", evolution)
        raise ProjectError(f"there is no chain {chain}: they are numbered from 0 to {last}")
    variants = variants_of(project, evolution, chain)
    rankings = rankings_of(project, evolution, chain)
    edits = _edits(project, evolution, chain)
    scores = _scores(variants, rankings, edits)
    return ChainView(_line(found[0]), tuple(variants), tuple(rankings), scores, tuple(edits))


def variants_of(project: Project, evolution: int, chain: int | None = None) -> list[Variant]:
    """The variants of a chain, or of all of a run: by chain, round and attempt."""
    found = project.rows(
        "SELECT chain, round, attempt, parent, method, instruction, response, eliminated, detail, "
        "request, answer_request, model, prompts, prompt_tokens, answer_tokens, seconds "
        "FROM variants "
        "WHERE evolution = $1 AND ($2 IS NULL OR chain = $2) ORDER BY chain, round, attempt",
        evolution,
        chain,
    )
    return [Variant(*row) for row in found]


def rankings_of(project: Project, evolution: int, chain: int | None = None) -> list[Ranking]:
    """The rankings of a chain, or of all of a run: by chain, those together first, by pass."""
    found = project.rows(
        "SELECT chain, draw, shown, rounds, scores, reason, direct, requests, model, prompts "
        "FROM rankings "
        "WHERE evolution = $1 AND ($2 IS NULL OR chain = $2) "
        "ORDER BY chain, direct, draw, rounds, requests",
        evolution,
        chain,
    )
    return [
        Ranking(
            chain,
            draw,
            tuple(shown),
            dict(zip(rounds, scores, strict=True)),
            reason,
            direct,
            tuple(requests),
            model,
            prompts,
        )
        for chain, draw, shown, rounds, scores, reason, direct, requests, model, prompts in found
    ]


# scores, and their corrections


def scores_of(project: Project, evolution: int) -> dict[int, Mapping[int, VariantScore]]:
    """The scores of a run's variants that were kept, by chain and round."""
    of: dict[int, tuple[list[Variant], list[Ranking], list[RankEdit]]] = {}
    for one in variants_of(project, evolution):
        of.setdefault(one.chain, ([], [], []))[0].append(one)
    for ranking in rankings_of(project, evolution):
        of.setdefault(ranking.chain, ([], [], []))[1].append(ranking)
    chains = "SELECT DISTINCT chain FROM rank_edits WHERE evolution = ?"
    for chain in project.values(chains, evolution):
        of[chain][2].extend(_edits(project, evolution, chain))
    return {chain: _scores(*parts) for chain, parts in of.items()}


def _scores(
    variants: list[Variant], rankings: list[Ranking], edits: list[RankEdit]
) -> dict[int, VariantScore]:
    found = {}
    for round in sorted({one.round for one in variants if one.eliminated is None}):
        together = [r.scores[round] for r in rankings if not r.direct and round in r.scores]
        alone = [r.scores[round] for r in rankings if r.direct and round in r.scores]
        hand = next((one for one in edits if one.round == round), None)
        found[round] = VariantScore(
            _mean(together),
            max(together) - min(together) if together else None,
            _mean(alone),
            None if hand is None or hand.score is None else hand,
        )
    return found


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _edits(project: Project, evolution: int, chain: int) -> list[RankEdit]:
    found = project.rows(
        "SELECT number, round, score, before, replaces, why, author, who, made FROM rank_edits "
        "WHERE evolution = ? AND chain = ? ORDER BY number DESC",
        evolution,
        chain,
    )
    return [RankEdit(*row) for row in found]


def correct_rank(
    project: Project,
    evolution: int,
    chain: int,
    round: int,
    score: float | None,
    *,
    why: str = "",
    author: str = "",
) -> int:
    """Give a variant a rank by hand, or with None take the corrections back; returns its number.

    score: 1 to 6. Raises ProjectError for another one, for a variant that was not kept, and where
    nothing would change.
    """
    view = chain_view(project, evolution, chain)
    if round not in view.scores:
        kept = ", ".join(map(str, view.scores)) or "none"
        raise ProjectError(
            f"chain {chain} has no variant kept in round {round} (kept are {kept}): choose another"
        )
    if score is not None and not LOWEST <= score <= HIGHEST:
        raise ProjectError(f"a rank is {LOWEST:g} to {HIGHEST:g}, got {score:g}")
    standing = view.scores[round]
    by_hand = standing.hand.score if standing.hand else None
    if score == by_hand:
        raise ProjectError(
            f"round {round} of chain {chain} has no correction to take back"
            if score is None
            else f"round {round} of chain {chain} was given {score:g} already"
        )
    return _append_edit(project, evolution, chain, round, score, standing, why, author)


def undo_correction(project: Project, number: int, *, author: str = "") -> int:
    """Bring back what stood before a correction that still stands; returns the new one's number.

    Raises ProjectError when there is none of this number, or a later one stands.
    """
    found = project.rows(
        "SELECT e.evolution, e.chain, e.round, (SELECT max(l.number) FROM rank_edits l "
        "WHERE l.evolution = e.evolution AND l.chain = e.chain AND l.round = e.round), r.score "
        "FROM rank_edits e LEFT JOIN rank_edits r ON r.number = e.replaces WHERE e.number = ?",
        number,
    )
    if not found:
        raise ProjectError(f"there is no correction {number}: look at its chain")
    evolution, chain, round, last, score = found[0]
    if last != number:
        raise ProjectError(f"correction {number} was replaced by {last}: undo that one")
    standing = chain_view(project, evolution, chain).scores[round]
    return _append_edit(project, evolution, chain, round, score, standing, "undone", author)


def _append_edit(
    project: Project,
    evolution: int,
    chain: int,
    round: int,
    score: float | None,
    standing: VariantScore,
    why: str,
    author: str,
) -> int:
    what: dict[str, Any] = {"evolution": evolution, "chain": chain, "round": round, "score": score}
    with project.transaction("reviewer", CORRECT, what, changes_data=False) as cursor:
        number = next_number(cursor, "rank_edits", "number")
        replaces = cursor.execute(
            "SELECT max(number) FROM rank_edits WHERE evolution = ? AND chain = ? AND round = ?",
            [evolution, chain, round],
        ).fetchall()[0][0]
        person = people.current_person() or people.local_person()
        given = [number, evolution, chain, round, score, standing.score, replaces, why]
        cursor.execute(
            "INSERT INTO rank_edits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [*given, people.reviewer(author), person.label, now()],
        )
        count_up(cursor, EVOLUTIONS_VERSION)
        what |= {"before": standing.score, "number": number}
    return number
