"""The kinds of jobs there are, by name."""

from deita_core.jobs.handover import JobKind
from deita_core.jobs.kinds.embed import Embed
from deita_core.jobs.kinds.export import Export
from deita_core.jobs.kinds.import_pool import ImportPool
from deita_core.jobs.kinds.pilot import Pilot
from deita_core.jobs.kinds.score import Score
from deita_core.jobs.kinds.score_files import ExportScores, ImportScores
from deita_core.jobs.kinds.select_rows import SelectRows
from deita_core.jobs.kinds.similarity import MakeGraph, MakeMap

KINDS: dict[str, JobKind] = {
    kind.name: kind
    for kind in (
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
}
