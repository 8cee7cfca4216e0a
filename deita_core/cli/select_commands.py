"""The commands around a selection: the whole way in one, select, export, replay, info."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from deita_core.cli.options import (
    EMBEDDER,
    EXPORT_FORMAT,
    LICENSE,
    OUT,
    QUIET,
    MappingOptions,
    PoolOptions,
    ProjectOptions,
    RuleOptions,
    RunningOptions,
    ScorerOptions,
    flag,
    repeated,
    value,
)
from deita_core.cli.pool_commands import print_counts, register
from deita_core.cli.progress_bars import run_jobs
from deita_core.jobs.chains import score_chain
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import EmbedSpec, ExportSpec, GraphSpec, ImportSpec, MapSpec, SelectSpec
from deita_core.project import Project
from deita_core.project.browse import project_info
from deita_core.project.graphs import has_graph
from deita_core.project.selections import find_selection


def run(
    pool: PoolOptions,
    mapping: MappingOptions,
    models: ScorerOptions,
    running: RunningOptions,
    choosing: RuleOptions,
    target: ProjectOptions,
    out: Path = OUT,
    embedder: str = EMBEDDER,
    no_map: bool = flag("--no-map", "leave out the graph and the map (saves time)"),
    name: str = value("run", "NAME", "name of the selection"),
    format: str = EXPORT_FORMAT,
    license: str = LICENSE,
) -> None:
    """The whole way: import, score, embed, graph, map, select, export."""
    from deita_core.jobs.curate import check_rule_names, with_pins
    from deita_core.project.arrays import load_pool_table

    rule, options = choosing.rule(), running.options()  # a bad one must show first
    out = out.expanduser()
    path = target.project or out.with_name(f"{out.stem}.duckdb")
    with Project.open(path, create=True, wait=target.wait) as project:
        numbers = register(project, pool, mapping)
        chain: list[JobSpec] = [ImportSpec(sources=numbers)] if numbers else []
        chain += score_chain(
            models.complexity,
            models.quality,
            options=dict.fromkeys(("complexity", "quality"), options),
            despite_health=models.despite_health,
        )
        chain.append(EmbedSpec(embedder=embedder, options=options))
        run_jobs(project, chain, quiet=target.quiet)
        found = project_info(project)
        if (rule.needs_graph or not no_map) and not has_graph(project):
            run_jobs(project, [GraphSpec()], quiet=target.quiet)
        if not no_map and found.mapped < found.embedded:
            run_jobs(project, [MapSpec()], quiet=target.quiet)
        print_counts(project)
        rule = with_pins(rule, project) if choosing.with_choices else rule
        check_rule_names(rule, load_pool_table(project))
        selecting = SelectSpec(rule=rule.to_json(), name=name)
        print(run_jobs(project, [selecting], quiet=target.quiet)[0].message)
        _export(project, name, format, out, license, target.quiet)


def select(
    choosing: RuleOptions,
    target: ProjectOptions,
    name: str = value(..., "NAME", "name of the selection"),
    replace: bool = flag("--replace", "replace one of the same name"),
    notes: str = value("", "TEXT", "a note kept with it"),
) -> None:
    """Choose rows and save the selection."""
    from deita_core.jobs.curate import select_and_save, with_pins

    rule = choosing.rule()
    with target.opened() as project:
        rule = with_pins(rule, project) if choosing.with_choices else rule
        outcome = select_and_save(project, rule, name, notes=notes, replace=replace)
        print(outcome.sentence())


def export(
    target: ProjectOptions,
    selection: str = value(..., "NAME", "the saved selection"),
    out: Path = OUT,
    format: str = EXPORT_FORMAT,
    license: str = LICENSE,
) -> None:
    """Write a saved selection to a file."""
    with target.opened() as project:
        _export(project, selection, format, out, license, target.quiet)


def _export(
    project: Project, selection: str, format: str, out: Path, license: str, quiet: bool
) -> None:
    find_selection(project, selection)  # a wrong name must show before a worker starts
    step = ExportSpec(selection=selection, format=format, out=out, license=license)
    print(f"{out}: {run_jobs(project, [step], quiet=quiet)[0].message}")


def replay(
    manifest: Path,
    out: Path | None = value(None, "FILE", "default: replayed-NAME beside the manifest"),
    pool_dir: list[Path] = repeated("FOLDER", "where else to look for pool files"),
    quiet: bool = QUIET,
) -> None:
    """Make an exported file again from its manifest and compare."""
    from deita_core.jobs.replay import replay_manifest

    result = replay_manifest(
        manifest,
        out,
        pool_dir,
        run_steps=lambda project, steps: run_jobs(project, steps, quiet=quiet),
    )
    for difference in result.differences:
        print(f"note: {difference}", file=sys.stderr)
    print(result.sentence())


def info(
    target: ProjectOptions,
    as_json: bool = flag("--json", "one JSON object"),
) -> None:
    """Say how far a project has come."""
    with target.opened() as project:
        found = asdict(project_info(project))
        if as_json:
            print(json.dumps(found, ensure_ascii=False))
            return
        print_counts(project)
        for name, value in found.items():
            print(f"{name:<17}{value:,}" if isinstance(value, int) else f"{name:<17}{value}")
