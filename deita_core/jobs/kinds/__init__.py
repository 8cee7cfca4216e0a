"""The kinds of jobs there are, by name."""

from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds.clusters import ClusterSpec
from deita_core.jobs.kinds.comparing import MatchSpec, MeasuresSpec, StabilitySpec
from deita_core.jobs.kinds.contamination import ContaminationSpec
from deita_core.jobs.kinds.duplicates import TextDuplicatesSpec
from deita_core.jobs.kinds.evolve import EvolveSpec
from deita_core.jobs.kinds.export import ExportSpec
from deita_core.jobs.kinds.import_pool import ImportSpec
from deita_core.jobs.kinds.model_runs import EmbedSpec, ScoreSpec
from deita_core.jobs.kinds.pilot import PilotSpec
from deita_core.jobs.kinds.score_files import ExportScoresSpec, ImportScoresSpec
from deita_core.jobs.kinds.select_rows import SelectSpec
from deita_core.jobs.kinds.similarity import GraphSpec, MapSpec
from deita_core.jobs.kinds.train import TrainSpec
from deita_core.jobs.kinds.turn_counts import NodesSpec, TagSpec

__all__ = [
    "KINDS",
    "ClusterSpec",
    "ContaminationSpec",
    "EmbedSpec",
    "EvolveSpec",
    "ExportScoresSpec",
    "ExportSpec",
    "GraphSpec",
    "ImportScoresSpec",
    "ImportSpec",
    "MapSpec",
    "MatchSpec",
    "MeasuresSpec",
    "NodesSpec",
    "PilotSpec",
    "ScoreSpec",
    "SelectSpec",
    "StabilitySpec",
    "TagSpec",
    "TextDuplicatesSpec",
    "TrainSpec",
]

KINDS: dict[str, type[JobSpec]] = {
    spec.kind: spec
    for spec in (
        ImportSpec,
        ScoreSpec,
        EmbedSpec,
        GraphSpec,
        MapSpec,
        SelectSpec,
        ExportSpec,
        PilotSpec,
        ImportScoresSpec,
        ExportScoresSpec,
        ClusterSpec,
        TextDuplicatesSpec,
        ContaminationSpec,
        MatchSpec,
        MeasuresSpec,
        StabilitySpec,
        EvolveSpec,
        TagSpec,
        NodesSpec,
        TrainSpec,
    )
}
