"""The variants of a chain, ranked and scored together, 1 to 6; or one at a time, as a baseline.

Together is the point of the paper's method (Deita, arXiv 2312.15685, 2.3): next to each other,
variants get finer scores than alone. They are shown under letters in an order that is drawn, and
the answer has to give each letter a whole number, no two the same. One repair is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from statistics import fmean
from string import ascii_uppercase
from typing import Any, Final

from deita_core.evolving.asking import Question, Reply, UnusableError, ask_for
from deita_core.evolving.chain import kept
from deita_core.evolving.plan import Kind, RankPlan, key_of, part_of
from deita_core.evolving.prompts import Prompts
from deita_core.evolving.reading import object_schema, read_object, read_score
from deita_core.evolving.variant import Ranking, Variant
from deita_core.models.chat import Chat

_SCORE: Final[Mapping[str, Any]] = {"type": "integer", "enum": [1, 2, 3, 4, 5, 6]}


async def rank_chain(
    chat: Chat, variants: Sequence[Variant], kind: Kind, plan: RankPlan, prompts: Prompts
) -> list[Ranking]:
    """One ranking a pass of the variants that were kept; with `plan.direct` as `score_directly`.

    variants: of one chain. A pass whose answer cannot be used, repaired or not, has no scores and
    a reason. A chain with fewer than two variants has one such ranking, and nothing is asked.
    Raises ModelError when the chat model does.
    """
    if plan.direct:
        return await score_directly(chat, variants, kind, plan, prompts)
    left = {variant.round: variant for variant in kept(variants)}
    if len(left) < 2:
        said = "only the seed is left of the chain" if left else "nothing is left of the chain"
        nothing: Reply[dict[int, float]] = Reply(None, f"{said}: there is nothing to compare", ())
        return [_ranking(chat, variants[0].chain, 0, tuple(left), nothing, prompts)]
    first = left[min(left)]
    found = []
    orders = plan.orders(sorted(left), key_of(first.instruction, first.response))
    for draw, order in enumerate(orders):
        letters = dict(zip(ascii_uppercase, order, strict=False))
        shown = [(letter, _text(left[round_], kind)) for letter, round_ in letters.items()]
        question = Question(
            prompts.rank(kind, first.instruction, shown),
            object_schema(dict.fromkeys(letters, _SCORE)),
            partial(read_ranking, letters=letters),
            plan.answer_tokens,
            plan.temperature,
            draw,
        )
        reply = await ask_for(chat, question, prompts)
        found.append(_ranking(chat, first.chain, draw, order, reply, prompts))
    return found


async def score_directly(
    chat: Chat, variants: Sequence[Variant], kind: Kind, plan: RankPlan, prompts: Prompts
) -> list[Ranking]:
    """One ranking a pass and variant, each with one score: the paper's baseline of 2.3 and 2.4."""
    found = []
    for draw in range(plan.passes):
        for variant in kept(variants):
            question = Question(
                prompts.score(kind, variant.instruction, variant.response),
                object_schema({"score": _SCORE}),
                partial(read_direct, round_=variant.round),
                plan.answer_tokens,
                plan.temperature,
                draw,
            )
            reply = await ask_for(chat, question, prompts)
            made = _ranking(chat, variant.chain, draw, (variant.round,), reply, prompts, True)
            found.append(made)
    return found


def _text(variant: Variant, kind: Kind) -> str:
    return variant.instruction if part_of(kind) == "instruction" else variant.response or ""


def _ranking(
    chat: Chat,
    chain: int,
    draw: int,
    order: tuple[int, ...],
    reply: Reply[dict[int, float]],
    prompts: Prompts,
    direct: bool = False,
) -> Ranking:
    return Ranking(
        chain=chain,
        draw=draw,
        order=order,
        scores=reply.value or {},
        reason=reply.reason,
        direct=direct,
        requests=reply.requests,
        model=chat.id,
        prompts=prompts.version,
    )


def read_ranking(answer: str, letters: Mapping[str, int]) -> dict[int, float]:
    """The score of each round, whole numbers of 1 to 6 that all differ.

    letters: the round that each stands for. UnusableError for an answer that leaves a letter out,
    has another one, gives something else than a score, or gives two the same.
    """
    found = _object(answer)
    if missing := [letter for letter in letters if letter not in found]:
        raise UnusableError(f"no number for {', '.join(missing)}")
    if extra := [letter for letter in found if letter not in letters]:
        raise UnusableError(f"there is no {extra[0]!r:.40} to be compared")
    scores = {letter: _score(letter, found[letter]) for letter in letters}
    for one, other in combinations(letters, 2):
        if scores[one] == scores[other]:
            raise UnusableError(f"{one} and {other} have the same number, {scores[one]}")
    return {round_: float(scores[letter]) for letter, round_ in letters.items()}


def read_direct(answer: str, round_: int) -> dict[int, float]:
    """The score of the one variant that was shown; UnusableError for an answer without one."""
    return {round_: float(_score("score", _object(answer).get("score")))}


def _object(answer: str) -> dict[str, Any]:
    found = read_object(answer)
    if found is None:
        raise UnusableError("it is not one JSON object")
    return found


def _score(name: str, value: object) -> int:
    score = read_score(value)
    if score is None:
        raise UnusableError(f"{name} has {value!r:.40}, not a whole number from 1 to 6")
    return score


def mean_scores(rankings: Iterable[Ranking]) -> dict[int, float]:
    """The mean of each round's scores over the passes of one chain that have one, 1 to 6."""
    by_round: dict[int, list[float]] = defaultdict(list)
    for ranking in rankings:
        for round_, score in ranking.scores.items():
            by_round[round_].append(score)
    return {round_: fmean(scores) for round_, scores in sorted(by_round.items())}


@dataclass(frozen=True, slots=True)
class PassAgreement:
    """How far passes order variants alike. pairs: of variants, in every two passes of a chain.

    same: of these, those in the same order in both; a pair that only one pass ties counts half.
    """

    pairs: int
    same: float

    @property
    def share(self) -> float | None:
        """same / pairs, from 0 to 1 (by chance 0.5); None without two passes."""
        return self.same / self.pairs if self.pairs else None


def agreement_of_passes(rankings: Iterable[Ranking]) -> PassAgreement:
    """Over the passes of each of any number of chains; passes without scores are left out."""
    passes: dict[tuple[int, bool], dict[int, dict[int, float]]] = defaultdict(dict)
    for ranking in rankings:
        of_chain = passes[ranking.chain, ranking.direct]
        of_chain.setdefault(ranking.draw, {}).update(ranking.scores)
    pairs, same = 0, 0.0
    for of_chain in passes.values():
        for one, other in combinations(of_chain.values(), 2):
            for a, b in combinations(sorted(one.keys() & other.keys()), 2):
                pairs += 1
                same += _alike(one[a] - one[b], other[a] - other[b])
    return PassAgreement(pairs, same)


def _alike(one: float, other: float) -> float:
    if (one == 0) != (other == 0):
        return 0.5
    return 1.0 if one * other > 0 or one == other == 0 else 0.0
