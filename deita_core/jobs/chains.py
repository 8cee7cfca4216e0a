"""Chains of jobs: what `run`, the sample and the app's pages queue, one job after the other.

The specs of single jobs are in `deita_core.jobs.kinds`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from deita_core.conversation import without_surrogates
from deita_core.errors import FormatError, PathError
from deita_core.files import sha256_of
from deita_core.formats.read.detect import Detection
from deita_core.formats.read.layout import Mapping
from deita_core.formats.score_file import score_fields
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import (
    ClusterSpec,
    EmbedSpec,
    GraphSpec,
    ImportScoresSpec,
    ImportSpec,
    MapSpec,
    PilotSpec,
    ScoreSpec,
    SelectSpec,
)
from deita_core.jobs.kinds.import_pool import hub_path
from deita_core.models.options import ModelOptions
from deita_core.project import Project
from deita_core.project.job_log import active_jobs
from deita_core.project.models import Role
from deita_core.project.pool import Source, add_source, forget_source, sources
from deita_core.project.selections import selections
from deita_core.scoring.catalogue import NAMES
from deita_core.scoring.protocol import DIMENSIONS, Dimension
from deita_core.selection.rule import SelectionRule


def register_files(
    project: Project,
    files: Sequence[Path],
    mapping: Mapping | None = None,
    *,
    detected: Sequence[Detection] = (),
) -> list[int]:
    """Add files to the pool (they are read by the import job); returns the ones to import.

    A file with the same content as one that is already imported is left out, and one whose
    import was stopped is gone on with, so the same command can be given twice. One of which
    nothing could be imported is read anew, as it is to be read now.
    detected: what `detect` has found for some of the files; the import detects the others, with
    `mapping`. Raises PathError for a file that does not exist, FormatError for another mapping of
    one that is partly imported.
    """
    check_files(files)
    known = sources(project)
    found = {one.path: one for one in detected}
    numbers = []
    for file in files:
        digest, path = sha256_of(file), str(file.resolve())
        same = [s for s in known if s.sha256 == digest or (s.sha256 is None and s.path == path)]
        one = found.get(file)
        given = one.mapping if one else mapping
        same = [s for s in same if not _taken_back(project, s)]
        if any(s.state == "imported" for s in same):
            continue
        if same:
            numbers.append(_gone_on_with(same[0], given))
        else:
            how = (one.container.to_json(), one.explanation) if one else ()
            asked = given.to_json() if given else None
            numbers.append(add_source(project, file.name, path, asked, *how))
    return numbers


def _taken_back(project: Project, source: Source) -> bool:
    """Whether the project has forgotten the file, of which nothing came and nothing is to come."""
    waiting = source.state == "importing" and active_jobs(project)
    if waiting or not source.fruitless:
        return False
    forget_source(project, source.source)
    return True


def _gone_on_with(source: Source, mapping: Mapping | None) -> int:
    """The number of a file that is partly imported, or about to be."""
    if mapping is None or source.mapping is None:
        return source.source
    begun = Mapping.from_json(source.mapping)
    same = (
        mapping.layout == begun.layout
        and mapping.columns.items() <= begun.columns.items()
        and mapping.roles == begun.roles
    )
    if not same:
        raise FormatError(
            f"{source.imported + source.duplicates:,} rows of {source.name} are imported with "
            "another mapping: go on with that one, or import the file into a new project"
        )
    return source.source


def check_files(files: Sequence[Path], hub: str | None = None) -> None:
    """Raises PathError for a file that is not there or cannot be named, and for no hub dataset."""
    for file in files:
        if not file.is_file():
            raise PathError(f"there is no file {file}: check the path")
        if without_surrogates(str(file.resolve())) != str(file.resolve()):
            raise PathError(f"the name {str(file)!r} is not UTF-8: rename the file or its folder")
    if hub is not None and (".." in hub or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?", hub)):
        raise PathError(
            f"{hub!r} is no dataset of the hub: give owner/name or owner/name:configuration"
        )


def register_hub(project: Project, name: str, split: str = "train") -> int:
    """Add a dataset of the Hugging Face hub; the import job downloads it to the data folder.

    Raises PathError when the name is not of the form owner/name or name.
    """
    check_files([], name)
    return add_source(project, name, hub_path(name, split), None)


def score_chain(
    complexity: str | None = "light",
    quality: str | None = "light",
    *,
    options: MappingType[Dimension, ModelOptions] | None = None,
    despite_health: bool = False,
    activate: bool = True,
) -> list[JobSpec]:
    """Score with these scorers (see `ScoreSpec`); None leaves a dimension out.

    Two models that may be large come one after the other, so that they share no memory.
    """
    both = ScoreSpec(
        complexity=complexity,
        quality=quality,
        options=options or {},
        despite_health=despite_health,
        activate=activate,
    )
    one_model = complexity == quality != "deita"
    if not (complexity and quality) or one_model or {complexity, quality} <= set(NAMES):
        return [both]
    return [both.model_copy(update={other: None}) for other in reversed(DIMENSIONS)]


def pilot_chain(
    complexity: str | None = None,
    quality: str | None = None,
    embedder: str | None = None,
    *,
    options: MappingType[Role, ModelOptions] | None = None,
    rows: int = 200,
) -> list[JobSpec]:
    """Try each model on a few rows, one after the other; None leaves one out.

    options: of "complexity", "quality" and "embedding". What they found is in
    `project.models.pilots`.
    """
    names = zip(get_args(Role), (complexity, quality, embedder), strict=True)
    given = options or {}
    return [
        PilotSpec(dimension=role, model=name, options=given.get(role, ModelOptions()), rows=rows)
        for role, name in names
        if name
    ]


def import_scores_spec(
    complexity: str | None = None,
    quality: str | None = None,
    *,
    file: Path | None = None,
    activate: bool = True,
) -> ImportScoresSpec:
    """Take scores from elsewhere; they become the active ones of their dimension (`activate`).

    complexity, quality: the field of the file, or without a file the column of the pool, that
    holds them (dots lead into nested objects). With a file and neither, the usual names are
    looked for. Raises FormatError when there is no such file or no field is named or known.
    """
    named = dict(zip(DIMENSIONS, (complexity, quality), strict=True))
    if file is not None and not (complexity or quality):
        known = score_fields(file)
        named = {dimension: known.get(dimension) for dimension in DIMENSIONS}
    fields = {dimension: name for dimension, name in named.items() if name}
    if not fields:
        raise FormatError(
            "name the column that holds complexity, the one that holds quality, or both"
        )
    return ImportScoresSpec(fields=fields, file=file, activate=activate)


def preparation(numbers: Sequence[int]) -> list[JobSpec]:
    """Everything between files and a selection, with the embedded default models.

    Where other models are in use they stay so: what they have not done is told on the Score page.
    """
    first = [ImportSpec(sources=numbers)] if numbers else []
    scores = ScoreSpec(complexity="light", quality="light", activate=False)
    return [*first, scores, EmbedSpec(activate=False), GraphSpec(), MapSpec(), ClusterSpec()]


SAMPLE_KEY = "sample"
SAMPLE_NAME = "Sample project"
SAMPLE_RULE = SelectionRule(threshold=0.7, budget=600)


def sample_files() -> list[Path]:
    """The files of the sample pool: in the installed package, or at the repository's top level."""
    package = Path(__file__).resolve().parents[1]
    files = [
        path
        for folder in (package / "sample", package.parent / "sample")
        for path in sorted(folder.glob("*"))
        if path.suffix in (".json", ".jsonl")
    ]
    if not files:
        raise PathError(f"the sample pool is missing: there is no folder {package.parent}/sample")
    return files


def sample_chain(project: Project) -> list[JobSpec]:
    """What is still to be done: the whole main job up to a first selection."""
    chain = preparation(register_files(project, sample_files()))
    if not selections(project):
        rule = SAMPLE_RULE.to_json()
        note = "Made with the sample project."
        chain.append(SelectSpec(rule=rule, name="first look", notes=note))
    return chain
