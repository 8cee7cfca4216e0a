"""A similarity graph on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deita_core.errors import ProjectError
from deita_core.similarity.graph import SimilarityGraph, altered_files, open_graph, save_graph
from deita_core.similarity.graph_build import build_graph

ARRAYS = ("group", "member", "member_start", "start", "neighbour", "similarity")


@pytest.fixture
def graph() -> SimilarityGraph:
    return build_graph(np.random.default_rng(0).normal(size=(60, 4)), 0.3, most_pairs=200)


def test_a_graph_comes_back_as_it_was_by_memory_map(graph: SimilarityGraph, tmp_path: Path) -> None:
    save_graph(tmp_path / "g", graph, {"vectors": 60}, {"clusters": np.arange(60)})
    stored = open_graph(tmp_path / "g")
    assert stored.key == {"vectors": 60}
    assert (stored.graph.floor, stored.graph.wanted_floor) == (graph.floor, graph.wanted_floor)
    for name in ARRAYS:
        assert isinstance(getattr(stored.graph, name), np.memmap)
        np.testing.assert_array_equal(getattr(stored.graph, name), getattr(graph, name))
    np.testing.assert_array_equal(stored.extra["clusters"], np.arange(60))


def test_a_graph_without_rows_comes_back(tmp_path: Path) -> None:
    save_graph(tmp_path / "g", build_graph(np.zeros((0, 4), np.float32)), {})
    assert open_graph(tmp_path / "g").graph.groups == 0


def test_saving_again_replaces_the_folder(graph: SimilarityGraph, tmp_path: Path) -> None:
    for number in range(2):
        save_graph(tmp_path / "g", graph, {"number": number})
    assert open_graph(tmp_path / "g").key == {"number": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"no whole similarity graph .*meta.json is missing"):
        open_graph(tmp_path / "g")


@pytest.mark.parametrize("name", ["neighbour.npy", "start.npy", "meta.json"])
def test_a_file_cut_short_is_found_out(name: str, graph: SimilarityGraph, tmp_path: Path) -> None:
    save_graph(tmp_path / "g", graph, {})
    path = tmp_path / "g" / name
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ProjectError, match=r"is damaged .*: build it again"):
        open_graph(tmp_path / "g")


def test_a_missing_file_is_named(graph: SimilarityGraph, tmp_path: Path) -> None:
    save_graph(tmp_path / "g", graph, {})
    (tmp_path / "g" / "similarity.npy").unlink()
    with pytest.raises(ProjectError, match=r"similarity.npy is missing"):
        open_graph(tmp_path / "g")


def test_another_version_is_refused(graph: SimilarityGraph, tmp_path: Path) -> None:
    save_graph(tmp_path / "g", graph, {})
    meta = json.loads((tmp_path / "g" / "meta.json").read_text())
    (tmp_path / "g" / "meta.json").write_text(json.dumps(meta | {"version": 99}))
    with pytest.raises(ProjectError, match=r"version 99, .* version 2: build it again"):
        open_graph(tmp_path / "g")


@pytest.mark.parametrize(
    ("name", "place", "value", "said"),
    [
        ("neighbour", 3, 10_000, "neighbour.npy leads to places that are not there"),
        ("neighbour", 3, -1, "neighbour.npy leads to places that are not there"),
        ("member", 0, 60, "member.npy leads to places that are not there"),
        ("group", 7, 60, "group.npy leads to places that are not there"),
        ("start", 5, 10**9, "start.npy does not divide its 384 entries"),
        ("start", -1, 10**9, "start.npy does not divide its 384 entries"),
        ("member_start", 0, 1, "member_start.npy does not divide its 60 entries"),
    ],
)
def test_an_index_that_leads_out_of_its_array_is_found_when_it_is_opened(
    name: str, place: int, value: int, said: str, graph: SimilarityGraph, tmp_path: Path
) -> None:
    """The compiled loops would read memory that is not theirs."""
    save_graph(tmp_path / "g", graph, {})
    open_graph(tmp_path / "g")  # whole until now
    array = np.load(tmp_path / "g" / f"{name}.npy")
    array[place] = value
    np.save(tmp_path / "g" / f"{name}.npy", array)
    with pytest.raises(ProjectError, match=rf"is damaged \({said}\): build it again"):
        open_graph(tmp_path / "g")


def test_a_file_that_was_written_to_is_held_against_its_hash(
    graph: SimilarityGraph, tmp_path: Path
) -> None:
    save_graph(tmp_path / "g", graph, {})
    array = np.load(tmp_path / "g" / "similarity.npy")
    np.save(tmp_path / "g" / "similarity.npy", array)
    open_graph(tmp_path / "g")  # the same bytes
    array[3] = 0.5
    np.save(tmp_path / "g" / "similarity.npy", array)
    with pytest.raises(ProjectError, match=r"is damaged \(similarity.npy was altered\)"):
        open_graph(tmp_path / "g")


def test_an_array_of_another_shape_and_the_same_size_is_found(
    graph: SimilarityGraph, tmp_path: Path
) -> None:
    save_graph(tmp_path / "g", graph, {})
    array = np.load(tmp_path / "g" / "neighbour.npy")
    np.save(tmp_path / "g" / "neighbour.npy", array.reshape(2, -1))
    with pytest.raises(ProjectError, match=r"2 neighbours and 384 similarities"):
        open_graph(tmp_path / "g")


def test_files_with_other_bytes_are_named(graph: SimilarityGraph, tmp_path: Path) -> None:
    save_graph(tmp_path / "g", graph, {}, {"clusters": np.arange(60)})
    assert altered_files(tmp_path / "g") == []
    np.save(tmp_path / "g" / "clusters.npy", np.arange(60)[::-1])
    assert altered_files(tmp_path / "g") == ["clusters.npy"]
