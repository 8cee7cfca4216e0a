"""The similarity graph: all pairs of rows closer than a floor, with their exact similarity.

Built once per (embeddings, floor) and kept; every selection for a threshold at or above the
floor, near-duplicates and the reason a row was left out are then passes over its edges.

It is stored in a folder, one .npy file an array and meta.json. The folder appears by one rename,
so it is whole or not there, and its files are never changed afterwards. Opening it maps the files
into memory and reads next to nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ProjectError, SelectionError
from deita_core.files import sha256_of, whole_folder


class GraphEdges(NamedTuple):
    """`start`, `neighbour` and `similarity` of a graph as compiled functions take them."""

    start: NDArray[np.int64]
    neighbour: NDArray[np.int32]
    similarity: NDArray[np.float64]

    @staticmethod
    def of(
        start: NDArray[np.int64], neighbour: NDArray[np.int32], similarity: NDArray[np.float64]
    ) -> GraphEdges:
        """Read-only views: arrays and memory maps then share one compiled function."""
        views = GraphEdges(
            np.asarray(start).view(), np.asarray(neighbour).view(), np.asarray(similarity).view()
        )
        for array in views:
            array.flags.writeable = False
        return views


@dataclass(frozen=True, slots=True, eq=False)
class SimilarityGraph:
    """The pairs of m places (rows of an array of vectors) whose similarity is above `floor`.

    Places with bit-identical unit vectors are folded into one of g groups; two places of a group
    have similarity 1.0 and no edge. Similarity is the cosine as `similarity.definition` defines it.

    floor: every pair with similarity > floor is here, and no other.
    wanted_floor: the floor asked for; lower than `floor` where the edge budget raised it.
    group: (m,) int32, the group of each place; -1 where the vector has no direction.
    member: (m',) int32, places by group, ascending within one; group j has
        member[member_start[j]:member_start[j + 1]]. member_start: (g + 1,) int64.
    start: (g + 1,) int64. neighbour: (e,) int32, similarity: (e,) float64: the edges of group j
        are start[j]:start[j + 1], most similar first, ties by group; each pair stands twice.
    All arrays may be memory maps.
    """

    floor: float
    wanted_floor: float
    group: NDArray[np.int32]
    member: NDArray[np.int32]
    member_start: NDArray[np.int64]
    start: NDArray[np.int64]
    neighbour: NDArray[np.int32]
    similarity: NDArray[np.float64]

    def __post_init__(self) -> None:
        groups = len(self.member_start) - 1
        if len(self.start) != groups + 1 or len(self.neighbour) != len(self.similarity):
            raise SelectionError(
                f"the similarity graph has {groups} groups, {len(self.start) - 1} lists of edges, "
                f"{len(self.neighbour)} neighbours and {len(self.similarity)} similarities: "
                "build it again"
            )

    def __len__(self) -> int:
        return len(self.group)

    @property
    def groups(self) -> int:
        """g, the number of distinct vectors."""
        return len(self.member_start) - 1

    @property
    def pairs(self) -> int:
        """Pairs of groups above the floor."""
        return len(self.neighbour) // 2

    def nearest(self) -> NDArray[np.float64]:
        """Of each group to its most similar other one: (g,) float64, the floor without an edge."""
        start = np.asarray(self.start)
        nearest = np.full(self.groups, self.floor)
        joined = np.flatnonzero(np.diff(start))
        nearest[joined] = self.similarity[start[joined]]
        return nearest

    def edges(self) -> GraphEdges:
        """The edges for compiled functions."""
        return GraphEdges.of(self.start, self.neighbour, self.similarity)

    def serves(self, threshold: float) -> bool:
        """True when a selection at this threshold can be read off the graph."""
        return threshold >= self.floor


# Raised whenever a graph of old would be read wrongly.
FILE_VERSION = 2
_TYPES = {
    "group": np.int32,
    "member": np.int32,
    "member_start": np.int64,
    "start": np.int64,
    "neighbour": np.int32,
    "similarity": np.float64,
}


@dataclass(frozen=True, slots=True, eq=False)
class StoredGraph:
    """A graph with what was saved beside it.

    key: what it was made from, as given to `save_graph`. extra: other arrays, by name.
    """

    graph: SimilarityGraph
    key: Mapping[str, Any]
    extra: Mapping[str, NDArray[Any]]


def save_graph(
    folder: Path,
    graph: SimilarityGraph,
    key: Mapping[str, Any],
    extra: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Write a graph to `folder`, replacing one that is there.

    key: JSON values that say what it was made from. extra: more arrays to keep with it.
    """
    extra = extra or {}
    with whole_folder(folder) as partial:
        for name in _TYPES:
            np.save(partial / f"{name}.npy", getattr(graph, name))
        for name, array in extra.items():
            np.save(partial / f"{name}.npy", array)
        meta = {
            "version": FILE_VERSION,
            "floor": graph.floor,
            "wanted_floor": graph.wanted_floor,
            "key": dict(key),
            "extra": sorted(extra),
            "bytes": {path.stem: path.stat().st_size for path in partial.glob("*.npy")},
            "changed": {path.stem: path.stat().st_mtime_ns for path in partial.glob("*.npy")},
            "sha256": {path.stem: sha256_of(path) for path in partial.glob("*.npy")},
        }
        (partial / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def open_graph(folder: Path) -> StoredGraph:
    """The graph in `folder`, by memory map.

    Its files are looked at as far as safety needs: their sizes, types and lengths, and that every
    index leads into its array, for compiled loops do not look. Files that were written to since
    (or copied) are read whole and held against their hashes.
    Raises ProjectError when it is not there, of another version, or damaged.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        if meta["version"] != FILE_VERSION:
            raise ProjectError(
                f"the similarity graph in {folder} has version {meta['version']}, but this Deita "
                f"Studio reads version {FILE_VERSION}: build it again"
            )
        changed = {}
        for name, size in meta["bytes"].items():
            facts = (folder / f"{name}.npy").stat()
            if facts.st_size != size:
                raise ValueError(f"{name}.npy has {facts.st_size} bytes instead of {size}")
            changed[name] = facts.st_mtime_ns
        arrays = {name: _opened(folder, name) for name in _TYPES}
        for name, dtype in _TYPES.items():
            if arrays[name].dtype != dtype:
                raise ValueError(f"{name}.npy holds {arrays[name].dtype}")
        graph = SimilarityGraph(float(meta["floor"]), float(meta["wanted_floor"]), **arrays)
        _check_content(folder, tuple(changed.values()), changed == meta["changed"])
        return StoredGraph(graph, meta["key"], {n: _opened(folder, n) for n in meta["extra"]})
    except FileNotFoundError as error:
        raise ProjectError(
            f"there is no whole similarity graph in {folder} ({Path(str(error.filename)).name} is "
            "missing): build it"
        ) from error
    except (ValueError, KeyError, TypeError, EOFError) as error:
        raise ProjectError(
            f"the similarity graph in {folder} is damaged ({error}): build it again"
        ) from error


def altered_files(folder: Path) -> list[str]:
    """The files of a graph that do not hold what `save_graph` wrote, by name."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    files = {f"{name}.npy": digest for name, digest in meta["sha256"].items()}
    return [name for name, digest in files.items() if sha256_of(folder / name) != digest]


@lru_cache(maxsize=8)
def _check_content(folder: Path, changed: tuple[int, ...], untouched: bool) -> None:
    """Raises ValueError where an index of the graph leads out of its array, or a hash differs.

    changed: when its files last did, so that it is done once for each graph (0.1 s for the
    largest) and not for each page. untouched: it is as `save_graph` left it: leave out the hashes.
    """
    arrays = {name: _opened(folder, name) for name in _TYPES}
    for name, array in arrays.items():
        if array.ndim != 1:
            raise ValueError(f"{name}.npy has the shape {array.shape}")
    groups = len(arrays["member_start"]) - 1
    _check_starts("member_start", arrays["member_start"], len(arrays["member"]))
    _check_starts("start", arrays["start"], len(arrays["neighbour"]))
    _check_range("group", arrays["group"], -1, groups)
    _check_range("member", arrays["member"], 0, len(arrays["group"]))
    _check_range("neighbour", arrays["neighbour"], 0, groups)
    if not untouched and (altered := altered_files(folder)):
        raise ValueError(f"{', '.join(altered)} was altered")


def _check_starts(name: str, starts: NDArray[np.int64], end: int) -> None:
    if not len(starts) or starts[0] != 0 or starts[-1] != end or (np.diff(starts) < 0).any():
        raise ValueError(f"{name}.npy does not divide its {end} entries")


def _check_range(name: str, indices: NDArray[np.int32], low: int, high: int) -> None:
    """Each of `indices` must be from `low` up to below `high`."""
    if len(indices) and not (indices.min() >= low and indices.max() < high):
        raise ValueError(f"{name}.npy leads to places that are not there")


def _opened(folder: Path, name: str) -> NDArray[Any]:
    path = folder / f"{name}.npy"
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r")
    except ValueError:
        array = np.load(path)  # an empty file cannot be mapped
    return array
