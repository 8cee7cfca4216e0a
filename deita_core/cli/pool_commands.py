"""The commands that fill a pool and prepare it: files, scores, embeddings, graph, map."""

from __future__ import annotations

import sys
from pathlib import Path

from typer import Argument

from deita_core.cli.options import (
    EMBEDDER,
    OUT,
    QUIET,
    MappingOptions,
    PoolOptions,
    ProjectOptions,
    RunningOptions,
    ScorerOptions,
    choice,
    flag,
    value,
)
from deita_core.cli.progress_bars import run_jobs
from deita_core.errors import PathError, ProjectError
from deita_core.formats.read.layout import PoolRow
from deita_core.formats.score_file import SCORE_FORMATS
from deita_core.jobs.chains import import_scores_spec, register_files, register_hub, score_chain
from deita_core.jobs.kinds import EmbedSpec, ExportScoresSpec, GraphSpec, ImportSpec, MapSpec
from deita_core.project import Project
from deita_core.project.browse import project_info
from deita_core.project.columns import numeric_columns
from deita_core.project.folder import path_of, projects_folder
from deita_core.project.pool import sources
from deita_core.project.scores import forget_failures, health, scorers


def import_files(pool: PoolOptions, mapping: MappingOptions, target: ProjectOptions) -> None:
    """Import pool files."""
    with target.opened(create=True) as project:
        if numbers := register(project, pool, mapping):
            run_jobs(project, [ImportSpec(sources=numbers)], quiet=target.quiet)
        print_counts(project)


def register(project: Project, pool: PoolOptions, mapping: MappingOptions) -> list[int]:
    """Add files and a dataset to the pool; returns what is still to be imported."""
    if not pool.files and not pool.hub:
        raise PathError("nothing to import: name one or more files, or a dataset with --hub")
    numbers = register_files(project, pool.files, mapping.mapping())
    if known := len(pool.files) - len(numbers):
        print(f"{known} of {len(pool.files)} files imported already")
    return [*numbers, register_hub(project, pool.hub, pool.split)] if pool.hub else numbers


def print_counts(project: Project) -> None:
    """How the rows of each file add up."""
    for source in sources(project):
        print(
            f"{source.name}: {source.read:,} read = {source.imported:,} imported + "
            f"{source.duplicates:,} duplicates + {source.rejected:,} rejected"
            + ("" if source.state == "imported" else f" ({source.state})")
        )


def preview(file: Path, mapping: MappingOptions) -> None:
    """Show how a file would be imported."""
    from deita_core.formats.read import detect

    found = detect(file, mapping.mapping())
    print(found.explanation)
    for row in found.preview:
        if isinstance(row, PoolRow):
            print(f"\n[{row.position}] {row.conversation.id}")
            for message in row.conversation.messages:
                print(f"  {message.role}: {' '.join(message.content.split())[:160]}")
        else:
            print(f"\n[{row.position}] rejected: {row.reason}")


def score(
    models: ScorerOptions,
    running: RunningOptions,
    target: ProjectOptions,
    retry_failed: bool = flag("--retry-failed", "try rows without a score again"),
) -> None:
    """Score what has no score yet."""
    steps = score_chain(
        None if models.complexity == "none" else models.complexity,
        None if models.quality == "none" else models.quality,
        options=dict.fromkeys(("complexity", "quality"), running.options()),
        despite_health=models.despite_health,
    )
    with target.opened() as project:
        if retry_failed:
            failed = [one.scorer for one in scorers(project) if one.active and one.failed]
            again = sum(forget_failures(project, scorer) for scorer in failed)
            print(f"{again:,} rows without a score are tried again")
        run_jobs(project, steps, quiet=target.quiet)
        found = project_info(project)
        print(f"{found.scored:,} conversations scored, {found.failed:,} without a score")
        _print_health(project)


def _print_health(project: Project) -> None:
    """A line for each active scorer with something that stands out."""
    for scorer in scorers(project):
        found = health(project, scorer.scorer) if scorer.active else None
        for verdict in found.verdicts() if found else ():
            if verdict.level != "good":
                print(f"{scorer.dimension} by {scorer.model}: {verdict.sentence}")


def embed(running: RunningOptions, target: ProjectOptions, embedder: str = EMBEDDER) -> None:
    """Embed what has no vector yet."""
    step = EmbedSpec(embedder=embedder, options=running.options())
    with target.opened() as project:
        run_jobs(project, [step], quiet=target.quiet)
        found = project_info(project)
        print(
            f"{found.embedded:,} conversations embedded, {found.embedding_failed:,} failed, "
            f"{found.truncated:,} longer than the embedder reads"
        )


def make_graph(target: ProjectOptions) -> None:
    """Find all pairs of similar rows, and the clusters."""
    with target.opened() as project:
        print(run_jobs(project, [GraphSpec()], quiet=target.quiet)[0].message)


def make_map(target: ProjectOptions) -> None:
    """Lay the embeddings out on a plane (UMAP)."""
    with target.opened() as project:
        run_jobs(project, [MapSpec()], quiet=target.quiet)
        print(f"{project_info(project).mapped:,} conversations on the map")


def sample(quiet: bool = QUIET) -> None:
    """Make the sample project, if it is not there."""
    from deita_core.jobs.chains import SAMPLE_KEY, SAMPLE_NAME, sample_chain

    path = path_of(projects_folder(), SAMPLE_KEY)
    fresh = not path.exists()
    try:
        with Project.open(path, create=True) as project:
            if fresh:
                project.rename(SAMPLE_NAME)
            found = project_info(project)
            if not (found.mapped and found.selections):
                run_jobs(project, sample_chain(project), quiet=quiet)
                print_counts(project)
    except ProjectError as error:  # the app has it open: then it is there
        if fresh:
            raise
        print(f"the sample project is in use: {error}", file=sys.stderr)


def import_scores(
    target: ProjectOptions,
    file: Path | None = Argument(None, metavar="FILE", help="default: the pool"),
    complexity: str | None = value(None, "FIELD", "the field that holds complexity"),
    quality: str | None = value(None, "FIELD", "the field that holds quality"),
    list_columns: bool = flag("--list", "list the pool's numeric columns, and do nothing else"),
) -> None:
    """Take scores from a file, or from columns of the pool."""
    steps = [] if list_columns else [import_scores_spec(complexity, quality, file=file)]
    with target.opened() as project:
        if list_columns:
            _print_columns(project)
        else:
            print(run_jobs(project, steps, quiet=target.quiet)[0].message)


def _print_columns(project: Project) -> None:
    found = numeric_columns(project)
    for column in found:
        span = "" if column.lowest is None else f", {column.lowest:g} to {column.highest:g}"
        print(
            f"{column.name}: {column.numbers:,} numbers{span}; {column.lists:,} lists; "
            f"{column.others:,} others"
        )
    if not found:
        print("no record of the pool holds a number")


def export_scores(
    target: ProjectOptions,
    out: Path = OUT,
    format: str = choice(
        "csv",
        SCORE_FORMATS,
        "deita is what the paper's reference implementation writes and reads",
    ),
) -> None:
    """Write the scores of every turn to a file."""
    step = ExportScoresSpec(out=out, format=format)
    with target.opened() as project:
        print(f"{out}: {run_jobs(project, [step], quiet=target.quiet)[0].message}")
