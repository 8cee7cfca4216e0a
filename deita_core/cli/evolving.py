"""The commands that evolve seeds of the pool, and show, correct and use the chains."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from typer import Argument, BadParameter

from deita_core.cli.options import (
    JSON,
    ProjectOptions,
    RowOptions,
    choice,
    flag,
    ids_of,
    print_json,
    repeated,
    value,
)
from deita_core.cli.progress_bars import run_jobs
from deita_core.errors import EvolvingError
from deita_core.evolving.plan import KINDS, EvolvePlan, Kind, RankPlan
from deita_core.evolving.prompts import load_prompts
from deita_core.evolving.ranking import agreement_of_passes
from deita_core.evolving.tags import TagRule
from deita_core.evolving.variant import Variant
from deita_core.files import one_line
from deita_core.jobs.evolve_seeds import SeedChoice
from deita_core.jobs.evolved_rows import join_pool
from deita_core.jobs.kinds.evolve import PILOT, EvolveSpec
from deita_core.jobs.kinds.turn_counts import PILOT as COUNT_PILOT
from deita_core.jobs.kinds.turn_counts import NodesSpec, TagSpec
from deita_core.models.batch_chat import PRICE_SHARE
from deita_core.models.options import ModelOptions
from deita_core.models.spending import SpendingLimit
from deita_core.project import Project
from deita_core.project.evolutions import (
    CostLeft,
    Evolution,
    cost_left,
    eliminations,
    evolutions,
    find_evolution,
)
from deita_core.project.evolved_chains import (
    ChainFilter,
    ChainLine,
    ChainView,
    chain_lines,
    chain_view,
    correct_rank,
    count_chains,
    undo_correction,
)


@dataclass(frozen=True, kw_only=True)
class ChatOptions:
    """Which chat model is asked, and what it may cost."""

    model: str = value(..., "NAME", "the chat model: its name at --base-url, or local:FOLDER")
    base_url: str | None = value(None, "URL", "of an OpenAI-compatible endpoint")
    key_variable: str | None = value(
        None, "NAME", "variable with the endpoint's API key (default: DEITA_ENDPOINT_KEY)"
    )
    requests: int | None = value(None, "N", "at once at most (default: adapts to the endpoint)")
    timeout: float | None = value(None, "SECONDS", "for one answer")
    prompts: Path | None = value(None, "FILE", "prompts of your own, in TOML (see the docs)")
    most_tokens: int | None = value(None, "N", "stop before more tokens than these are spent")
    most_money: float | None = value(None, "X", "stop before more money than this is spent")
    price_in: float | None = value(None, "X", "price of a million tokens of the questions")
    price_out: float | None = value(None, "X", "price of a million tokens of the answers")
    batch: bool = flag("--batch", "by OpenAI's batch interface: within a day, at half the price")

    @property
    def chat(self) -> str:
        """The model's whole name."""
        return self.model if self.base_url is None else f"{self.model}@{self.base_url}"

    @property
    def options(self) -> ModelOptions:
        """How it runs."""
        return ModelOptions(
            requests=self.requests,
            key_variable=self.key_variable,
            timeout=self.timeout,
        )

    @property
    def limit(self) -> SpendingLimit:
        """What may be spent."""
        return SpendingLimit(
            most_tokens=self.most_tokens,
            most_money=self.most_money,
            price_in=self.price_in,
            price_out=self.price_out,
        )

    @property
    def paid(self) -> SpendingLimit:
        """The limit with the prices that are paid in the end."""
        share = PRICE_SHARE if self.batch else 1.0
        prices = {"price_in": self.price_in, "price_out": self.price_out}
        paid = {name: None if price is None else price * share for name, price in prices.items()}
        return self.limit.model_copy(update=paid)

    @property
    def prompts_text(self) -> str | None:
        """The user's prompts, checked; None for ours."""
        return None if self.prompts is None else load_prompts(self.prompts).text


def instag(
    target: ProjectOptions,
    asking: ChatOptions,
    least: int = value(1, "N", "drop tags that fewer turns have"),
    similarity: float = value(
        0.8, "T", "merge tags whose meaning is as alike, by MiniLM; 0 merges none"
    ),
    activate: bool = flag("--activate", "the number of tags is the complexity that counts"),
    pilot: bool = flag("--pilot", f"only {COUNT_PILOT} turns, and say what the rest will cost"),
) -> None:
    """Have a chat model tag each instruction, and score complexity by the number of tags."""
    rule = TagRule(least=least, similarity=similarity or None)
    spec = TagSpec(
        chat=asking.chat,
        options=asking.options,
        limit=asking.limit,
        prompts=asking.prompts_text,
        batch=asking.batch,
        rule=rule,
        activate=activate,
        first=COUNT_PILOT if pilot else None,
    )
    with target.opened() as project:
        print(run_jobs(project, [spec], quiet=target.quiet)[0].message)


def nodes(
    target: ProjectOptions,
    asking: ChatOptions,
    activate: bool = flag("--activate", "the number of nodes is the complexity that counts"),
    pilot: bool = flag("--pilot", f"only {COUNT_PILOT} turns, and say what the rest will cost"),
) -> None:
    """Have a chat model take each instruction apart, and score complexity by the nodes."""
    spec = NodesSpec(
        chat=asking.chat,
        options=asking.options,
        limit=asking.limit,
        prompts=asking.prompts_text,
        batch=asking.batch,
        activate=activate,
        first=COUNT_PILOT if pilot else None,
    )
    with target.opened() as project:
        print(run_jobs(project, [spec], quiet=target.quiet)[0].message)


def evolve(
    target: ProjectOptions,
    asking: ChatOptions,
    filters: RowOptions,
    kind: str = choice(..., KINDS, "what grows: instructions, or responses"),
    seeds: int = value(200, "N", "how many turns of the pool to start from"),
    by: str = choice(
        "spread",
        ("spread", "clusters", "random"),
        "as many of each cluster, or at random; spread is by clusters where there are some",
    ),
    id: list[str] = repeated("ID", "only these rows as seeds (@FILE: one id a line)"),
    rounds: int = value(5, "N", "of evolving, 1 to 5"),
    method: list[str] = repeated("KEY", "draw only this method"),
    schedule: str | None = value(None, "KEY,KEY,…", "the method of each round, instead of a draw"),
    breadth: bool = flag("--breadth", "draw methods that lead to another instruction, too"),
    answer: bool = flag("--answer", "answer evolved instructions, so that they make whole rows"),
    longest: int | None = value(None, "N", "tokens of a variant at most (default: 1024)"),
    passes: int = value(1, "N", "rank each chain so often, in other orders"),
    direct: bool = flag("--direct", "score variants one at a time, as the paper's baseline"),
    no_rank: bool = flag("--no-rank", "evolve only"),
    seed: int = value(0, "N", "of everything that is drawn"),
    name: str | None = value(None, "NAME", "of the run; given again, it goes on (default: KIND)"),
    pilot: bool = flag("--pilot", f"only {PILOT} chains, and say what the rest will cost"),
    again: bool = flag("--again", "do chains again in which a request failed"),
    as_json: bool = JSON,
) -> None:
    """Evolve seeds in rounds, eliminate what failed, and rank each chain."""
    if no_rank and (direct or passes != 1):
        raise BadParameter("--no-rank leaves nothing for --passes and --direct")
    plan = EvolvePlan(
        kind=cast("Kind", kind),
        rounds=rounds,
        methods=tuple(method),
        schedule=tuple(schedule.split(",")) if schedule else (),
        breadth=breadth,
        seed=seed,
        answer_instructions=answer,
        **({} if longest is None else {"most_tokens": longest}),
    )
    rank = None if no_rank else RankPlan(passes=passes, direct=direct, seed=seed)
    with target.opened() as project:
        which = SeedChoice(
            by=cast("Literal['spread', 'clusters', 'random']", by),
            size=seeds,
            filter=filters.wanted(project).to_text(),
            ids=ids_of(id),
            seed=seed,
        )
        spec = EvolveSpec(
            name=name or kind,
            plan=plan,
            rank=rank,
            seeds=which,
            chat=asking.chat,
            options=asking.options,
            limit=asking.limit,
            prompts=asking.prompts_text,
            batch=asking.batch,
            first=PILOT if pilot else None,
            again=again,
        )
        run_jobs(project, [spec], quiet=target.quiet)
        _say_run(project, find_evolution(project, spec.name), asking.paid, as_json)


def _say_run(project: Project, run: Evolution, limit: SpendingLimit, as_json: bool) -> None:
    left = cost_left(project, run.evolution, price_in=limit.price_in, price_out=limit.price_out)
    if as_json:
        print_json(_run_record(project, run, left))
        return
    print(f"{one_line(run.name)}: {run.sentence()}")
    for one in eliminations(project, run.evolution):
        print(f"  eliminated {one.variants:,} times: {one.reason} ({one.method})")
    if left.chains:
        print(left.sentence())


def _run_record(project: Project, run: Evolution, left: CostLeft | None = None) -> dict[str, Any]:
    record = {**asdict(run), "spec": json.loads(run.spec), "made": run.made.isoformat() + "Z"}
    record["eliminations"] = [asdict(one) for one in eliminations(project, run.evolution)]
    return record if left is None else {**record, "left": asdict(left)}


def chains(
    target: ProjectOptions,
    name: str | None = Argument(None, metavar="RUN", help="default: list the runs"),
    chain: int | None = value(None, "N", "show this chain whole"),
    eliminated: str | None = value(None, "REASON", "only chains with a variant eliminated so"),
    complete: bool = flag("--complete", "only chains that came to the last round"),
    broken: bool = flag("--broken", "only chains that did not"),
    ranked: bool = flag("--ranked", "only chains with ranks"),
    limit: int = value(20, "N", "chains at most"),
    offset: int = value(0, "N", "how many to leave out before"),
    correct: str | None = value(None, "ROUND=SCORE", "with --chain: give a rank by hand"),
    undo: int | None = value(None, "NUMBER", "take this correction back"),
    why: str = value("", "TEXT", "kept with the correction"),
    author: str = value("", "NAME", "who corrects (default: the user of this machine)"),
    join: str | None = choice(None, ("last", "all"), "the last variants, or all, join the pool"),
    as_json: bool = JSON,
) -> None:
    """List runs of the evolving, their chains, or one chain; correct ranks; join the pool."""
    if complete and broken:
        raise BadParameter("one of --complete, --broken")
    if correct is not None and chain is None:
        raise BadParameter("--correct needs --chain")
    with target.opened() as project:
        if undo is not None:
            number = undo_correction(project, undo, author=author)
            _say({"correction": number}, f"correction {undo} is taken back by {number}", as_json)
        elif name is None:
            _list_runs(project, as_json)
        else:
            run = find_evolution(project, name)
            if join is not None:
                _join(project, run, cast("Literal['last', 'all']", join), target.quiet, as_json)
            elif chain is not None and correct is not None:
                _correct(project, run, chain, correct, why, author, as_json)
            elif chain is not None:
                _show_chain(chain_view(project, run.evolution, chain), as_json)
            else:
                which = ChainFilter(
                    eliminated, True if complete else False if broken else None, ranked or None
                )
                _list_chains(project, run, which, limit, offset, as_json)


def _say(record: dict[str, Any], sentence: str, as_json: bool) -> None:
    if as_json:
        print_json(record)
    else:
        print(sentence)


def _list_runs(project: Project, as_json: bool) -> None:
    found = evolutions(project)
    if as_json:
        print_json([_run_record(project, one) for one in found])
        return
    for one in found:
        print(f"{one_line(one.name)} ({one.kind} by {one_line(one.model)}): {one.sentence()}")
    if not found:
        print("nothing was evolved yet")


def _list_chains(
    project: Project, run: Evolution, which: ChainFilter, limit: int, offset: int, as_json: bool
) -> None:
    lines = chain_lines(project, run.evolution, which, limit=limit, offset=offset)
    count = count_chains(project, run.evolution, which)
    if as_json:
        print_json({"chains": count, "page": [asdict(one) for one in lines]})
        return
    for one in lines:
        print(_line(one, run))
    print(f"{len(lines):,} of {count:,} chains")


def _line(one: ChainLine, run: Evolution) -> str:
    fate = f"{one.kept} of {run.rounds} rounds" if one.done else "not done"
    reasons = f", eliminated: {', '.join(one.reasons)}" if one.reasons else ""
    ranks = f", {one.passes} {'pass' if one.passes == 1 else 'passes'}" if one.passes else ""
    return one_line(f"{one.chain}: {fate}{reasons}{ranks}  {one.preview[:70]}")


def _show_chain(view: ChainView, as_json: bool) -> None:
    agreement = agreement_of_passes(view.rankings)
    if as_json:
        print_json(
            {
                **asdict(view.line),
                "variants": [_variant_record(one, view) for one in view.variants],
                "rankings": [asdict(one) for one in view.rankings],
                "edits": [{**asdict(e), "made": e.made.isoformat() + "Z"} for e in view.edits],
                "agreement": agreement.share,
            }
        )
        return
    for one in view.variants:
        score = view.scores[one.round].score if one.eliminated is None else None
        said = "seed" if one.method is None else one.method
        fate = f"eliminated, {one.eliminated}: {one.detail}" if one.eliminated else ""
        rank = f"rank {score:g}" if score is not None else ""
        print(one_line(f"[{one.round}] {said}  {rank}{fate}".rstrip()))
        print(f"    {one_line(one.instruction[:300])}")
        if one.response is not None:
            print(f"    -> {one_line(one.response[:300])}")
    for ranking in view.rankings:
        if ranking.reason:
            print(one_line(f"pass {ranking.draw} gave no ranks: {ranking.reason}"))
    if agreement.share is not None:
        print(f"the passes agree on {agreement.share:.0%} of {agreement.pairs} pairs")
    for edit in view.edits:
        given = "took back" if edit.score is None else f"gave {edit.score:g} to"
        print(one_line(f"({edit.number}) {edit.author} {given} round {edit.round} {edit.why}"))


def _variant_record(one: Variant, view: ChainView) -> dict[str, Any]:
    found = view.scores.get(one.round) if one.eliminated is None else None
    score = None if found is None else found.score
    mean = None if found is None else found.mean
    return {**asdict(one), "score": score, "mean": mean}


def _correct(
    project: Project,
    run: Evolution,
    chain: int,
    correct: str,
    why: str,
    author: str,
    as_json: bool,
) -> None:
    round, equals, score = correct.partition("=")
    try:
        wanted = int(round), float(score) if score else None
        if not equals:
            raise ValueError
    except ValueError:
        raise EvolvingError(
            f"--correct takes ROUND=SCORE, e.g. 2=4.5, or ROUND= to take it back, got {correct!r}"
        ) from None
    number = correct_rank(project, run.evolution, chain, *wanted, why=why, author=author)
    said = f"correction {number} of round {wanted[0]} of chain {chain}"
    _say({"correction": number}, said, as_json)


def _join(
    project: Project, run: Evolution, which: Literal["last", "all"], quiet: bool, as_json: bool
) -> None:
    joined = join_pool(project, run, which)
    message = "they joined it before"
    if joined.spec is not None:
        run_jobs(project, [joined.spec], quiet=quiet)
        message = "imported"
    record = {"file": str(joined.path), "rows": joined.rows, "imported": joined.spec is not None}
    _say(record, f"{joined.rows:,} variants of {one_line(run.name)}: {message}", as_json)
