"""The kinds of jobs there are, by name."""

from __future__ import annotations

from typing import Any

from deita_core.jobs.kind import JobKind
from deita_core.jobs.kinds.export import Export, ExportSpec
from deita_core.jobs.kinds.import_pool import ImportPool, ImportSpec
from deita_core.jobs.kinds.model_runs import Embed, EmbedSpec, Score, ScoreSpec
from deita_core.jobs.kinds.pilot import Pilot, PilotSpec
from deita_core.jobs.kinds.score_files import (
    ExportScores,
    ExportScoresSpec,
    ImportScores,
    ImportScoresSpec,
)
from deita_core.jobs.kinds.select_rows import SelectRows, SelectSpec
from deita_core.jobs.kinds.similarity import GraphSpec, MakeGraph, MakeMap, MapSpec

__all__ = [
    "KINDS",
    "EmbedSpec",
    "ExportScoresSpec",
    "ExportSpec",
    "GraphSpec",
    "ImportScoresSpec",
    "ImportSpec",
    "MapSpec",
    "PilotSpec",
    "ScoreSpec",
    "SelectSpec",
]

_ALL: tuple[JobKind[Any], ...] = (
    ImportPool(),
    Score(),
    Embed(),
    MakeGraph(),
    MakeMap(),
    SelectRows(),
    Export(),
    Pilot(),
    ImportScores(),
    ExportScores(),
)
KINDS: dict[str, JobKind[Any]] = {kind.spec.kind: kind for kind in _ALL}
