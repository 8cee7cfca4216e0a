"""The prompts of evolving, ranking and tagging: one file, ours or the user's, checked when read.

The file is TOML (see `prompts.toml`). A text holds names in braces, each of which stands for what
is put there; other braces are just braces. What is put there is never looked at again, so a text
of the pool that holds such a name changes nothing.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from deita_core.errors import EvolvingError
from deita_core.evolving.plan import KINDS, EvolvePlan, Kind
from deita_core.models.chat import Speaker
from deita_core.similarity.words import words

Messages = tuple[tuple[Speaker, str], ...]
OUR_PROMPTS: Final = Path(__file__).with_name("prompts.toml")
MOST_CHARACTERS: Final = 200_000
# A variant with as many words in a row out of a prompt gave it away.
LEAK_WORDS: Final = 8

_NAME = re.compile(r"\{([a-z_]+)\}")
# What has to stand where, and what may.
_NEEDED: Final[Mapping[str, frozenset[str]]] = {
    "evolve.complexity": frozenset({"task", "instruction"}),
    "evolve.quality": frozenset({"task", "instruction", "response"}),
    "rank.complexity": frozenset({"variants"}),
    "rank.quality": frozenset({"instruction", "variants"}),
    "score.complexity": frozenset({"instruction"}),
    "score.quality": frozenset({"instruction", "response"}),
    "tags": frozenset({"instruction"}),
    "nodes": frozenset({"instruction"}),
    "repair": frozenset({"problem"}),
}
_ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "rank.complexity": frozenset({"count"}),
    "rank.quality": frozenset({"count"}),
}

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_MethodKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Method(_Part):
    """What to do in a round. breadth: it leads to another instruction, and is drawn on request."""

    source: _Text
    task: _Text
    breadth: bool = False


class Prompt(_Part):
    """What is said. source: where the idea is from. system: may be empty."""

    source: _Text
    system: str = ""
    user: _Text


class EvolvePrompt(Prompt):
    """The frame of every round of a kind, and its methods by key."""

    methods: dict[_MethodKey, Method] = Field(min_length=1)


class OfBothKinds(_Part):
    complexity: Prompt
    quality: Prompt


class EvolveBoth(_Part):
    complexity: EvolvePrompt
    quality: EvolvePrompt


class PromptFile(_Part):
    """A file of prompts as it is written. labels: headings that must not turn up in a variant."""

    version: Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,40}$")]
    labels: tuple[_Text, ...] = ()
    evolve: EvolveBoth
    rank: OfBothKinds
    score: OfBothKinds
    tags: Prompt
    nodes: Prompt
    repair: Prompt


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts that can be used. text: of their file.

    version: as declared, and the first 8 digits of the SHA-256 of the text, so that a changed file
    has another version whatever it declares. labels: as lists of words. runs: every run of
    `LEAK_WORDS` words of the frames and tasks of evolving.
    """

    version: str
    text: str
    file: PromptFile
    labels: tuple[tuple[str, ...], ...]
    runs: frozenset[tuple[str, ...]]

    def methods(self, plan: EvolvePlan) -> tuple[str, ...]:
        """The methods that may be drawn, in the order of the file.

        Raises EvolvingError for a method of the plan that the prompts do not have.
        """
        known = self._evolve(plan.kind).methods
        for key in (*plan.methods, *plan.schedule):
            if key not in known:
                raise EvolvingError(
                    f"the prompts {self.version} have no method {key!r} for {plan.kind}: "
                    f"choose from {', '.join(known)}"
                )
        if plan.methods:
            return tuple(key for key in known if key in plan.methods)
        allowed = tuple(key for key, m in known.items() if plan.breadth or not m.breadth)
        if not allowed:
            raise EvolvingError(
                f"all methods of the prompts {self.version} for {plan.kind} lead to another "
                "instruction: allow breadth, or name methods"
            )
        return allowed

    def evolve(self, kind: Kind, method: str, instruction: str, response: str | None) -> Messages:
        """What is asked in a round."""
        prompt = self._evolve(kind)
        given = {"task": prompt.methods[method].task, "instruction": instruction}
        return _filled(prompt, given | ({"response": response or ""} if kind == "quality" else {}))

    def rank(self, kind: Kind, instruction: str, shown: Sequence[tuple[str, str]]) -> Messages:
        """What is asked of all variants together. shown: letters and texts, in that order."""
        prompt = self.file.rank.complexity if kind == "complexity" else self.file.rank.quality
        variants = "\n\n".join(f"{letter}\n<<<\n{text}\n>>>" for letter, text in shown)
        given = {"instruction": instruction, "variants": variants, "count": str(len(shown))}
        return _filled(prompt, given)

    def score(self, kind: Kind, instruction: str, response: str | None) -> Messages:
        """What is asked of one variant alone."""
        prompt = self.file.score.complexity if kind == "complexity" else self.file.score.quality
        return _filled(prompt, {"instruction": instruction, "response": response or ""})

    def tags(self, instruction: str) -> Messages:
        """What is asked for tags."""
        return _filled(self.file.tags, {"instruction": instruction})

    def nodes(self, instruction: str) -> Messages:
        """What is asked for a tree of the instruction."""
        return _filled(self.file.nodes, {"instruction": instruction})

    def repair(self, asked: Messages, answered: str, problem: str) -> Messages:
        """What was asked and answered, and that the answer cannot be used."""
        again = _filled(self.file.repair, {"problem": problem})
        return (*asked, ("assistant", answered), *again)

    def _evolve(self, kind: Kind) -> EvolvePrompt:
        return self.file.evolve.complexity if kind == "complexity" else self.file.evolve.quality


def _filled(prompt: Prompt, given: Mapping[str, str]) -> Messages:
    said = _NAME.sub(lambda found: given[found[1]], prompt.user)
    system = prompt.system.strip()
    return ((("system", system),) if system else ()) + (("user", said),)


@lru_cache(maxsize=1)
def our_prompts() -> Prompts:
    """The prompts that come with Deita Studio."""
    return read_prompts(OUR_PROMPTS.read_text(encoding="utf-8"), OUR_PROMPTS.name)


def load_prompts(path: Path | None = None) -> Prompts:
    """The prompts of a user's file, or ours. EvolvingError for a file that cannot be used."""
    if path is None:
        return our_prompts()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EvolvingError(
            f"the prompts {path} cannot be read: {error}. Name a text file in UTF-8"
        ) from error
    return read_prompts(text, path.name)


def read_prompts(text: str, name: str = "the prompts") -> Prompts:
    """Prompts out of the text of their file. EvolvingError says what is wrong, and where.

    name: of the file, for what is said of it.
    """
    if len(text) > MOST_CHARACTERS:
        raise EvolvingError(
            f"{name} has {len(text):,} characters, at most {MOST_CHARACTERS:,} are read: shorten it"
        )
    try:
        file = PromptFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise EvolvingError(f"{name} is no TOML: {error}. Start from a copy of ours") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise EvolvingError(
            f"{name}, {where}: {first['msg'].lower()}. Start from a copy of ours"
        ) from error
    for where, prompt in _placed(file).items():
        _check_names(name, where, prompt)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    labels = tuple(tuple(found) for label in file.labels if (found := words(label)))
    return Prompts(f"{file.version}+{digest[:8]}", text, file, labels, _runs(file))


def _placed(file: PromptFile) -> dict[str, Prompt]:
    """Every prompt of the file by its place."""
    found: dict[str, Prompt] = {"tags": file.tags, "nodes": file.nodes, "repair": file.repair}
    for group in ("evolve", "rank", "score"):
        found |= {f"{group}.{kind}": getattr(getattr(file, group), kind) for kind in KINDS}
    return found


def _check_names(name: str, where: str, prompt: Prompt) -> None:
    needed, there = _NEEDED[where], set(_NAME.findall(prompt.user))
    allowed = needed | _ALLOWED.get(where, frozenset())
    if missing := sorted(needed - there):
        raise EvolvingError(f"{name}, {where}.user: {{{missing[0]}}} has to stand in it")
    if unknown := sorted(there - allowed):
        known = ", ".join(f"{{{each}}}" for each in sorted(allowed))
        raise EvolvingError(
            f"{name}, {where}.user: nothing is known for {{{unknown[0]}}}, only for {known}"
        )
    fixed = {f"{where}.system": prompt.system}
    if isinstance(prompt, EvolvePrompt):
        fixed |= {f"{where}.methods.{key}.task": m.task for key, m in prompt.methods.items()}
    for place, text in fixed.items():
        if found := _NAME.search(text):
            raise EvolvingError(f"{name}, {place}: {found[0]} stands for nothing here, take it out")


def _runs(file: PromptFile) -> frozenset[tuple[str, ...]]:
    """Runs of words of what is said while evolving, of each piece between the names by itself."""
    frames = (file.evolve.complexity, file.evolve.quality)
    texts = [piece for frame in frames for piece in _NAME.split(frame.user)[::2]]
    texts += [frame.system for frame in frames]
    texts += [method.task for frame in frames for method in frame.methods.values()]
    return frozenset(run for text in texts for run in runs_of(words(text)))


def runs_of(found: Sequence[str]) -> set[tuple[str, ...]]:
    """Every run of `LEAK_WORDS` words."""
    last = len(found) - LEAK_WORDS
    return {tuple(found[start : start + LEAK_WORDS]) for start in range(last + 1)}
