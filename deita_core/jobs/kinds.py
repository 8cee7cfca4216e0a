"""The kinds of jobs there are, by name."""

from deita_core.jobs.embed import Embed
from deita_core.jobs.export import Export
from deita_core.jobs.export_scores import ExportScores
from deita_core.jobs.import_pool import ImportPool
from deita_core.jobs.import_scores import ImportScores
from deita_core.jobs.kind import JobKind
from deita_core.jobs.make_graph import MakeGraph
from deita_core.jobs.make_map import MakeMap
from deita_core.jobs.pilot import Pilot
from deita_core.jobs.score import Score
from deita_core.jobs.select_rows import SelectRows

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
