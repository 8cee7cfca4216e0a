"""The commands: all in one, then those for a pool, models, selections and the app."""

from __future__ import annotations

import runpy
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import get_args

from typer import Argument

from deita_core.cli.options import (
    EMBEDDER,
    EXPORT_FORMAT,
    FORCE,
    JSON,
    LICENSE,
    OUT,
    QUIET,
    MappingOptions,
    PoolOptions,
    ProjectOptions,
    RowOptions,
    RuleOptions,
    RunningOptions,
    ScorerOptions,
    choice,
    flag,
    print_json,
    repeated,
    value,
)
from deita_core.cli.progress_bars import run_jobs
from deita_core.errors import ExportError, FormatError, ModelError, PathError, ProjectError
from deita_core.files import one_line
from deita_core.filtering import PoolColumns, settled
from deita_core.formats.manifest import TEXTS
from deita_core.formats.read.layout import PoolRow
from deita_core.formats.score_file import SCORE_FORMATS
from deita_core.jobs.chains import (
    SAMPLE_KEY,
    SAMPLE_NAME,
    check_files,
    import_scores_spec,
    pilot_chain,
    register_files,
    register_hub,
    sample_chain,
    score_chain,
)
from deita_core.jobs.kind import JobSpec, absolute
from deita_core.jobs.kinds import (
    ClusterSpec,
    EmbedSpec,
    ExportScoresSpec,
    ExportSpec,
    GraphSpec,
    ImportSpec,
    MapSpec,
    SelectSpec,
)
from deita_core.jobs.kinds.export import is_earlier_export
from deita_core.jobs.kinds.import_pool import refused
from deita_core.jobs.kinds.pilot import PilotFacts
from deita_core.jobs.kinds.select_rows import check_rule_names, select_and_save, with_pins
from deita_core.jobs.outputs import check_output, kept_files, output_file
from deita_core.models.options import ModelOptions
from deita_core.project import Project
from deita_core.project.browse import project_info
from deita_core.project.clusters import clusters
from deita_core.project.columns import numeric_columns
from deita_core.project.folder import path_of, projects_folder
from deita_core.project.graphs import has_graph
from deita_core.project.log import LOG_FORMATS, log_entries, log_length, log_text
from deita_core.project.models import Role, pilots
from deita_core.project.pool import load_pool_table, sources
from deita_core.project.pool_kinds import unfamiliar_to_light
from deita_core.project.scores import forget_failures, health, scorers
from deita_core.project.store import check_name
from deita_core.scoring.protocol import DIMENSIONS
from deita_core.selection.rule import SelectionRule


def run(
    pool: PoolOptions,
    mapping: MappingOptions,
    models: ScorerOptions,
    running: RunningOptions,
    choosing: RuleOptions,
    filters: RowOptions,
    target: ProjectOptions,
    out: Path = OUT,
    embedder: str = EMBEDDER,
    no_map: bool = flag("--no-map", "leave out the graph and the map (saves time)"),
    name: str = value("run", "NAME", "name of the selection"),
    format: str = EXPORT_FORMAT,
    license: str = LICENSE,
    force: bool = FORCE,
) -> None:
    """The whole way: import, score, embed, graph, map, select, export."""
    rule, options = choosing.rule(), running.options()  # a bad one must show first
    filters.check()
    name = check_name(name, "selection")
    export = ExportSpec(selection=name, format=format, out=out, license=license, overwrite=force)
    path = absolute(target.project or export.out.with_name(f"{export.out.stem}.duckdb"))
    _check_run(pool, export, path)
    with Project.open(path, create=True, wait=target.wait) as project:
        again = is_earlier_export(export.out, project, name)
        export.check_places(kept_files(project), force or again)
        numbers = _register(project, pool, mapping)
        _import(project, numbers, target.quiet)
        embed = EmbedSpec(embedder=embedder, options=options)
        run_jobs(project, [*_scoring(models, options), embed], quiet=target.quiet)
        found = project_info(project)
        if (rule.needs_graph or not no_map) and not has_graph(project):
            run_jobs(project, [GraphSpec()], quiet=target.quiet)
            _name_clusters(project, target.quiet)
        if not no_map and found.mapped < found.embedded:
            run_jobs(project, [MapSpec()], quiet=target.quiet)
        _print_counts(project)
        rule = _with_filter(rule, filters, choosing, project)
        check_rule_names(rule, load_pool_table(project))
        rule = settled(rule, PoolColumns(project))
        select = SelectSpec(rule=rule.to_json(), name=name)
        print(run_jobs(project, [select], quiet=target.quiet)[0].message)
        again = is_earlier_export(export.out, project, name)
        export = export.model_copy(update={"overwrite": force or again})
        print(f"{out}: {run_jobs(project, [export], quiet=target.quiet)[0].message}")


def _with_filter(
    rule: SelectionRule, filters: RowOptions, choosing: RuleOptions, project: Project
) -> SelectionRule:
    """The rule with the filter that was asked for, and with pins by hand where they were."""
    rule = with_pins(rule, project) if choosing.with_choices else rule
    return replace(rule, filter=filters.wanted(project, choosing.sql).to_text())


def _check_run(pool: PoolOptions, export: ExportSpec, path: Path) -> None:
    """Raises DeitaError for what would show after hours, or leave an empty project behind."""
    _check_pool(pool)
    export.check_words()
    # A project that is there must say whether the file is an earlier one of its own.
    overwrite = export.overwrite or path.exists()
    need = sum(file.stat().st_size for file in pool.files)
    export.check_places([path, *pool.files], overwrite, need=need)


def _check_pool(pool: PoolOptions) -> None:
    """Raises PathError for what cannot be imported, before a project is made for it."""
    if not pool.files and not pool.hub:
        raise PathError("nothing to import: name one or more files, or a dataset with --hub")
    check_files(pool.files, pool.hub)


def import_files(pool: PoolOptions, mapping: MappingOptions, target: ProjectOptions) -> None:
    """Import pool files."""
    _check_pool(pool)
    with target.opened(create=True) as project:
        _import(project, _register(project, pool, mapping), target.quiet)
        _print_counts(project)


def _import(project: Project, numbers: Sequence[int], quiet: bool) -> None:
    """Read the files. Raises FormatError when nothing could be imported of one of them."""
    if numbers:
        run_jobs(project, [ImportSpec(sources=numbers)], quiet=quiet)
    if nothing := refused(project, numbers):
        _print_counts(project)
        raise FormatError("; ".join(f"{one.sentence}; {one.options}" for one in nothing))


def _register(project: Project, pool: PoolOptions, mapping: MappingOptions) -> list[int]:
    """Add files and a dataset to the pool; returns what is still to be imported."""
    numbers = register_files(project, pool.files, mapping.mapping())
    if known := len(pool.files) - len(numbers):
        print(f"{known} of {len(pool.files)} files imported already")
    return [*numbers, register_hub(project, pool.hub, pool.split)] if pool.hub else numbers


def _print_counts(project: Project) -> None:
    """How the rows of each file add up."""
    for source in sources(project):
        print(
            f"{one_line(source.name)}: {source.read:,} read = {source.imported:,} imported + "
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
    chain = _scoring(models, running.options())
    with target.opened() as project:
        if retry_failed:
            failed = [one.scorer for one in scorers(project) if one.active and one.failed]
            again = sum(forget_failures(project, scorer) for scorer in failed)
            print(f"{again:,} rows without a score are tried again")
        run_jobs(project, chain, quiet=target.quiet)
        found = project_info(project)
        print(f"{found.scored:,} conversations scored, {found.failed:,} without a score")
        _print_health(project)


def _scoring(models: ScorerOptions, options: ModelOptions) -> list[JobSpec]:
    """The jobs that score with these scorers; "none" leaves a dimension out."""
    names = (None if name == "none" else name for name in (models.complexity, models.quality))
    each = dict.fromkeys(DIMENSIONS, options)
    return score_chain(*names, options=each, despite_health=models.despite_health)


def _print_health(project: Project) -> None:
    """A line for each active scorer with something that stands out."""
    for scorer in scorers(project):
        found = health(project, scorer.scorer) if scorer.active else None
        for verdict in found.verdicts() if found else ():
            if verdict.level != "good":
                print(f"{scorer.dimension} by {scorer.model}: {verdict.sentence}")
    _print_unfamiliar(project)


def _print_unfamiliar(project: Project) -> None:
    """What of the pool the light scorers did not learn from, if their scores count."""
    for sentence in unfamiliar_to_light(project):
        print(f"outside what the light scorers learnt: {sentence}")


def embed(running: RunningOptions, target: ProjectOptions, embedder: str = EMBEDDER) -> None:
    """Embed what has no vector yet."""
    spec = EmbedSpec(embedder=embedder, options=running.options())
    with target.opened() as project:
        run_jobs(project, [spec], quiet=target.quiet)
        found = project_info(project)
        print(
            f"{found.embedded:,} conversations embedded, {found.embedding_failed:,} failed, "
            f"{found.truncated:,} longer than the embedder reads"
        )


def make_graph(target: ProjectOptions) -> None:
    """Find all pairs of similar rows, and the clusters with their names."""
    with target.opened() as project:
        print(run_jobs(project, [GraphSpec()], quiet=target.quiet)[0].message)
        _name_clusters(project, target.quiet)


def _name_clusters(project: Project, quiet: bool) -> None:
    """Unless they have names; those that somebody has made otherwise stay."""
    if not clusters(project):
        run_jobs(project, [ClusterSpec()], quiet=quiet)


def make_map(target: ProjectOptions) -> None:
    """Lay the embeddings out on a plane (UMAP)."""
    with target.opened() as project:
        run_jobs(project, [MapSpec()], quiet=target.quiet)
        print(f"{project_info(project).mapped:,} conversations on the map")


def sample(quiet: bool = QUIET) -> None:
    """Make the sample project, if it is not there."""
    path = path_of(projects_folder(), SAMPLE_KEY)
    fresh = not path.exists()
    try:
        with Project.open(path, create=True) as project:
            if fresh:
                project.rename(SAMPLE_NAME)
            found = project_info(project)
            if not (found.mapped and found.selections):
                run_jobs(project, sample_chain(project), quiet=quiet)
                _print_counts(project)
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
    chain = [] if list_columns else [import_scores_spec(complexity, quality, file=file)]
    with target.opened() as project:
        if list_columns:
            _print_columns(project)
        else:
            print(run_jobs(project, chain, quiet=target.quiet)[0].message)


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
    force: bool = FORCE,
) -> None:
    """Write the scores of every turn to a file."""
    spec = ExportScoresSpec(out=out, format=format, overwrite=force)
    with target.opened() as project:
        print(f"{out}: {run_jobs(project, [spec], quiet=target.quiet)[0].message}")


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
    each = dict.fromkeys(get_args(Role), chosen)
    chain = pilot_chain(complexity, quality, embedder, options=each, rows=rows)
    if not chain:
        raise ModelError("name what to try: --complexity, --quality or --embedder")
    with target.opened() as project:
        before = {p.pilot for p in pilots(project)}
        records = run_jobs(project, chain, quiet=target.quiet)
        facts = [
            PilotFacts.model_validate(p.facts)
            for p in pilots(project)[::-1]
            if p.pilot not in before
        ]
        for line in _pilot_lines(facts, price):
            print(line)
        if len(facts) < len(records):
            print("nothing was left to try the other models on")


def _pilot_lines(facts: Sequence[PilotFacts], price: float | None = None) -> list[str]:
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
    return f"the other {rows:,} rows take about {_in_words(seconds)}{cost}"


def _in_words(seconds: float) -> str:
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


def select(
    choosing: RuleOptions,
    filters: RowOptions,
    target: ProjectOptions,
    name: str = value(..., "NAME", "name of the selection"),
    over: bool = flag("--replace", "replace one of the same name"),
    notes: str = value("", "TEXT", "a note kept with it"),
) -> None:
    """Choose rows and save the selection."""
    rule = choosing.rule()
    with target.opened() as project:
        rule = _with_filter(rule, filters, choosing, project)
        outcome = select_and_save(project, rule, name, notes=notes, replace=over)
        print(outcome.sentence())


def export(
    target: ProjectOptions,
    selection: str = value(..., "NAME", "the saved selection"),
    out: Path = OUT,
    format: str = EXPORT_FORMAT,
    license: str = LICENSE,
    texts: str = choice("original", TEXTS, "corrected writes edited rows in their newest version"),
    with_decisions: bool = flag(
        "--with-decisions", "write tags, verdicts, reviewers and edits beside each row"
    ),
    force: bool = FORCE,
) -> None:
    """Write a saved selection to a file."""
    spec = ExportSpec(
        selection=selection,
        format=format,
        out=out,
        license=license,
        texts="corrected" if texts == "corrected" else "original",
        with_decisions=with_decisions,
        overwrite=force,
    )
    with target.opened() as project:
        print(f"{out}: {run_jobs(project, [spec], quiet=target.quiet)[0].message}")


def replay(
    manifest: Path,
    out: Path | None = value(None, "FILE", "default: replayed-NAME beside the manifest"),
    pool_dir: list[Path] = repeated("FOLDER", "where else to look for pool files"),
    quiet: bool = QUIET,
    force: bool = FORCE,
) -> None:
    """Make an exported file again from its manifest and compare."""
    from deita_core.jobs.replay import replay_manifest

    run_quietly = partial(run_jobs, quiet=quiet)
    result = replay_manifest(manifest, out, pool_dir, run_jobs=run_quietly, overwrite=force)
    for difference in result.differences:
        print(f"note: {difference}", file=sys.stderr)
    print(result.sentence())


def info(
    target: ProjectOptions,
    as_json: bool = JSON,
) -> None:
    """Say how far a project has come."""
    with target.opened() as project:
        found = asdict(project_info(project))
        if as_json:
            print_json(found | {"unfamiliar": unfamiliar_to_light(project)})
            return
        _print_counts(project)
        for name, value in found.items():
            print(f"{name:<17}{value:,}" if isinstance(value, int) else f"{name:<17}{value}")
        _print_unfamiliar(project)


def show_log(
    target: ProjectOptions,
    out: Path | None = value(None, "FILE", "write all of it instead, as .csv or .jsonl"),
    who: str | None = value(None, "NAME", "only this person's entries, as they are shown"),
    action: str | None = value(None, "ACTION", "only this action, as it is shown"),
    last: int = value(50, "N", "how many entries, counted from the newest"),
    force: bool = FORCE,
) -> None:
    """Show who did what, newest first."""
    format = None if out is None else out.suffix.removeprefix(".")
    if format not in (None, *LOG_FORMATS):
        raise ExportError(f"{out} must end in .csv or .jsonl: choose another name")
    with target.opened() as project:
        if out is not None and format is not None:
            check_output(absolute(out), keep=kept_files(project), overwrite=force)
            with output_file(absolute(out)) as partial:
                partial.write_text(log_text(project, format), encoding="utf-8")
            print(f"{out}: {log_length(project):,} entries")
            return
        for entry in log_entries(project, who=who, action=action, limit=last):
            said = f"{entry.made:%Y-%m-%d %H:%M:%S} UTC  {entry.who} ({entry.role}): {entry.action}"
            print(" ".join(f"{said}, {entry.details()}".split()))


_ROOT = Path(__file__).resolve().parents[2]


def open_app(port: int = value(8501, "N", "where it is served on this machine")) -> None:
    """Open the app in a browser; its projects are those of the current folder."""
    installed, script = _ROOT / "studio" / "_app", _ROOT / "serve.py"
    with tempfile.TemporaryDirectory(prefix="deita-app-") as folder:
        if installed.is_dir():
            script = _copied(installed, Path(folder)) / "serve.py"
        if not script.is_file():
            raise PathError(f"there is no app at {script}: install deita-studio again")
        sys.argv = ["streamlit", "run", str(script), f"--server.port={port}"]
        runpy.run_module("streamlit", run_name="__main__", alter_sys=True)


def _copied(app: Path, folder: Path) -> Path:
    """The app's script, pages and settings in a folder that can be written to.

    The app puts the map's Plotly beside its script, from where Streamlit serves it; the folder of
    installed packages may be read-only.
    """
    for file in (path for path in app.rglob("*") if path.is_file()):
        place = folder / file.relative_to(app)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    (folder / "static").mkdir()
    return folder
