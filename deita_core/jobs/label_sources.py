"""Where labels for a training come from: ranked chains, a file, or what people scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deita_core.errors import ModelError
from deita_core.files import sha256_of
from deita_core.jobs.review import labelled_counts, scored_turns
from deita_core.project import Project
from deita_core.project.clusters import clusters
from deita_core.project.evolutions import find_evolution, seed_rows
from deita_core.project.evolved_chains import scores_of, variants_of
from deita_core.project.graphs import load_clusters
from deita_core.project.queues import queues
from deita_core.scoring.protocol import Dimension
from deita_core.training.label_file import NO_SCORE, Labels, read_labels, usable_labels
from deita_core.training.labels import LabelledTurn


@dataclass(frozen=True, slots=True)
class LabelSource:
    """Labels, and where they came from in words."""

    labels: Labels
    said: str


def labels_of_chains(project: Project, run: str, dimension: Dimension) -> LabelSource:
    """The ranked variants of an evolution; ModelError when it evolved the other dimension."""
    kind = find_evolution(project, run).kind
    if kind != dimension:
        raise ModelError(
            f"the chains of {run!r} were ranked by {kind}: train a scorer of {kind} on them"
        )
    return LabelSource(usable_labels(chain_labels(project, run), dimension), f"chains of {run}")


def chain_labels(project: Project, name: str) -> list[LabelledTurn]:
    """Every variant of a run that was kept and has a score, its seeds included, by chain and round.

    The score is the one that counts (see `evolved_chains`). Chains of the same seed instruction are
    one group, which no split parts. ProjectError when there is no run of this name.
    """
    run = find_evolution(project, name)
    scores = scores_of(project, run.evolution)
    variants = [one for one in variants_of(project, run.evolution) if one.eliminated is None]
    seeds = {one.chain: one.instruction for one in variants if one.round == 0}
    rows = seed_rows(project, run.evolution).tolist()
    cluster_of = _cluster_names(project)
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
                cluster=cluster_of.get(rows[one.chain]),
            )
        )
    return labelled


def labels_of_file(file: Path, dimension: Dimension, scale: tuple[float, float]) -> LabelSource:
    """The labelled turns of a file."""
    found = read_labels(file, dimension, scale)
    return LabelSource(found, f"the file {file.name} (SHA-256 {sha256_of(file)[:16]})")


def labels_of_reviews(project: Project, dimension: Dimension, queue: int | None) -> LabelSource:
    """The mean of people's scores of each row of one turn; queue: only those given in it."""
    cluster_of, turns, unscored = _cluster_names(project), [], 0
    for one in scored_turns(project, queue):
        score = one.complexity if dimension == "complexity" else one.quality
        if score is None:
            unscored += 1
            continue
        cluster = cluster_of.get(one.row)
        turns.append(LabelledTurn(one.instruction, one.instruction, one.response, score, cluster))
    rejected = {NO_SCORE: unscored} if unscored else {}
    if left := labelled_counts(project, queue).left_out:
        rejected["of several turns or of none"] = left
    names = {one.queue: one.name for one in queues(project)}
    where = "" if queue is None else f" in the queue {names.get(queue, queue)}"
    return LabelSource(usable_labels(turns, dimension, rejected), f"reviews{where}")


def _cluster_names(project: Project) -> Mapping[int, str]:
    """Of each row that is in one."""
    of_row = load_clusters(project)
    if of_row is None:
        return {}
    names = {one.cluster: one.name for one in clusters(project)}
    inside = enumerate(of_row.tolist())
    return {row: names.get(number, str(number)) for row, number in inside if number >= 0}
