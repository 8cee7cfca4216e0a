"""The commands for groups of rows: clusters, near-duplicates, and what a benchmark finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from deita_core.cli.options import JSON, ProjectOptions, choice, flag, print_json, value
from deita_core.cli.progress_bars import run_jobs
from deita_core.errors import ProjectError
from deita_core.files import one_line
from deita_core.jobs.kinds import ClusterSpec, ContaminationSpec, TextDuplicatesSpec
from deita_core.map.clusters import Method
from deita_core.project import Project
from deita_core.project.clusters import ClusterFacts, cluster_facts, rename_cluster
from deita_core.project.contamination import (
    Benchmark,
    BenchmarkPair,
    benchmark_pairs,
    benchmarks,
    forget_benchmark,
)
from deita_core.project.duplicates import (
    drop_duplicates,
    duplicates_by_meaning,
    duplicates_by_text,
    restore_duplicates,
)
from deita_core.similarity.contamination import RUN
from deita_core.similarity.duplicates import By, DuplicateGroups

_WIDTH = 100
LAST: Any = value(10, "N", "how many to show")


def show_clusters(
    target: ProjectOptions,
    make: bool = flag("--make", "make and name the clusters first, in place of those there are"),
    method: str = choice(
        "kmeans", get_args(Method), "with --make: on the vectors, or on the map (which it needs)"
    ),
    number: int | None = value(None, "N", "with --make and kmeans: how many"),
    smallest: int | None = value(None, "N", "with --make and hdbscan: rows that make a cluster"),
    rename: str | None = value(None, "NUMBER=NAME", "give a cluster a name of your own"),
    selection: str | None = value(
        None, "NAME", "tell the share kept of this selection (default: the current one)"
    ),
    show: int = LAST,
    as_json: bool = JSON,
) -> None:
    """List the clusters by name, or make them anew."""
    with target.opened() as project:
        if make:
            how = {"method": method, "number": number, "smallest": smallest}
            said = run_jobs(project, [ClusterSpec.read(how)], quiet=target.quiet)[0].message
            if not as_json:
                print(said)
        if rename is not None:
            rename_cluster(project, *_renamed(rename))
        found = cluster_facts(project, selection)
        if not found:
            raise ProjectError("the clusters have no names yet: give --make to make and name them")
        if as_json:
            print_json([_cluster_object(one) for one in found])
            return
        for one in found[:show]:
            print(_cluster_line(one))
        _print_rest(len(found) - show, "clusters")


def _renamed(text: str) -> tuple[int, str]:
    number, equals, name = text.partition("=")
    if not equals or not number.strip().isdecimal():
        raise ProjectError(f"--rename takes NUMBER=NAME, e.g. 3=Recipes, got {text!r}")
    return int(number), name


def _cluster_object(facts: ClusterFacts) -> dict[str, Any]:
    told = asdict(facts)
    return {**told.pop("cluster"), **told, "kept_share": facts.kept_share}


def _cluster_line(facts: ClusterFacts) -> str:
    scores = {
        "complexity": facts.complexity,
        "quality": facts.quality,
        "evol score": facts.evol_score,
    }
    parts = [f"{facts.rows:,} rows"]
    parts += [f"{name} {score:.2f}" for name, score in scores.items() if score is not None]
    if facts.kept_share is not None:
        parts.append(f"{facts.kept_share:.0%} kept")
    sentence = _cut(facts.sentence)
    return f"{facts.cluster.cluster} {one_line(facts.cluster.name)}: {', '.join(parts)}; {sentence}"


def show_duplicates(
    target: ProjectOptions,
    by: str = choice("meaning", get_args(By), "by the similarity graph, or by words in common"),
    threshold: float = value(
        0.9, "T", "cosine similarity, or with --by text the share of words in common (from 0.7)"
    ),
    drop: bool = flag("--drop", "keep the best row of each group and exclude the others"),
    undo: bool = flag("--undo", "take the last --drop back, and do nothing else"),
    show: int = LAST,
    as_json: bool = JSON,
) -> None:
    """Show groups of near-duplicates, and drop all but one of each."""
    with target.opened() as project:
        if undo:
            print(f"{len(restore_duplicates(project).rows):,} rows are back")
            return
        kind: By = "text" if by == "text" else "meaning"
        groups = _duplicates(project, kind, threshold, target.quiet)
        found = groups.groups()
        dropped = drop_duplicates(project, groups, threshold, kind).rows if drop else None
        if as_json:
            print_json(_duplicates_object(groups, found, dropped))
            return
        print(
            f"{len(groups.dropped):,} near-duplicates above {threshold:g}, in {len(found):,} groups"
        )
        for group in found[:show]:
            _print_group(project, groups, group)
        _print_rest(len(found) - show, "groups")
        if dropped is not None:
            print(f"{len(dropped):,} rows are excluded; --undo takes that back")


def _duplicates(project: Project, by: By, threshold: float, quiet: bool) -> DuplicateGroups:
    if by == "meaning":
        return duplicates_by_meaning(project, threshold)
    run_jobs(project, [TextDuplicatesSpec(threshold=threshold)], quiet=quiet)
    found = duplicates_by_text(project, threshold)
    if found is None:
        raise ProjectError("rows came while near-duplicates were looked for: look again")
    return found


def _duplicates_object(
    groups: DuplicateGroups, found: Sequence[NDArray[np.int64]], dropped: Sequence[int] | None
) -> dict[str, Any]:
    listed = [
        {
            "keep": int(group[0]),
            "others": [
                {"row": row, "similarity": groups.similarity[row]} for row in group[1:].tolist()
            ],
        }
        for group in found
    ]
    return {"near_duplicates": len(groups.dropped), "groups": listed, "excluded": dropped}


def _print_group(project: Project, groups: DuplicateGroups, group: NDArray[np.int64]) -> None:
    said = dict(
        project.rows(
            "SELECT row, preview FROM conversations WHERE row IN (SELECT unnest(?::INTEGER[]))",
            group[:4].tolist(),
        )
    )
    keep, *others = group.tolist()
    print(f"keep {keep}: {_cut(said[keep])}")
    for row in others[:3]:
        print(f"  {groups.similarity[row]:.3f} {row}: {_cut(said[row])}")
    _print_rest(len(others) - 3, "rows of the group", "  ")


def contamination(
    target: ProjectOptions,
    against: Path | None = value(None, "FILE", "the benchmark: any file that a pool may be"),
    run: int = value(RUN, "N", "words in a row that count, 8 or more"),
    threshold: float | None = value(
        None, "T", "also rows more similar than this to it, by the pool's embedder"
    ),
    forget: str | None = value(None, "NAME", "take back what the benchmark of this name found"),
    show: int = LAST,
    as_json: bool = JSON,
) -> None:
    """Find rows that hold texts of a benchmark; without --against, show what was found."""
    with target.opened() as project:
        if forget is not None:
            forget_benchmark(project, forget)
        if against is not None:
            spec = ContaminationSpec(file=against, run=run, threshold=threshold)
            run_jobs(project, [spec], quiet=target.quiet)
        name = None if against is None else against.name
        known = [one for one in benchmarks(project) if name in (None, one.name)]
        if as_json:
            pairs = benchmark_pairs(project, name)
            print_json(_contamination_object(known, pairs))
            return
        for one in known:
            print(one_line(one.sentence))
            for pair in benchmark_pairs(project, one.name, show):
                print(_pair_line(pair))
            _print_rest(one.pairs - show, "pairs")
        if not known:
            print("the pool was held against no benchmark yet: give one with --against")


def _contamination_object(
    known: Sequence[Benchmark], pairs: Sequence[BenchmarkPair]
) -> dict[str, Any]:
    listed = [{**asdict(one), "made": f"{one.made.isoformat()}Z"} for one in known]
    return {"benchmarks": listed, "pairs": [asdict(one) for one in pairs]}


def _pair_line(pair: BenchmarkPair) -> str:
    alike = [] if pair.share is None else [f"{pair.share:.0%} of its words"]
    alike += [] if pair.similarity is None else [f"similarity {pair.similarity:.3f}"]
    what = f"{pair.part} of record {pair.position}"
    return f"  row {pair.row}: {', '.join(alike)}, {what}: {_cut(pair.longest or pair.text)}"


def _cut(text: str) -> str:
    text = one_line(" ".join(text.split()))
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _print_rest(more: int, what: str, indent: str = "") -> None:
    if more > 0:
        print(f"{indent}and {more:,} more {what}")
