"""The commands that help to choose a model: pilot and devices."""

from __future__ import annotations

from collections.abc import Sequence

from deita_core.cli.options import ProjectOptions, RunningOptions, value
from deita_core.cli.progress_bars import run_jobs
from deita_core.errors import ModelError
from deita_core.jobs.chains import pilot_chain
from deita_core.jobs.kinds.pilot import PilotFacts
from deita_core.project.pilots import pilots


def pilot(
    running: RunningOptions,
    target: ProjectOptions,
    complexity: str | None = value(None, "NAME", "complexity scorer to try"),
    quality: str | None = value(None, "NAME", "quality scorer to try"),
    embedder: str | None = value(None, "NAME", "embedder to try"),
    rows: int = value(200, "N", "how many"),
    price: float | None = value(None, "P", "of the machine per hour, for the cost"),
) -> None:
    """Try models on a few rows and say what the rest takes."""
    chosen = running.options()
    if rows < 1:
        raise ModelError(f"--rows must be at least 1, got {rows}")
    steps = pilot_chain(
        complexity,
        quality,
        embedder,
        options=dict.fromkeys(("complexity", "quality", "embedding"), chosen),
        rows=rows,
    )
    if not steps:
        raise ModelError("name what to try: --complexity, --quality or --embedder")
    with target.opened() as project:
        before = {p.pilot for p in pilots(project)}
        records = run_jobs(project, steps, quiet=target.quiet)
        facts = [
            PilotFacts.model_validate(p.facts)
            for p in pilots(project)[::-1]
            if p.pilot not in before
        ]
        for line in pilot_lines(facts, price):
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


def devices(
    model: str | None = value(None, "NAME", "say which precisions of it fit"),
) -> None:
    """List devices and what fits them."""
    from deita_core.models import device

    weights = device.weights_of(model) if model else None
    if model and weights is None:
        raise ModelError(
            f"the size of {model!r} is not known: give a folder with safetensors files"
        )
    for one in device.devices():
        print(
            f"{one.name}: {one.label}, {one.free / 1e9:.1f} of {one.total / 1e9:.1f} "
            f"GB free; {', '.join(one.precisions)}"
        )
        for fit in device.what_fits(weights, one) if weights else ():
            word = "fits" if fit.fits else "does not fit"
            print(f"  {fit.precision}: {fit.needed / 1e9:.1f} GB, {word}")
