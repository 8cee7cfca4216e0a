"""Runs that evolve seeds of the pool: begun once, gone on with, and what each has come to.

Such a run is an evolution: seeds that were chosen once, and for each its chain. A worker hands over
chains that are finished, with the answers it was given; a batch that comes twice changes nothing.
Runs have a counter of their own and leave the data version alone: the pool is as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from deita_core import people
from deita_core.conversation import without_surrogates
from deita_core.errors import ProjectError
from deita_core.evolving.variant import Ranking, Seed, Variant
from deita_core.models.spending import Spent
from deita_core.project.answers import add_answers
from deita_core.project.store import Project, check_name, count_up, next_number, none_such, now

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

EVOLUTIONS_VERSION: Final = "evolutions_version"
BEGIN: Final = "begin an evolution"


@dataclass(frozen=True, slots=True)
class EvolutionPlan:
    """What tells a run apart: under the same name, only the same plan goes on.

    kind: "complexity" or "quality". model: see `Chat.id`. prompts: their version. spec: JSON of all
    that decides what is asked.
    """

    kind: str
    model: str
    prompts: str
    rounds: int
    spec: str


@dataclass(frozen=True, slots=True)
class Evolution:
    """A run, and what it has come to.

    unfit: rows that were due as seeds and passed over, by reason. chains: its seeds; done: those
    with nothing left to ask; complete: of these, with a variant kept in the last round; ranked:
    with at least one pass that gave scores. kept: variants without the seeds; eliminated: attempts
    that were. requests: answers that this run paid for, and their tokens. made: UTC.
    """

    evolution: int
    name: str
    kind: str
    model: str
    prompts: str
    rounds: int
    spec: str
    unfit: Mapping[str, int]
    author: str
    made: datetime
    chains: int
    done: int
    complete: int
    ranked: int
    kept: int
    eliminated: int
    requests: int
    prompt_tokens: int
    answer_tokens: int

    def sentence(self) -> str:
        """Its counts in words."""
        tokens = self.prompt_tokens + self.answer_tokens
        return (
            f"{self.done:,} of {self.chains:,} chains done, {self.complete:,} of them to the last "
            f"round, {self.ranked:,} ranked; {self.kept:,} variants kept, {self.eliminated:,} "
            f"eliminated; {self.requests:,} requests, {tokens:,} tokens"
        )


# beginning, and going on


def begin_evolution(
    project: Project,
    name: str,
    plan: EvolutionPlan,
    seeds: Sequence[tuple[int, int]],
    *,
    unfit: Mapping[str, int] | None = None,
    author: str = "",
) -> int:
    """Make a run of these seeds (row, turn); returns its number.

    unfit: why rows were passed over, and how many. author: of who logged in, it is their own name
    whatever is given here. Raises ProjectError for a name that is taken, and for no seeds.
    """
    name = check_name(name, "evolution")
    if not seeds:
        raise ProjectError("an evolution needs seeds, and there are none: import or choose rows")
    what: dict[str, Any] = {"name": name, "kind": plan.kind, "model": plan.model}
    with project.transaction("curator", BEGIN, what, changes_data=False) as cursor:
        if cursor.execute("SELECT 1 FROM evolutions WHERE name = ?", [name]).fetchall():
            raise ProjectError(f"there is an evolution {name!r} already: choose another name")
        number = next_number(cursor, "evolutions", "evolution")
        cursor.execute(
            "INSERT INTO evolutions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                number,
                name,
                plan.kind,
                plan.model,
                plan.prompts,
                plan.rounds,
                plan.spec,
                json.dumps(dict(unfit or {}), ensure_ascii=False),
                people.author(author),
                now(),
            ],
        )
        cursor.execute(
            "INSERT INTO chains SELECT $1, unnest(range(len($2))), unnest($2), unnest($3), false",
            [number, [row for row, _ in seeds], [turn for _, turn in seeds]],
        )
        count_up(cursor, EVOLUTIONS_VERSION)
        what |= {"evolution": number, "seeds": len(seeds), "unfit": dict(unfit or {})}
    return number


def same_evolution(project: Project, name: str, plan: EvolutionPlan) -> int | None:
    """The number of the run of this name and plan, None when there is none of the name.

    Raises ProjectError when the run of this name has another plan, naming what differs.
    """
    found = project.rows(
        "SELECT evolution, kind, model, prompts, rounds, spec FROM evolutions WHERE name = ?", name
    )
    if not found:
        return None
    number, *rest = found[0]
    before = EvolutionPlan(*rest)
    other = [key for key, value in asdict(plan).items() if getattr(before, key) != value]
    if other:
        raise ProjectError(
            f"the evolution {name!r} was begun with another plan ({', '.join(other)} differ): "
            "give this one another name"
        )
    return int(number)


def seeds_left(project: Project, evolution: int, *, below: int | None = None) -> list[Seed]:
    """The seeds of the chains that are not done, with their texts, in the order of the chains.

    below: only of chains with a lower number.
    """
    from deita_core.conversation import Conversation

    found = project.rows(
        "SELECT h.chain, h.row, h.turn, c.messages, c.tools FROM chains h "
        "JOIN conversations c USING (row) WHERE h.evolution = ? AND NOT h.done "
        "AND (? IS NULL OR h.chain < ?) ORDER BY h.chain",
        evolution,
        below,
        below,
    )
    seeds = []
    for chain, row, turn, messages, tools in found:
        said = Conversation.from_json(messages, tools).turns[turn]
        seeds.append(Seed(chain, row, turn, said.instruction, said.response))
    return seeds


def reopen_failed(project: Project, evolution: int) -> int:
    """Let chains be done again in which a request failed, or a pass gave no scores; returns how
    many. What was answered is known, so only what was not is asked for again."""
    with project.transaction("curator", None, changes_data=False) as cursor:
        reopened = cursor.execute(
            "UPDATE chains SET done = false WHERE evolution = $1 AND done AND chain IN ("
            "SELECT chain FROM variants WHERE evolution = $1 AND eliminated = 'failed' UNION "
            "SELECT chain FROM rankings WHERE evolution = $1 AND reason IS NOT NULL) "
            "RETURNING chain",
            [evolution],
        ).fetchall()
        count_up(cursor, EVOLUTIONS_VERSION)
    return len(reopened)


def paid_by(project: Project, evolution: int) -> Spent:
    """What a run has spent so far: the answers that it was the first to ask for."""
    found = project.rows(
        "SELECT count(*), coalesce(sum(prompt_tokens), 0)::BIGINT, "
        "coalesce(sum(answer_tokens), 0)::BIGINT FROM answers WHERE evolution = ?",
        evolution,
    )[0]
    return Spent(requests=found[0], prompt_tokens=found[1], answer_tokens=found[2])


def add_chains(
    project: Project,
    evolution: int,
    chains: Sequence[int],
    variants: pa.Table,
    rankings: pa.Table,
    answers: pa.Table,
) -> None:
    """Keep finished chains and the answers behind them; chains that are there are replaced.

    variants, rankings: as `variant_table` and `ranking_table` make them. answers: as
    `models.answers.answers_table` does.
    """
    with project.transaction("curator", None, changes_data=False) as cursor:
        query = "SELECT model FROM evolutions WHERE evolution = ?"
        ((model,),) = cursor.execute(query, [evolution]).fetchall()
        add_answers(cursor, answers, model, evolution)
        which = [evolution, list(chains)]
        for table, rows in (("variants", variants), ("rankings", rankings)):
            cursor.execute(
                f"DELETE FROM {table} WHERE evolution = ? "  # noqa: S608 - only names of ours go in
                "AND chain IN (SELECT unnest(?::INTEGER[]))",
                which,
            )
            cursor.register("arriving", rows)
            cursor.execute(
                f"INSERT INTO {table} BY NAME SELECT ?::INTEGER AS evolution, * FROM arriving",  # noqa: S608 - only names of ours go in
                [evolution],
            )
            cursor.unregister("arriving")
        cursor.execute(
            "UPDATE chains SET done = true "
            "WHERE evolution = ? AND chain IN (SELECT unnest(?::INTEGER[]))",
            which,
        )
        count_up(cursor, EVOLUTIONS_VERSION)


def variant_table(variants: Iterable[Variant]) -> pa.Table:
    """Variants as `add_chains` takes them."""
    import pyarrow as pa

    whole, small, text = pa.int64(), pa.int32(), pa.string()
    schema = pa.schema(
        [(name, small) for name in ("chain", "round", "attempt", "parent")]
        + [(name, text) for name in ("method", "instruction", "response", "eliminated")]
        + [(name, text) for name in ("detail", "request", "answer_request", "model", "prompts")]
        + [("prompt_tokens", whole), ("answer_tokens", whole), ("seconds", pa.float64())]
    )
    return pa.Table.from_pylist([_storable(asdict(one)) for one in variants], schema)


def ranking_table(rankings: Iterable[Ranking]) -> pa.Table:
    """Rankings as `add_chains` takes them."""
    import pyarrow as pa

    small, text = pa.int32(), pa.string()
    schema = pa.schema(
        [
            ("chain", small),
            ("draw", small),
            ("direct", pa.bool_()),
            ("shown", pa.list_(small)),
            ("rounds", pa.list_(small)),
            ("scores", pa.list_(pa.float64())),
            ("reason", text),
            ("requests", pa.list_(text)),
            ("model", text),
            ("prompts", text),
        ]
    )
    rows = [
        {
            "chain": one.chain,
            "draw": one.draw,
            "direct": one.direct,
            "shown": list(one.order),
            "rounds": sorted(one.scores),
            "scores": [one.scores[place] for place in sorted(one.scores)],
            "reason": one.reason,
            "requests": list(one.requests),
            "model": one.model,
            "prompts": one.prompts,
        }
        for one in rankings
    ]
    return pa.Table.from_pylist([_storable(row) for row in rows], schema)


def _storable(record: Mapping[str, Any]) -> dict[str, Any]:
    return {k: without_surrogates(v) if isinstance(v, str) else v for k, v in record.items()}


# what there is

_RUNS = """
WITH attempts AS (
    SELECT evolution, count(*) FILTER (eliminated IS NULL AND round > 0) AS kept,
           count(*) FILTER (eliminated IS NOT NULL) AS eliminated
    FROM variants GROUP BY evolution),
last AS (
    SELECT evolution, chain, max(round) FILTER (eliminated IS NULL) AS round
    FROM variants GROUP BY ALL),
ranked AS (
    SELECT evolution, count(DISTINCT chain) AS chains FROM rankings WHERE reason IS NULL
    GROUP BY evolution),
paid AS (
    SELECT evolution, count(*) AS requests, sum(prompt_tokens)::BIGINT AS prompt_tokens,
           sum(answer_tokens)::BIGINT AS answer_tokens FROM answers GROUP BY evolution),
begun AS (
    SELECT h.evolution, count(*) AS chains, count(*) FILTER (h.done) AS done,
           count(*) FILTER (h.done AND l.round = e.rounds) AS complete
    FROM chains h JOIN evolutions e USING (evolution)
    LEFT JOIN last l ON l.evolution = h.evolution AND l.chain = h.chain GROUP BY h.evolution)
SELECT e.evolution, e.name, e.kind, e.model, e.prompts, e.rounds, e.spec, e.unfit, e.author, e.made,
       b.chains, b.done, b.complete, coalesce(r.chains, 0), coalesce(a.kept, 0),
       coalesce(a.eliminated, 0), coalesce(p.requests, 0), coalesce(p.prompt_tokens, 0),
       coalesce(p.answer_tokens, 0)
FROM evolutions e JOIN begun b USING (evolution) LEFT JOIN attempts a USING (evolution)
LEFT JOIN ranked r USING (evolution) LEFT JOIN paid p USING (evolution) ORDER BY e.evolution DESC
"""


_UNFIT = 7  # its place in a row of the query


def evolutions(project: Project) -> list[Evolution]:
    """Every run with its counts, newest first."""
    found = [list(row) for row in project.rows(_RUNS)]
    for row in found:
        row[_UNFIT] = json.loads(row[_UNFIT])
    return [Evolution(*row) for row in found]


def find_evolution(project: Project, name: str) -> Evolution:
    """A run by name; ProjectError that lists the names there are."""
    known = {one.name: one for one in evolutions(project)}
    if name not in known:
        raise ProjectError(none_such("evolution", name, known, "make it with `deita evolve`"))
    return known[name]


def evolutions_version(project: Project) -> int:
    """A number that grows with every change of a run: the key of what depends on them."""
    return project.counter(EVOLUTIONS_VERSION)


def seed_rows(project: Project, evolution: int) -> NDArray[np.int32]:
    """The rows of the pool that the seeds are from, (n,) in the order of the chains."""
    query = "SELECT row FROM chains WHERE evolution = ? ORDER BY chain"
    found: NDArray[np.int32] = project.arrays(query, evolution)["row"]
    return found


@dataclass(frozen=True, slots=True)
class Eliminated:
    """How many attempts with a method were eliminated for a reason."""

    reason: str
    method: str
    variants: int


def eliminations(project: Project, evolution: int) -> list[Eliminated]:
    """Attempts eliminated, by reason and method; most frequent first."""
    found = project.rows(
        "SELECT eliminated, method, count(*) FROM variants "
        "WHERE evolution = ? AND eliminated IS NOT NULL GROUP BY ALL ORDER BY 3 DESC, 1, 2",
        evolution,
    )
    return [Eliminated(*row) for row in found]


@dataclass(frozen=True, slots=True)
class CostLeft:
    """What the chains that are not done will take, by those that are.

    chains: left. prompt_tokens, answer_tokens, money: for all of them; money: None without prices.
    seconds: at the pace so far, None where that is not known. measured: chains it was learnt from;
    with none of them the numbers are 0.
    """

    chains: int
    measured: int
    prompt_tokens: int
    answer_tokens: int
    money: float | None
    seconds: float | None

    def sentence(self) -> str:
        """In words."""
        if not self.chains:
            return "all chains are done"
        if not self.measured:
            return f"{self.chains:,} chains are left; no chain is done, so their cost is unknown"
        tokens = self.prompt_tokens + self.answer_tokens
        money = "" if self.money is None else f", {self.money:,.2f} in the currency of the prices"
        time = "" if self.seconds is None else f", {self.seconds / 60:,.0f} min at the pace so far"
        return (
            f"the {self.chains:,} chains that are left take about {tokens:,} tokens{money}{time} "
            f"(by the {self.measured:,} that are done)"
        )


_PER_CHAIN = """
WITH asked AS (
    SELECT DISTINCT v.chain, unnest(v.keys) AS key FROM (
        SELECT chain, [request, answer_request] AS keys FROM variants WHERE evolution = $1
        UNION ALL SELECT chain, requests FROM rankings WHERE evolution = $1) v)
SELECT coalesce(sum(a.prompt_tokens), 0)::BIGINT, coalesce(sum(a.answer_tokens), 0)::BIGINT
FROM asked JOIN answers a USING (key)
"""


def cost_left(
    project: Project,
    evolution: int,
    *,
    price_in: float | None = None,
    price_out: float | None = None,
) -> CostLeft:
    """What is still to come, from what the chains done have cost.

    price_in, price_out: of a million tokens. An answer counts for its chain whoever paid for it.
    """
    done, left = project.rows(
        "SELECT count(*) FILTER (done), count(*) FILTER (NOT done) FROM chains WHERE evolution = ?",
        evolution,
    )[0]
    if not done or not left:
        return CostLeft(left, done, 0, 0, None, None)
    tokens = [round(one / done * left) for one in project.rows(_PER_CHAIN, evolution)[0]]
    money = None
    if price_in is not None and price_out is not None:
        money = (tokens[0] * price_in + tokens[1] * price_out) / 1e6
    worked = _worked_seconds(project, evolution)
    seconds = worked / done * left if worked else None
    return CostLeft(left, done, tokens[0], tokens[1], money, seconds)


def _worked_seconds(project: Project, evolution: int) -> float:
    """How long the jobs of the run have worked."""
    query = (
        "SELECT sum(epoch(j.finished) - epoch(j.started)) FROM jobs j, evolutions e "
        "WHERE e.evolution = ? AND j.kind = 'evolve' AND j.started IS NOT NULL "
        "AND j.finished IS NOT NULL AND j.parameters ->> '$.name' = e.name"
    )
    found = project.values(query, evolution)[0]
    return float(found or 0.0)
