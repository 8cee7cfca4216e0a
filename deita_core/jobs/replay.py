"""Make an exported file again from its manifest: import, score, embed, select, export, compare."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deita_core import VERSION
from deita_core.embedding.catalogue import name_of_embedder
from deita_core.errors import ExportError
from deita_core.formats.manifest import (
    Manifest,
    ModelUse,
    check_versions,
    current_versions,
    locate,
    read_manifest,
)
from deita_core.jobs.kind import JobSpec, absolute
from deita_core.jobs.kinds import (
    EmbedSpec,
    ExportSpec,
    GraphSpec,
    ImportScoresSpec,
    ImportSpec,
    ScoreSpec,
)
from deita_core.jobs.kinds.export import manifest_path
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.models.options import PRECISIONS, ModelOptions
from deita_core.project import Project
from deita_core.project.pool import add_source
from deita_core.scoring.catalogue import name_of_scorer
from deita_core.scoring.light.own import check_revision
from deita_core.scoring.protocol import DIMENSIONS
from deita_core.selection.rule import SelectionRule
from deita_core.selection.strategies import find_strategy

RunJobs = Callable[[Project, Sequence[JobSpec]], object]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay gave. differences: versions that differ from those of the manifest."""

    out: Path
    same_bytes: bool
    same_ids: bool
    rows: int
    differences: tuple[str, ...]

    def sentence(self) -> str:
        """The result in plain words."""
        if self.same_bytes:
            return f"{self.out}: the same file, byte for byte ({self.rows:,} conversations)"
        if self.same_ids:
            return f"{self.out}: the same {self.rows:,} conversations in order, other bytes"
        return f"{self.out}: NOT the same selection ({self.rows:,} conversations)"


def replay_manifest(
    manifest_file: Path,
    out: Path | None,
    pool_dirs: Sequence[Path],
    *,
    run_jobs: RunJobs,
    overwrite: bool = False,
) -> Replayed:
    """Replay in a project of its own that is thrown away; `run_jobs` runs the jobs.

    out: where to write; None: the original's name with "replayed-" before it, beside the manifest.
    overwrite: a file that is there may go. Raises ExportError when a pool file is missing or
    differs, the models are not to be had, or `out` cannot be written.
    """
    manifest = read_manifest(manifest_file)
    if out is None:
        out = manifest_file.with_name(f"replayed-{manifest.output.file_name}")
    if out.resolve() == manifest_file.with_name(manifest.output.file_name).resolve():
        raise ExportError(f"{out} is the file to compare with: choose another --out")
    if manifest.output.carries_decisions:
        raise ExportError(
            "this export holds corrected texts or decisions, which stand in the ledger of "
            f"{manifest.project} and not in the manifest: export it from that project again, or "
            "replay an export with original texts and without decisions"
        )
    files = [locate(file, manifest_file, pool_dirs) for file in manifest.pool]
    chosen = manifest.selection
    rule = SelectionRule.from_dict({**chosen.parameters, "strategy": chosen.strategy})
    if find_strategy(rule.strategy).needs_tags:
        raise ExportError(
            f"{rule.strategy} looks at tags, which stand in the project {manifest.project} and "
            "not in the manifest: export it from that project again"
        )
    models = _model_jobs(manifest, rule)
    output = manifest.output
    export = ExportSpec(
        selection=chosen.name,
        format=output.format,
        out=out,
        with_scores=output.with_scores,
        overwrite=overwrite,
    )
    export.check_words()
    export.check_places([absolute(manifest_file), *files], overwrite)
    with (
        tempfile.TemporaryDirectory(prefix="deita-replay-") as folder,
        Project.open(Path(folder) / "replay.duckdb", create=True) as project,
    ):
        project.rename(manifest.project)
        numbers = [
            add_source(project, known.name, str(path.resolve()), known.mapping.to_json())
            for known, path in zip(manifest.pool, files, strict=True)
        ]
        graph = [GraphSpec()] if rule.needs_graph else []
        run_jobs(project, [ImportSpec(sources=numbers), *models, *graph])
        select_and_save(project, rule, chosen.name)
        run_jobs(project, [export])
    made = read_manifest(manifest_path(out)).output
    return Replayed(
        out,
        made.sha256 == output.sha256,
        made.ids == output.ids,
        len(made.ids),
        tuple(check_versions(manifest, current_versions(VERSION))),
    )


def _model_jobs(manifest: Manifest, rule: SelectionRule) -> list[JobSpec]:
    models = {model.role: model for model in manifest.models}
    weights = {"complexity": rule.complexity_weight, "quality": rule.quality_weight}
    needed = {"embedding"} | {dimension for dimension, weight in weights.items() if weight}
    missing = needed - models.keys()
    if missing:
        raise ExportError(f"the manifest names no model for {', '.join(sorted(missing))}")
    used = {d: models[d] for d in DIMENSIONS if d in models}
    columns = {d: column for d, m in used.items() if (column := _column(m))}
    named = {d: name_of_scorer(m.id) for d, m in used.items() if d not in columns}
    options = {d: _options(used[d]) for d in named}
    for dimension, name in named.items():
        check_revision(name, used[dimension].revision)
    chain: list[JobSpec] = []
    if columns:
        chain.append(ImportScoresSpec(fields=columns))
    if named:
        chain.append(ScoreSpec.model_validate({**named, "options": options}))
    embedder = models["embedding"]
    return [*chain, EmbedSpec(embedder=name_of_embedder(embedder.id), options=_options(embedder))]


def _column(model: ModelUse) -> str | None:
    """The column of the pool that the scores were, or None for those of a model.

    Raises ExportError for scores out of a file, which the manifest does not hold.
    """
    kind, _, rest = model.id.partition(":")
    if kind == "import":
        raise ExportError(
            f"{model.role} was imported from {rest.partition('#')[0]}, which is no part of the "
            "manifest: import the pool and the scores, and select again"
        )
    return rest if kind == "column" else None


def _options(model: ModelUse) -> ModelOptions:
    """The recorded options that change a model's numbers."""
    names = ("precision", "max_tokens")
    known = {n: model.parameters[n] for n in names if n in model.parameters}
    # A model that chooses for itself (OpenVINO, the light scorers) records other precisions, too.
    if known.get("precision") not in PRECISIONS:
        known.pop("precision", None)
    return ModelOptions.model_validate(known)
