"""The job that writes a saved selection to a file, with its manifest, card and dataset_info."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deita_core import VERSION
from deita_core.conversation import Conversation
from deita_core.errors import ExportError
from deita_core.files import whole_file
from deita_core.formats.card import card_statistics, dataset_card
from deita_core.formats.manifest import (
    Manifest,
    ModelUse,
    Output,
    PoolFile,
    SelectionRecord,
    current_versions,
)
from deita_core.formats.read.containers import Container
from deita_core.formats.read.layout import Mapping
from deita_core.formats.write import export_format, write
from deita_core.formats.write.export_format import ExportRow, WriteReport
from deita_core.formats.write.trainers import READABLE, dataset_info, merge_dataset_info
from deita_core.jobs.handover import Identities, WorkerChannel
from deita_core.jobs.kind import JobSpec, OutPath
from deita_core.project import Project
from deita_core.project.job_log import Progress
from deita_core.project.pool import Source, sources
from deita_core.project.scores import ScorerRecord, scorers
from deita_core.project.selections import SavedSelection, find_selection, write_selection
from deita_core.project.vectors import EmbedderRecord, embedders


class ExportSpec(JobSpec):
    """Writes the file, then what goes beside it.

    selection: its name. format: key of the export format. with_scores: None as it is usual in
    that format. license: identifier for the card.
    """

    kind = "export"
    label = "Export"
    unit = "conversations"

    selection: str
    format: str
    out: OutPath
    with_scores: bool | None = None
    license: str = "other"

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write the rows and a manifest that lacks only what the worker will find out."""
        saved = find_selection(project, self.selection)
        manifest = _manifest_of(project, saved, self.format, self.out.name)
        (folder / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
        return write_selection(project, saved.selection, folder / "rows.parquet")

    def work(self, channel: WorkerChannel) -> None:
        """The data, the manifest, the card, the entry in dataset_info.json."""
        folder, total = channel.get_input()
        rows, with_scores = folder / "rows.parquet", self.with_scores
        if with_scores is None:
            with_scores = export_format(self.format).scores_by_default
        written: list[str] = []

        def watched() -> Iterator[ExportRow]:
            for row in read_export_rows(rows):
                written.append(row.id)
                channel.report(Progress(stage="writing", done=len(written), total=total))
                yield row

        report = write(watched(), self.format, self.out, with_scores=with_scores)
        skipped = {identity for identity, _ in report.skipped}
        base = Manifest.from_json((folder / "manifest.json").read_text(encoding="utf-8"))
        found = {
            "with_scores": with_scores,
            "bytes": report.bytes,
            "sha256": report.sha256,
            "ids": tuple(identity for identity in written if identity not in skipped),
        }
        output = base.output.model_copy(update=found)
        manifest = base.model_copy(update={"output": output})
        kept = (row for row in read_export_rows(rows) if row.id not in skipped)
        card = dataset_card(manifest, card_statistics(kept), self.license or "other")
        _write_beside(self.out, manifest, card, report)
        channel.report(Progress(done=total, total=total, result=_said(report)))


def manifest_path(out: Path) -> Path:
    """Where the manifest of an exported file lies: beside it."""
    return out.with_name(f"{out.stem}.manifest.json")


def card_path(out: Path) -> Path:
    """Where the dataset card of an exported file lies: beside it."""
    return out.with_name(f"{out.stem}.card.md")


def read_export_rows(path: Path) -> Iterator[ExportRow]:
    """The rows that `write_selection` wrote, one by one in their order."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(1024):
            for row in batch.to_pylist():
                conversation = Conversation.from_json(row.pop("messages"), row.pop("tools"))
                raw, flags = row.pop("original"), tuple(row.pop("flags"))
                yield ExportRow(conversation=conversation, raw=raw, flags=flags, **row)


def _manifest_of(project: Project, saved: SavedSelection, export: str, file_name: str) -> Manifest:
    """What made a selection, as far as the project knows; `output` is still empty."""
    rule: dict[str, Any] = json.loads(saved.rule)
    models: list[tuple[str, ScorerRecord | EmbedderRecord]] = [
        *((scorer.dimension, scorer) for scorer in scorers(project)),
        *(("embedding", embedder) for embedder in embedders(project)),
    ]
    return Manifest(
        project=project.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        pool=tuple(map(_pool_file, sources(project))),
        models=tuple(
            ModelUse(role=role, id=m.model, revision=m.revision, parameters=dict(m.parameters))
            for role, m in models
            if m.active
        ),
        selection=SelectionRecord(name=saved.name, strategy=rule.pop("strategy"), parameters=rule),
        output=Output(
            format=export, file_name=file_name, with_scores=False, bytes=0, sha256="0" * 64, ids=()
        ),
        versions=current_versions(VERSION),
    )


def _portable(path: str) -> str:
    """Relative to where the program runs, or the bare name: no path of this machine."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else Path(path).name


def _pool_file(source: Source) -> PoolFile:
    if source.sha256 is None or source.container is None or source.mapping is None:
        raise ExportError(f"{source.name} is not imported yet: import it, or delete the project")
    container = Container.from_json(source.container)
    facts = {name: value for name, value in asdict(source).items() if name in PoolFile.model_fields}
    facts |= {"container": container.kind, "compression": container.compression}
    facts |= {"path": _portable(source.path), "mapping": Mapping.from_json(source.mapping)}
    return PoolFile.model_validate(facts)


def _write_beside(out: Path, manifest: Manifest, card: str, report: WriteReport) -> None:
    for path, text in ((manifest_path(out), manifest.to_json()), (card_path(out), card)):
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
    if manifest.output.format in READABLE:
        entry = dataset_info(out.stem, out.name, manifest.output.format, report.fields)
        merge_dataset_info(out.with_name("dataset_info.json"), entry)


def _said(report: WriteReport) -> tuple[str, ...]:
    parts = [f"{report.rows_written:,} conversations, {report.bytes:,} bytes"]
    if report.skipped:
        parts.append(f"{len(report.skipped):,} left out ({report.skipped[0][1]})")
    parts += [warning.text for warning in report.warnings]
    return tuple(parts)
