"""The main job as a list of steps: what `run`, the sample and the app's Pool page queue.

The sample project: the pool that ships with Deita Studio, taken through the main job once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deita_core.errors import ExportError, FormatError, PathError
from deita_core.files import sha256_of
from deita_core.formats.read.detect import Detection
from deita_core.formats.read.layout import Mapping
from deita_core.formats.score_file import score_fields
from deita_core.jobs.kinds.import_pool import hub_path
from deita_core.jobs.kinds.score_files import FORMATS as SCORE_FORMATS
from deita_core.models.options import ModelOptions
from deita_core.project import Project
from deita_core.project.pool import add_source, sources
from deita_core.project.selections import selections
from deita_core.scoring.catalogue import NAMES
from deita_core.selection.rule import SelectionRule

Step = tuple[str, MappingType[str, Any]]


def register_files(
    project: Project,
    files: Sequence[Path],
    mapping: Mapping | None = None,
    *,
    detected: Sequence[Detection] = (),
) -> list[int]:
    """Add files to the pool (they are read by the import step); returns the ones to import.

    A file with the same content as one that is already imported is left out, and one whose
    import was stopped is gone on with, so the same command can be given twice.
    detected: what `detect` has found for some of the files; the import detects the others, with
    `mapping`. Raises PathError for a file that does not exist.
    """
    known = sources(project)
    found = {one.path: one for one in detected}
    numbers = []
    for file in files:
        if not file.is_file():
            raise PathError(f"there is no file {file}: check the path")
        digest, path = sha256_of(file), str(file.resolve())
        same = [s for s in known if s.sha256 == digest or (s.sha256 is None and s.path == path)]
        if any(s.state == "imported" for s in same):
            continue
        if same:
            numbers.append(same[0].source)
        elif one := found.get(file):
            how = one.mapping.to_json(), one.container.to_json(), one.explanation
            numbers.append(add_source(project, file.name, path, *how))
        else:
            given = mapping.to_json() if mapping else None
            numbers.append(add_source(project, file.name, path, given))
    return numbers


def register_hub(project: Project, name: str, split: str = "train") -> int:
    """Add a dataset of the Hugging Face hub; the import step downloads it to the data folder.

    Raises PathError when the name is not of the form owner/name or name.
    """
    if ".." in name or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?", name):
        raise PathError(
            f"{name!r} is no dataset of the hub: give owner/name or owner/name:configuration"
        )
    return add_source(project, name, hub_path(name, split), None)


def import_step(numbers: Sequence[int]) -> Step:
    """Import these sources."""
    return "import", {"sources": list(numbers)}


def score_step(
    complexity: str | None = "light",
    quality: str | None = "light",
    *,
    options: MappingType[str, ModelOptions] | None = None,
    despite_health: bool = False,
    activate: bool = True,
) -> Step:
    """Score what has no score yet with scorers of the catalogue; None leaves a dimension out.

    options: of "complexity" and "quality". despite_health: go on with a scorer that looks
    hopeless after the first hundred turns. activate: their scores count for selection once
    all are there; without (and until then), only where there are no others.
    """
    names = {"complexity": complexity, "quality": quality}
    step: dict[str, Any] = {dimension: name for dimension, name in names.items() if name}
    if options:
        step["options"] = {d: o.to_json() for d, o in options.items() if d in step}
    step |= {"despite_health": True} if despite_health else {}
    return "score", step | ({} if activate else {"activate": False})


def score_steps(
    complexity: str | None = "light",
    quality: str | None = "light",
    *,
    options: MappingType[str, ModelOptions] | None = None,
    despite_health: bool = False,
    activate: bool = True,
) -> list[Step]:
    """As `score_step`, but two models that may be large come one after the other."""

    def step(one: str | None, other: str | None) -> Step:
        return score_step(
            one, other, options=options, despite_health=despite_health, activate=activate
        )

    one_model = complexity == quality != "deita"
    if not (complexity and quality) or one_model or {complexity, quality} <= set(NAMES):
        return [step(complexity, quality)]
    return [step(complexity, None), step(None, quality)]


def pilot_steps(
    complexity: str | None = None,
    quality: str | None = None,
    embedder: str | None = None,
    *,
    options: MappingType[str, ModelOptions] | None = None,
    rows: int = 200,
    seed: int = 42,
) -> list[Step]:
    """Try each model on a few rows, one after the other; None leaves one out.

    options: of "complexity", "quality" and "embedding". What they found is in
    `project.scorer_runs.pilots`.
    """
    names = {"complexity": complexity, "quality": quality, "embedding": embedder}
    found: list[Step] = []
    for dimension, name in names.items():
        if name:
            step: dict[str, Any] = {"dimension": dimension, "model": name}
            if options and dimension in options:
                step["options"] = options[dimension].to_json()
            found.append(("pilot", step | {"rows": rows, "seed": seed}))
    return found


def import_scores_step(
    complexity: str | None = None,
    quality: str | None = None,
    *,
    file: Path | None = None,
    activate: bool = True,
) -> Step:
    """Take scores from elsewhere; they become the active ones of their dimension (`activate`).

    complexity, quality: the field of the file, or without a file the column of the pool, that
    holds them (dots lead into nested objects). With a file and neither, the usual names are
    looked for. Raises FormatError when there is no such file or no field is named or known.
    """
    named = {"complexity": complexity, "quality": quality}
    fields = {dimension: name for dimension, name in named.items() if name}
    if file is not None and not fields:
        fields = score_fields(file)
    if not fields:
        raise FormatError(
            "name the column that holds complexity, the one that holds quality, or both"
        )
    place = None if file is None else str(file.expanduser().resolve())
    step: dict[str, Any] = {"fields": fields, "file": place}
    return "import_scores", step | ({} if activate else {"activate": False})


def export_scores_step(out: Path, format: str = "deita") -> Step:
    """Write the active scores to a file, in one of `export_scores.FORMATS`."""
    if format not in SCORE_FORMATS:
        raise ExportError(f"scores are written as {', '.join(SCORE_FORMATS)}, got {format!r}")
    return "export_scores", {"out": str(out.expanduser().resolve()), "format": format}


def embed_step(
    embedder: str = "minilm", options: ModelOptions | None = None, *, activate: bool = True
) -> Step:
    """Embed what has no vector yet; selection uses the vectors once all are there (`activate`)."""
    step: dict[str, Any] = {"embedder": embedder}
    if options is not None:
        step["options"] = options.to_json()
    return "embed", step | ({} if activate else {"activate": False})


def graph_step() -> Step:
    """Find all pairs of similar rows, and the clusters."""
    return "graph", {}


def map_step() -> Step:
    """Lay all vectors out on the map."""
    return "map", {}


def preparation(numbers: Sequence[int]) -> list[Step]:
    """Everything between files and a selection, with the embedded default models.

    Where other models are in use they stay so: what they have not done is told on the Score page.
    """
    first = [import_step(numbers)] if numbers else []
    models = [score_step(activate=False), embed_step(activate=False)]
    return [*first, *models, graph_step(), map_step()]


def select_step(rule: SelectionRule, name: str, notes: str = "") -> Step:
    """Apply a rule and save the result under a name, replacing one of that name."""
    return "select", {"rule": rule.to_json(), "name": name, "notes": notes}


def export_step(
    selection: str,
    export: str,
    out: Path,
    *,
    with_scores: bool | None = None,
    license: str = "other",
) -> Step:
    """Write a saved selection to a file."""
    return "export", {
        "selection": selection,
        "format": export,
        "out": str(out.expanduser().resolve()),
        "with_scores": with_scores,
        "license": license,
    }


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


def sample_steps(project: Project) -> Sequence[Step]:
    """What is still to be done: the whole main job up to a first selection."""
    steps = preparation(register_files(project, sample_files()))
    if not selections(project):
        steps.append(select_step(SAMPLE_RULE, "first look", "Made with the sample project."))
    return steps
