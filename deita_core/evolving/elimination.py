"""Why a variant is eliminated: each rule with its definition, in the order in which they are asked.

WizardLM (arXiv 2304.12244, Elimination Evolving) drops what brings nothing new, apologies, answers
of stop words and punctuation, and what repeats words of the prompt. Here each has a definition
that a program decides, without another request:

- empty: nothing in it but white space and invisible characters.
- refusal: it begins by refusing (`describe.is_refusal`), or with an apology of somebody who then
  says in the same sentence what they cannot do, whatever it is.
- nonsense: no word in it that is not an English stop word, or one passage fills it over and over.
- prompt leaked: a label of the prompts stands in it, or 8 words in a row out of them, that did not
  stand in the parent.
- too long: more tokens (`describe.approximate_tokens`) than the plan's limit, or more than
  `most_growth` times its parent's and what is free; or the answer broke off at its limit.
- copy: the same words in the same order as in the parent or an earlier round, whatever the case,
  the spaces and the punctuation, or nearly: 19 of 20 words are common to both, in order.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from deita_core.describe import approximate_tokens, is_refusal, is_repeated
from deita_core.evolving.plan import EvolvePlan, part_of
from deita_core.evolving.prompts import Prompts, runs_of
from deita_core.evolving.variant import Elimination, EvolvedPart
from deita_core.similarity.words import words

NEARLY: Final = 0.95
# A short text may grow by more than its own length: "Why?" may become a sentence.
FREE_TOKENS: Final[Mapping[EvolvedPart, int]] = {"instruction": 100, "response": 500}
# Words that by themselves say nothing, as `words` has them ("don't" is "don" and "t").
_STOP_WORDS = (
    "a about above after again all also am an and any are as at be because been before being below "
    "between both but by can could d did do does doing don down during each else even every few "
    "for from further had has have having he her here hers herself him himself his how however i "
    "if in into is it its itself just ll m may me might more most much must my myself no nor not "
    "now of off on once only or other our ours ourselves out over own re s same shall she should "
    "so some such t than that the their theirs them themselves then there these they this those "
    "through to too under until up upon us ve very was we were what when where which while who "
    "whom whose why will with would you your yours yourself yourselves"
)
STOP_WORDS: Final = frozenset(_STOP_WORDS.split())


_SORRY_I_CANNOT = re.compile(
    r"\W*(?:i'?m |i am )?(?:(?:very |so |really )?sorry|i apologi[sz]e|my apologies|apologies)\b"
    r"[^.!?\n]{0,80}?"
    r"\bi(?: (?:cannot|can not|can't|won't|will not)|(?:'m| am) (?:unable|not able))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a text is eliminated, and the same in a sentence that has the figures."""

    reason: Elimination
    detail: str


def find_fault(
    text: str, parents: Sequence[str], plan: EvolvePlan, prompts: Prompts
) -> Fault | None:
    """The first rule that a new text breaks, or None when it is kept.

    parents: what was kept before it in its chain, the parent last.
    """
    return (
        unusable(text)
        or _leaked(text, parents[-1], prompts)
        or _too_long(text, parents[-1], plan)
        or _copied(text, parents)
    )


def unusable(text: str) -> Fault | None:
    """The rules that need the text alone: empty, refusal, nonsense."""
    if not any(_is_visible(sign) for sign in text):
        return Fault("empty", "there is nothing to be seen in it")
    if is_refusal(text) or _SORRY_I_CANNOT.match(text.replace("’", "'")):
        return Fault("refusal", "it begins by refusing")
    found = words(text)
    if not found:
        return Fault("nonsense", "there is no word in it")
    if STOP_WORDS.issuperset(found):
        return Fault("nonsense", "there are only stop words in it")
    if is_repeated(text):
        return Fault("nonsense", "it says the same thing over and over")
    return None


def seed_fault(instruction: str, response: str | None, plan: EvolvePlan) -> Fault | None:
    """Why a turn cannot start a chain: a text is missing, or too long for a variant.

    The response counts only where it is what evolves.
    """
    for part, text in (("instruction", instruction), ("response", response)):
        if part == "response" and part_of(plan.kind) != "response":
            continue
        if text is None or not any(_is_visible(sign) for sign in text):
            return Fault("empty", f"the seed has no {part}")
        tokens, most = approximate_tokens(text), plan.most_tokens
        if tokens > most:
            said = f"the {part} of the seed has about {tokens:,} tokens, at most {most:,} may be"
            return Fault("too long", said)
    return None


def _is_visible(sign: str) -> bool:
    return not sign.isspace() and unicodedata.category(sign) not in {"Cc", "Cf"}


def _leaked(text: str, parent: str, prompts: Prompts) -> Fault | None:
    here, before = words(text), words(parent)
    for label in prompts.labels:
        if _stands_in(label, here) and not _stands_in(label, before):
            return Fault("prompt leaked", f"{' '.join(label)!r} of the prompt stands in it")
    if leaked := (runs_of(here) & prompts.runs) - runs_of(before):
        return Fault("prompt leaked", f"{' '.join(min(leaked))!r} of the prompt stands in it")
    return None


def _stands_in(label: tuple[str, ...], found: Sequence[str]) -> bool:
    wide = len(label)
    return any(tuple(found[at : at + wide]) == label for at in range(len(found) - wide + 1))


def _too_long(text: str, parent: str, plan: EvolvePlan) -> Fault | None:
    tokens, before = approximate_tokens(text), approximate_tokens(parent)
    if tokens > plan.most_tokens:
        return Fault(
            "too long", f"it has about {tokens:,} tokens, at most {plan.most_tokens:,} may be"
        )
    grown = round(plan.most_growth * before) + FREE_TOKENS[part_of(plan.kind)]
    if tokens > grown:
        return Fault(
            "too long",
            f"it has about {tokens:,} tokens, at most {grown:,} may be after {before:,}",
        )
    return None


def _copied(text: str, parents: Sequence[str]) -> Fault | None:
    here = words(text)
    for back, parent in enumerate(reversed(parents)):
        which = "its parent" if back == 0 else "an earlier round"
        there = words(parent)
        if here == there:
            return Fault("copy", f"it has the words of {which}")
        matcher = SequenceMatcher(None, there, here, autojunk=False)
        if matcher.quick_ratio() >= NEARLY and (ratio := matcher.ratio()) >= NEARLY:
            return Fault("copy", f"{ratio:.0%} of its words are those of {which}")
    return None
