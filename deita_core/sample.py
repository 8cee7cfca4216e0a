"""The sample project: the pool that ships with Deita Studio, taken through the main job once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deita_core.errors import PathError
from deita_core.project import Project
from deita_core.project.selections import selections
from deita_core.selection.rule import SelectionRule
from deita_core.steps import Step, preparation, register_files, select_step

SAMPLE_KEY = "sample"
SAMPLE_NAME = "Sample project"
SAMPLE_RULE = SelectionRule(threshold=0.7, budget=600)


def sample_files() -> list[Path]:
    """The files of the sample pool, in the repository's `sample` folder."""
    folder = Path(__file__).resolve().parents[1] / "sample"
    files = sorted(p for p in folder.glob("*") if p.suffix in (".json", ".jsonl"))
    if not files:
        raise PathError(f"the sample pool is missing: {folder} has no .json or .jsonl file")
    return files


def sample_steps(project: Project) -> Sequence[Step]:
    """What is still to be done: the whole main job up to a first selection."""
    steps = preparation(register_files(project, sample_files()))
    if not selections(project):
        steps.append(select_step(SAMPLE_RULE, "first look", "Made with the sample project."))
    return steps
