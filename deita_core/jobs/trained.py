"""The scorers that were trained in a project: where they lie, what is known of them, their end.

Each has a folder of its own in `NAME.duckdb.scorers`, beside the project file.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from deita_core.errors import ModelError, ProjectError
from deita_core.files import private_folder
from deita_core.project import Project
from deita_core.project.on_disk import scorers_folder
from deita_core.scoring.trained import TrainedScorer, read_trained
from deita_core.training.card import CARD
from deita_core.training.report import TrainingReport, read_report

TRAIN, DELETE = "train a scorer", "delete a scorer"
_NAME = re.compile(r"\w[\w.-]{0,59}")


@dataclass(frozen=True, slots=True)
class TrainedFolder:
    """A scorer of the project. facts, report: None where the folder is damaged, which `fault` says.

    loads: the name by which the catalogue loads it.
    """

    name: str
    folder: Path
    facts: TrainedScorer | None
    report: TrainingReport | None
    fault: str | None

    @property
    def loads(self) -> str:
        """For a scoring job; ModelError for a damaged folder."""
        if self.facts is None:
            raise ModelError(self.fault or f"{self.folder} is damaged: train it anew")
        return f"{self.facts.loads}{self.folder}"

    @property
    def card(self) -> str:
        """Its model card in Markdown; ModelError where it cannot be read."""
        try:
            return (self.folder / CARD).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ModelError(f"{self.folder / CARD} cannot be read: {error}") from error


def trained_scorers(project: Project) -> list[TrainedFolder]:
    """The scorers that were trained in this project, the latest first, damaged ones last."""
    home = scorers_folder(project.path)
    folders = [path for path in home.glob("*") if path.is_dir() and _NAME.fullmatch(path.name)]
    found = [_look(path) for path in sorted(folders)]
    return sorted(found, key=lambda one: -one.facts.made.timestamp() if one.facts else 0.0)


def find_trained(project: Project, name: str) -> TrainedFolder:
    """The scorer of this name; ProjectError when there is none."""
    found = next((one for one in trained_scorers(project) if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in trained_scorers(project)) or "none"
        raise ProjectError(f"no scorer {name!r} was trained in this project (there are: {known})")
    return found


def _look(folder: Path) -> TrainedFolder:
    try:
        return TrainedFolder(folder.name, folder, read_trained(folder), read_report(folder), None)
    except ModelError as error:
        return TrainedFolder(folder.name, folder, None, None, str(error))


def check_scorer_name(project: Project, name: str) -> None:
    """Raises ProjectError for a name that no new scorer can have."""
    if not _NAME.fullmatch(name):
        raise ProjectError(
            f"{name!r} cannot name a scorer: use up to 60 letters, digits, '.', '_' and '-'"
        )
    if (scorers_folder(project.path) / name).exists():
        raise ProjectError(
            f"a scorer {name!r} was trained already: choose another name, or delete that one"
        )


def keep_trained(project: Project, name: str, made: Path) -> None:
    """Put a finished folder among the project's scorers; once it is there, nothing happens."""
    home = scorers_folder(project.path)
    if not made.exists() and (home / name).exists():
        return  # this batch came before
    facts = read_trained(made)
    check_scorer_name(project, name)
    what = {
        "name": name,
        "dimension": facts.dimension,
        "method": facts.method,
        "labels": facts.labels_sha256,
        "beats length": facts.beats_length,
    }
    with project.transaction("curator", TRAIN, what, changes_data=False):
        private_folder(home)
        os.replace(made, home / name)


def delete_trained(project: Project, name: str) -> None:
    """Delete a scorer; what it has scored stays. Raises ProjectError when there is none."""
    found = find_trained(project, name)
    with project.transaction("curator", DELETE, {"name": name}, changes_data=False):
        shutil.rmtree(found.folder)
