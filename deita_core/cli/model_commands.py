"""What the commands score, embed, pilot and devices do."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from deita_core.cli.commands import do, opened
from deita_core.cli.options import model_options_of
from deita_core.errors import ModelError
from deita_core.jobs.kinds.pilot import PilotFacts
from deita_core.jobs.kinds.score import health
from deita_core.jobs.steps import embed_step, pilot_steps, score_steps
from deita_core.project import Project
from deita_core.project.browse import project_info
from deita_core.project.scorers import forget_failures, pilots
from deita_core.project.scores import scorers


def score(options: argparse.Namespace) -> None:
    """Score what has no score yet."""
    chosen = model_options_of(options)
    with opened(options.project, options.wait) as project:
        if options.retry_failed:
            active = [s.scorer for s in scorers(project) if s.active and s.failed]
            again = sum(forget_failures(project, scorer) for scorer in active)
            print(f"{again:,} rows without a score are tried again")
        steps = score_steps(
            _given(options.complexity),
            _given(options.quality),
            options={"complexity": chosen, "quality": chosen},
            despite_health=options.despite_health,
        )
        do(project, steps, quiet=options.quiet)
        found = project_info(project)
        print(f"{found.scored:,} conversations scored, {found.failed:,} without a score")
        _print_health(project)


def embed(options: argparse.Namespace) -> None:
    """Embed what has no vector yet."""
    chosen = model_options_of(options)
    with opened(options.project, options.wait) as project:
        do(project, [embed_step(options.embedder, chosen)], quiet=options.quiet)
        found = project_info(project)
        print(
            f"{found.embedded:,} conversations embedded, {found.embedding_failed:,} failed, "
            f"{found.truncated:,} longer than the embedder reads"
        )


def _given(name: str) -> str | None:
    return None if name == "none" else name


def _print_health(project: Project) -> None:
    """A line for each active scorer with something that stands out."""
    for scorer in scorers(project):
        found = health(project, scorer.scorer) if scorer.active else None
        for verdict in found.verdicts() if found else ():
            if verdict.level != "good":
                print(f"{scorer.dimension} by {scorer.model}: {verdict.sentence}")


def pilot(options: argparse.Namespace) -> None:
    """Try models on a few rows and say what the rest takes."""
    chosen = model_options_of(options)
    if options.rows < 1:
        raise ModelError(f"--rows must be at least 1, got {options.rows}")
    steps = pilot_steps(
        options.complexity,
        options.quality,
        options.embedder,
        options=dict.fromkeys(("complexity", "quality", "embedding"), chosen),
        rows=options.rows,
    )
    if not steps:
        raise ModelError("name what to try: --complexity, --quality or --embedder")
    with opened(options.project, options.wait) as project:
        before = {p.pilot for p in pilots(project)}
        records = do(project, steps, quiet=options.quiet)
        facts = [
            PilotFacts.from_json(p.facts) for p in pilots(project)[::-1] if p.pilot not in before
        ]
        for line in pilot_lines(facts, options.price):
            print(line)
        if len(facts) < len(records):
            print("nothing was left to try the other models on")


def pilot_lines(facts: Sequence[PilotFacts], price: float | None = None) -> list[str]:
    """What pilots found out, a few lines each and a total for several.

    price: of the machine per hour, in any currency; None leaves the cost out.
    """
    lines = []
    for one in facts:
        lines.append(
            f"{one.dimension} by {one.model}: {one.rows:,} rows tried, "
            f"{one.rows_per_second:,.1f} rows/s, about {one.tokens_per_second:,.0f} tokens/s"
            + (f", {one.gpu_memory / 1e9:.1f} GB on the GPU" if one.gpu_memory else "")
        )
        lines.append(f"  {_rest(one.left_rows, one.left_seconds, price)}")
        lines += [f"  {sentence}" for sentence in one.health]
    if len(facts) > 1:
        seconds = sum(one.left_seconds for one in facts)
        lines.append(f"together {_rest(max(f.left_rows for f in facts), seconds, price)}")
    return lines


def _rest(rows: int, seconds: float, price: float | None) -> str:
    if not rows:
        return "nothing is left"
    cost = "" if price is None else f", {seconds / 3600 * price:,.2f} at {price:g} an hour"
    return f"the other {rows:,} rows take about {in_words(seconds)}{cost}"


def in_words(seconds: float) -> str:
    """45 s, 12 min, 3.4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def show_devices(options: argparse.Namespace) -> None:
    """List devices, and with a model which precisions fit."""
    from deita_core.models.device import devices, weights_of, what_fits

    weights = weights_of(options.model) if options.model else None
    if options.model and weights is None:
        raise ModelError(
            f"the size of {options.model!r} is not known: give a folder with safetensors files"
        )
    for device in devices():
        print(
            f"{device.name}: {device.label}, {device.free / 1e9:.1f} of {device.total / 1e9:.1f} "
            f"GB free; {', '.join(device.precisions)}"
        )
        for fit in what_fits(weights, device) if weights else ():
            word = "fits" if fit.fits else "does not fit"
            print(f"  {fit.precision}: {fit.needed / 1e9:.1f} GB, {word}")
