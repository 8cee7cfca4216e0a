"""What each command of the command line does; `cli` only parses.

The commands that take scores from elsewhere and write them out; `cli` only parses.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deita_core.cli.options import model_options_of, rule_of
from deita_core.cli.progress_bars import watch
from deita_core.errors import FormatError, PathError, ProjectError
from deita_core.formats.read.layout import Mapping, PoolRow
from deita_core.jobs import JobRunner
from deita_core.jobs.steps import (
    Step,
    embed_step,
    export_scores_step,
    export_step,
    graph_step,
    import_scores_step,
    import_step,
    map_step,
    register_files,
    register_hub,
    score_steps,
    select_step,
)
from deita_core.project import Project
from deita_core.project.browse import project_info
from deita_core.project.columns import numeric_columns
from deita_core.project.folder import path_of, projects_folder
from deita_core.project.graphs import has_graph
from deita_core.project.job_log import JobRecord
from deita_core.project.pool import sources


@contextmanager
def opened(path: Path, wait: float = 0.0, *, create: bool = False) -> Iterator[Project]:
    """The project, closed at the end."""
    with Project.open(path, create=create, wait=wait) as project:
        yield project


def do(project: Project, steps: Sequence[Step], *, quiet: bool) -> list[JobRecord]:
    """Run steps in worker processes with progress bars, to their end."""
    runner = JobRunner(project)
    left = runner.start()
    try:
        watch(runner, [job.job for job in left], quiet=quiet)
        return watch(runner, runner.submit(steps), quiet=quiet)
    finally:
        runner.stop()


def mapping_of(options: argparse.Namespace) -> Mapping | None:
    """The mapping given by --layout, --column and --role, or None to detect it."""
    if not (options.layout or options.column or options.role):
        return None
    if not options.layout:
        raise FormatError("--column and --role need --layout: name the layout they belong to")
    return Mapping(
        options.layout, _pairs(options.column, "--column"), _pairs(options.role, "--role")
    )


def _pairs(given: Sequence[str], option: str) -> dict[str, str]:
    pairs = {}
    for text in given:
        left, equals, right = text.partition("=")
        if not (left and equals):
            raise FormatError(f"{option} takes NAME=NAME (or NAME= for none), got {text!r}")
        pairs[left] = right
    return pairs


def run(options: argparse.Namespace) -> None:
    """The whole way in one command."""
    from deita_core.jobs.curate import check_rule_names, with_choices
    from deita_core.project.arrays import load_arrays

    rule, models = rule_of(options), model_options_of(options)  # a bad one must show first
    out: Path = options.out.expanduser()
    path = options.project or out.with_name(f"{out.stem}.duckdb")
    with opened(path, options.wait, create=True) as project:
        numbers = _register(project, options)
        steps = [import_step(numbers)] if numbers else []
        steps += score_steps(
            options.complexity,
            options.quality,
            options={"complexity": models, "quality": models},
            despite_health=options.despite_health,
        )
        steps.append(embed_step(options.embedder, models))
        do(project, steps, quiet=options.quiet)
        found = project_info(project)
        if (rule.needs_graph or not options.no_map) and not has_graph(project):
            do(project, [graph_step()], quiet=options.quiet)
        if not options.no_map and found.mapped < found.embedded:
            do(project, [map_step()], quiet=options.quiet)
        _print_counts(project)
        rule = with_choices(rule, project) if options.with_choices else rule
        check_rule_names(rule, load_arrays(project))
        print(do(project, [select_step(rule, options.name)], quiet=options.quiet)[0].message)
        _export(project, options.name, options.format, out, options.license, options.quiet)


def _register(project: Project, options: argparse.Namespace) -> list[int]:
    if not options.files and not options.hub:
        raise PathError("nothing to import: name one or more files, or a dataset with --hub")
    numbers = register_files(project, options.files, mapping_of(options))
    if known := len(options.files) - len(numbers):
        print(f"{known} of {len(options.files)} files imported already")
    return [*numbers, register_hub(project, options.hub, options.split)] if options.hub else numbers


def import_files(options: argparse.Namespace) -> None:
    """Import files into a project."""
    with opened(options.project, options.wait, create=True) as project:
        numbers = _register(project, options)
        if numbers:
            do(project, [import_step(numbers)], quiet=options.quiet)
        _print_counts(project)


def preview(options: argparse.Namespace) -> None:
    """Show what a file is taken for, and its first rows."""
    from deita_core.formats.read import detect

    found = detect(options.file, mapping_of(options))
    print(found.explanation)
    for row in found.preview:
        if isinstance(row, PoolRow):
            print(f"\n[{row.position}] {row.conversation.id}")
            for message in row.conversation.messages:
                print(f"  {message.role}: {' '.join(message.content.split())[:160]}")
        else:
            print(f"\n[{row.position}] rejected: {row.reason}")


def make_graph(options: argparse.Namespace) -> None:
    """Build the similarity graph and the clusters."""
    with opened(options.project, options.wait) as project:
        print(do(project, [graph_step()], quiet=options.quiet)[0].message)


def make_map(options: argparse.Namespace) -> None:
    """Make the map."""
    with opened(options.project, options.wait) as project:
        do(project, [map_step()], quiet=options.quiet)
        print(f"{project_info(project).mapped:,} conversations on the map")


def select(options: argparse.Namespace) -> None:
    """Select and save."""
    from deita_core.jobs.curate import select_and_save, with_choices

    rule = rule_of(options)
    with opened(options.project, options.wait) as project:
        rule = with_choices(rule, project) if options.with_choices else rule
        outcome = select_and_save(
            project, rule, options.name, notes=options.notes, replace=options.replace
        )
        print(outcome.sentence())


def export(options: argparse.Namespace) -> None:
    """Export a saved selection."""
    with opened(options.project, options.wait) as project:
        _export(
            project, options.selection, options.format, options.out, options.license, options.quiet
        )


def replay(options: argparse.Namespace) -> None:
    """Make a file again from its manifest."""
    from deita_core.jobs.replay import replay_manifest

    result = replay_manifest(
        options.manifest,
        options.out,
        options.pool_dir,
        run_steps=lambda project, steps: do(project, steps, quiet=options.quiet),
    )
    for difference in result.differences:
        print(f"note: {difference}", file=sys.stderr)
    print(result.sentence())


def sample(options: argparse.Namespace) -> None:
    """Make the sample project unless it is there already."""
    from deita_core.jobs.steps import SAMPLE_KEY, SAMPLE_NAME, sample_steps

    path = path_of(projects_folder(), SAMPLE_KEY)
    fresh = not path.exists()
    try:
        with opened(path, create=True) as project:
            if fresh:
                project.rename(SAMPLE_NAME)
            found = project_info(project)
            if not (found.mapped and found.selections):
                do(project, sample_steps(project), quiet=options.quiet)
                _print_counts(project)
    except ProjectError as error:  # the app has it open: then it is there
        if fresh:
            raise
        print(f"the sample project is in use: {error}", file=sys.stderr)


def info(options: argparse.Namespace) -> None:
    """Say how far a project has come."""
    with opened(options.project, options.wait) as project:
        found = project_info(project)
        if options.json:
            print(json.dumps(found.to_dict(), ensure_ascii=False))
            return
        _print_counts(project)
        for name, value in found.to_dict().items():
            print(f"{name:<17}{value:,}" if isinstance(value, int) else f"{name:<17}{value}")


def _export(
    project: Project, selection: str, export: str, out: Path, license: str, quiet: bool
) -> None:
    from deita_core.project.selections import find_selection

    find_selection(project, selection)  # a wrong name must show before a worker starts
    done = do(project, [export_step(selection, export, out, license=license)], quiet=quiet)
    print(f"{out}: {done[0].message}")


def _print_counts(project: Project) -> None:
    for source in sources(project):
        print(
            f"{source.name}: {source.read:,} read = {source.imported:,} imported + "
            f"{source.duplicates:,} duplicates + {source.rejected:,} rejected"
            + ("" if source.state == "imported" else f" ({source.state})")
        )


def import_scores(options: argparse.Namespace) -> None:
    """Take scores from a file or from columns of the pool, or list such columns."""
    if options.list:
        _list_columns(options)
        return
    step = import_scores_step(options.complexity, options.quality, file=options.file)
    with opened(options.project, options.wait) as project:
        print(do(project, [step], quiet=options.quiet)[0].message)


def _list_columns(options: argparse.Namespace) -> None:
    with opened(options.project, options.wait) as project:
        found = numeric_columns(project)
    for column in found:
        span = "" if column.lowest is None else f", {column.lowest:g} to {column.highest:g}"
        print(
            f"{column.name}: {column.numbers:,} numbers{span}; {column.lists:,} lists; "
            f"{column.others:,} others"
        )
    if not found:
        print("no record of the pool holds a number")


def export_scores(options: argparse.Namespace) -> None:
    """Write the active scores to a file."""
    step = export_scores_step(options.out, options.format)
    with opened(options.project, options.wait) as project:
        print(f"{options.out}: {do(project, [step], quiet=options.quiet)[0].message}")
