"""What a run of the evolving gives to train a scorer on: its ranked variants as labelled turns."""

from __future__ import annotations

from deita_core.project import Project
from deita_core.project.clusters import clusters
from deita_core.project.evolutions import find_evolution
from deita_core.project.evolved_chains import scores_of, variants_of
from deita_core.project.graphs import load_clusters
from deita_core.training.labels import LabelledTurn


def chain_labels(project: Project, name: str) -> list[LabelledTurn]:
    """Every variant of a run that was kept and has a score, its seeds included, by chain and round.

    The score is the one that counts (see `evolved_chains`). Chains of the same seed instruction are
    one group, which no split parts. ProjectError when there is no run of this name.
    """
    run = find_evolution(project, name)
    scores = scores_of(project, run.evolution)
    variants = [one for one in variants_of(project, run.evolution) if one.eliminated is None]
    seeds = {one.chain: one.instruction for one in variants if one.round == 0}
    cluster_of = _clusters(project, run.evolution)
    labelled = []
    for one in variants:
        found = scores[one.chain].get(one.round)
        if found is None or found.score is None:
            continue
        labelled.append(
            LabelledTurn(
                group=seeds[one.chain],
                instruction=one.instruction,
                response=one.response,
                score=found.score,
                cluster=cluster_of.get(one.chain),
            )
        )
    return labelled


def _clusters(project: Project, evolution: int) -> dict[int, str]:
    """The name of the cluster that the seed of each chain is in."""
    of_row = load_clusters(project)
    if of_row is None:
        return {}
    called = {one.cluster: one.name for one in clusters(project)}
    found = project.rows("SELECT chain, row FROM chains WHERE evolution = ?", evolution)
    return {
        chain: called.get(int(of_row[row]), str(of_row[row]))
        for chain, row in found
        if row < len(of_row) and of_row[row] >= 0
    }
