"""The job that writes a saved selection to a file, with its manifest, card and dataset_info."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from typing import Any

from deita_core import VERSION
from deita_core.conversation import Conversation
from deita_core.errors import ExportError
from deita_core.files import sha256_of, whole_file
from deita_core.formats.card import card_statistics, check_license, dataset_card
from deita_core.formats.manifest import (
    Manifest,
    ModelUse,
    Output,
    PoolFile,
    Review,
    SelectionRecord,
    Texts,
    current_versions,
    read_manifest,
)
from deita_core.formats.read.containers import Container
from deita_core.formats.read.layout import Mapping
from deita_core.formats.write import export_format, write_rows
from deita_core.formats.write.export_format import (
    DECISION_FIELDS,
    ExportRow,
    RowDecisions,
    WriteReport,
)
from deita_core.formats.write.trainers import (
    DATASET_INFO,
    READABLE,
    check_dataset_info,
    dataset_info,
    merge_dataset_info,
)
from deita_core.jobs.handover import Identities, WorkerChannel
from deita_core.jobs.outputs import OutputSpec, output_file
from deita_core.project import Project
from deita_core.project.job_log import Progress, active_jobs
from deita_core.project.pool import Source, sources
from deita_core.project.reviewed import review_of
from deita_core.project.scores import ScorerRecord, scorers
from deita_core.project.selections import (
    SavedSelection,
    find_selection,
    selection_bytes,
    write_selection,
)
from deita_core.project.vectors import EmbedderRecord, embedders


class ExportSpec(OutputSpec):
    """Writes the file and what goes beside it.

    selection: its name. format: key of the export format. with_scores: None as it is usual in
    that format. license: identifier for the card. texts: "corrected" writes edited rows in their
    newest version. with_decisions: with what people made of each row beside it. An earlier file of
    the same export, unchanged since, may be overwritten without asking.
    """

    kind = "export"
    label = "Export"
    unit = "conversations"

    selection: str
    format: str
    with_scores: bool | None = None
    license: str = "other"
    texts: Texts = "original"
    with_decisions: bool = False

    def companions(self) -> tuple[Path, ...]:
        """Manifest and card."""
        return manifest_path(self.out), card_path(self.out)

    def bytes_needed(self, project: Project) -> int:
        """The texts of the rows, and of their original records."""
        return selection_bytes(project, find_selection(project, self.selection).selection)

    def check(self, project: Project) -> None:
        """Raises DeitaError for what would fail at the end, or destroy something."""
        self.check_words()
        super().check(project)

    def check_words(self) -> None:
        """Raises ExportError for what can be told without a project."""
        if export_format(self.format).mapping is None and self._needs_decisions:
            raise ExportError(
                "original records stay as they are, without decisions and in their own texts: "
                "choose another format"
            )
        check_license(self.license)
        if self.out.name == DATASET_INFO:
            raise ExportError(
                f"{DATASET_INFO} lists the data sets of a folder: choose another name"
            )
        check_dataset_info(self.out.with_name(DATASET_INFO))

    def may_overwrite(self, project: Project) -> bool:
        """Also without having been told: an earlier file of the same export."""
        return self.overwrite or self._is_again(self._manifest(project))

    def _is_again(self, manifest: Manifest) -> bool:
        found = manifest_beside(self.out)
        if found is None or found.output.format != self.format:
            return False
        same = _made_from(found) == _made_from(manifest)
        how = (self._scores, self.texts, self.with_decisions)
        there = found.output
        return same and (there.with_scores, there.texts, there.with_decisions) == how

    @property
    def _needs_decisions(self) -> bool:
        return self.with_decisions or self.texts == "corrected"

    @property
    def _scores(self) -> bool:
        usual = export_format(self.format).scores_by_default
        return usual if self.with_scores is None else self.with_scores

    def _manifest(self, project: Project) -> Manifest:
        """As far as it is known before the work."""
        saved = find_selection(project, self.selection)
        return _manifest_of(project, saved, self.format, self.out.name)

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write the rows and a manifest that lacks only what the worker will find out."""
        self.write_kept(project, folder)
        saved = find_selection(project, self.selection)
        manifest = self._manifest(project)
        (folder / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
        rows = folder / "rows.parquet"
        return write_selection(project, saved.selection, rows, with_decisions=self._needs_decisions)

    def work(self, channel: WorkerChannel) -> None:
        """The data, the manifest, the card, the entry in dataset_info.json."""
        folder, total = channel.get_input()
        rows = folder / "rows.parquet"
        written: list[str] = []

        def watched() -> Iterator[ExportRow]:
            for row in self._rows(rows):
                written.append(row.id)
                channel.report(Progress(stage="writing", done=len(written), total=total))
                yield row

        base = Manifest.from_json((folder / "manifest.json").read_text(encoding="utf-8"))
        with output_file(self.out) as partial:
            report = write_rows(
                watched(),
                self.format,
                partial,
                with_scores=self._scores,
                with_decisions=self.with_decisions,
            )
            skipped = {identity for identity, _ in report.skipped}
            ids = tuple(identity for identity in written if identity not in skipped)
            manifest = self._finished(base, report, ids)
            kept = (row for row in self._rows(rows) if row.id not in skipped)
            card = dataset_card(manifest, card_statistics(kept), self.license or "other")
            self.check_again(folder, partial, overwrite=self._is_again(base))
            # Before the data, so that a file without its manifest is never of ours.
            for path, text in zip(self.companions(), (manifest.to_json(), card), strict=True):
                with whole_file(path) as beside:
                    beside.write_text(text, encoding="utf-8")
        if self.format in READABLE:
            entry = dataset_info(self.out.name, self.out.name, self.format, report.fields)
            merge_dataset_info(self.out.with_name(DATASET_INFO), entry)
        channel.report(Progress(done=total, total=total, result=_said(report)))

    def _rows(self, path: Path) -> Iterator[ExportRow]:
        """The rows in the texts asked for, and with decisions only where they are."""
        for row, edited in read_export_rows(path):
            if self.texts == "corrected" and edited is not None:
                row = replace(row, conversation=edited)
            elif row.decisions is not None:
                row = replace(row, decisions=replace(row.decisions, version=0, edited_by=None))
            yield row if self.with_decisions else replace(row, decisions=None)

    def _finished(self, base: Manifest, report: WriteReport, ids: tuple[str, ...]) -> Manifest:
        found = {
            "with_scores": self._scores,
            "texts": self.texts,
            "with_decisions": self.with_decisions,
            "bytes": report.bytes,
            "sha256": report.sha256,
            "ids": ids,
        }
        return base.model_copy(update={"output": base.output.model_copy(update=found)})


def manifest_path(out: Path) -> Path:
    """Where the manifest of an exported file lies: beside it."""
    return out.with_name(f"{out.name}.manifest.json")


def card_path(out: Path) -> Path:
    """Where the dataset card of an exported file lies: beside it."""
    return out.with_name(f"{out.name}.card.md")


def manifest_beside(out: Path) -> Manifest | None:
    """The manifest of a file that is as it was exported, or that is about to take its place."""
    with suppress(ExportError, OSError):
        found = read_manifest(manifest_path(out))
        unchanged = not out.exists() or sha256_of(out) == found.output.sha256
        return found if unchanged and found.output.file_name == out.name else None
    return None


def is_earlier_export(out: Path, project: Project, selection: str) -> bool:
    """Whether `out` is what the project has exported of that selection, unchanged since.

    Also while a job that was killed is still to write it.
    """
    unfinished = (job for job in active_jobs(project) if job.kind == ExportSpec.kind)
    if any(job.parameters["out"] == str(out) for job in unfinished):
        return True
    found = manifest_beside(out)
    return found is not None and (found.project, found.selection.name) == (project.name, selection)


def read_export_rows(path: Path) -> Iterator[tuple[ExportRow, Conversation | None]]:
    """The rows that `write_selection` wrote, in their order, each with its corrected text."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(1024):
            for row in batch.to_pylist():
                tools, said = row.pop("tools"), row.pop("edited", None)
                conversation = Conversation.from_json(row.pop("messages"), tools)
                edited = None if said is None else Conversation.from_json(said, tools)
                raw, flags = row.pop("original"), tuple(row.pop("flags"))
                decisions = _decisions(row) if "reviewers" in row else None
                given = {"conversation": conversation, "raw": raw, "flags": flags, **row}
                yield ExportRow(**given, decisions=decisions), edited


def _decisions(row: dict[str, Any]) -> RowDecisions:
    """Takes them out of the columns of a row."""
    values = {name: row.pop(name) for name in DECISION_FIELDS}
    values |= {name: tuple(values[name]) for name in ("tags", "reviewers")}
    return RowDecisions(**values)


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
        review=_review_of(project, saved),
    )


def _review_of(project: Project, saved: SavedSelection) -> Review | None:
    found = review_of(project, saved.selection)
    if found is None:
        return None
    figures = asdict(found)
    unknown = {name: None for name in ("alpha", "raw") if isnan(figures[name])}
    return Review.model_validate(figures | unknown)


def _made_from(manifest: Manifest) -> tuple[object, ...]:
    """What decides which rows an export has."""
    files = [(file.name, file.sha256, file.mapping) for file in manifest.pool]
    return manifest.project, files, manifest.models, manifest.selection


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


def _said(report: WriteReport) -> tuple[str, ...]:
    parts = [f"{report.rows_written:,} conversations, {report.bytes:,} bytes"]
    if report.skipped:
        parts.append(f"{len(report.skipped):,} left out ({report.skipped[0][1]})")
    parts += [warning.text for warning in report.warnings]
    return tuple(parts)
