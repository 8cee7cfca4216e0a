"""A chain: a seed, made harder or better round by round, as long as it can be done.

Each round asks the chat model for one rewriting of what the last round kept. A rewriting that is
eliminated is tried once more with another method; fails that as well, the chain ends there, and
has fewer variants. Every attempt is returned with its fate. The same seed, plan, prompts and
answers give the same chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deita_core.evolving.elimination import Fault, find_fault, seed_fault, unusable
from deita_core.evolving.plan import EvolvePlan, key_of, part_of
from deita_core.evolving.prompts import Prompts
from deita_core.evolving.reading import object_schema, read_text
from deita_core.evolving.variant import Seed, Variant
from deita_core.models.chat import Chat, ChatAnswer, ChatRequest

ATTEMPTS = 2


async def evolve_chain(chat: Chat, seed: Seed, plan: EvolvePlan, prompts: Prompts) -> list[Variant]:
    """The seed as round 0, then every attempt in order; see `kept` for those that are left.

    A seed that cannot evolve (no response, too long) comes back alone, eliminated, and nothing is
    asked. Raises EvolvingError for a method that the prompts do not have, and ModelError when the
    chat model does.
    """
    among = prompts.methods(plan)
    first = Variant(seed.chain, 0, 0, None, None, seed.instruction, seed.response)
    if fault := seed_fault(seed.instruction, seed.response, plan):
        return [_eliminated(first, fault)]
    found = [first]
    for round_ in range(1, plan.rounds + 1):
        attempts = await _round(_Round(chat, plan, prompts, among, kept(found), round_))
        found += attempts
        if attempts[-1].eliminated:
            break
    return found


def kept(variants: Sequence[Variant]) -> list[Variant]:
    """The variants of a chain that were not eliminated, by round; the seed first."""
    return [variant for variant in variants if variant.eliminated is None]


@dataclass(frozen=True, slots=True)
class _Round:
    """What a round needs. so_far: what was kept before it, the parent last."""

    chat: Chat
    plan: EvolvePlan
    prompts: Prompts
    among: tuple[str, ...]
    so_far: list[Variant]
    number: int

    @property
    def parent(self) -> Variant:
        return self.so_far[-1]


async def _round(here: _Round) -> list[Variant]:
    """The attempts of a round, the last of them kept, or all eliminated."""
    start = key_of(here.so_far[0].instruction, here.so_far[0].response)
    found: list[Variant] = []
    tried: list[str] = []
    while len(found) < ATTEMPTS and (not found or found[-1].eliminated):
        tried.append(here.plan.method(here.among, start, here.number, tried))
        variant = await _attempt(here, tried[-1], len(found))
        if variant.eliminated is None and here.plan.answer_instructions:
            variant = await _answered(here, variant)
        found.append(variant)
    return found


async def _attempt(here: _Round, method: str, attempt: int) -> Variant:
    plan, parent, part = here.plan, here.parent, part_of(here.plan.kind)
    request = ChatRequest(
        here.prompts.evolve(plan.kind, method, parent.instruction, parent.response),
        max_tokens=plan.request_tokens,
        temperature=plan.temperature,
        schema=object_schema({part: {"type": "string"}}),
        draw=plan.draw(attempt),
    )
    answer = await here.chat.ask(request)
    text, fault = _judged(here, answer)
    whole = part == "instruction"
    variant = Variant(
        chain=parent.chain,
        round=here.number,
        attempt=attempt,
        parent=parent.round,
        method=method,
        instruction=text if whole else parent.instruction,
        response=None if whole else text,
        request=request.key(here.chat.id),
        model=here.chat.id,
        prompts=here.prompts.version,
        prompt_tokens=answer.prompt_tokens,
        answer_tokens=answer.answer_tokens,
        seconds=answer.seconds,
    )
    return _eliminated(variant, fault) if fault else variant


def _judged(here: _Round, answer: ChatAnswer) -> tuple[str, Fault | None]:
    """The text that an answer holds, and what is wrong with it."""
    if answer.text is None:
        return "", Fault("failed", answer.reason or "no answer came")
    text = read_text(answer.text, part_of(here.plan.kind))
    if text is not None:
        parents = [_evolved(variant, here.plan) or "" for variant in here.so_far]
        return text.strip(), find_fault(text, parents, here.plan, here.prompts)
    return answer.text, _unreadable(answer.text, answer.cut, here.plan)


def _unreadable(text: str, cut: bool, plan: EvolvePlan) -> Fault:
    """What is wrong with an answer that holds no such text: refused in prose, broken off, other."""
    if cut:
        return Fault("too long", f"the answer broke off at {plan.request_tokens:,} tokens")
    fault = unusable(text)
    if fault and fault.reason in {"empty", "refusal"}:
        return fault
    return Fault("not parseable", f"it is no JSON object with a text {part_of(plan.kind)!r}")


async def _answered(here: _Round, variant: Variant) -> Variant:
    """The variant with a response to its instruction; one that cannot be answered is eliminated."""
    request = ChatRequest(
        (("user", variant.instruction),),
        max_tokens=here.plan.answer_tokens,
        temperature=here.plan.temperature,
        draw=here.plan.draw(variant.attempt),
    )
    answer = await here.chat.ask(request)
    fault = unusable(answer.text) if answer.text is not None else None
    if answer.text is None:
        fault = Fault("failed", answer.reason or "no answer came")
    elif fault is None and answer.cut:
        fault = Fault("too long", f"it broke off at {here.plan.answer_tokens:,} tokens")
    variant = replace(
        variant,
        response=answer.text,
        answer_request=request.key(here.chat.id),
        prompt_tokens=variant.prompt_tokens + answer.prompt_tokens,
        answer_tokens=variant.answer_tokens + answer.answer_tokens,
        seconds=variant.seconds + answer.seconds,
    )
    if fault is None:
        return variant
    return _eliminated(variant, Fault(fault.reason, f"the answer to it: {fault.detail}"))


def _evolved(variant: Variant, plan: EvolvePlan) -> str | None:
    return variant.instruction if part_of(plan.kind) == "instruction" else variant.response


def _eliminated(variant: Variant, fault: Fault) -> Variant:
    return replace(variant, eliminated=fault.reason, detail=fault.detail)
