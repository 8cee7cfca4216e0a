"""Names of clusters by distinctive words; clusters of the map; typical rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_core.errors import SelectionError
from deita_core.map.cluster_names import cluster_words, name_of, tokens
from deita_core.map.clusters import central_rows, cluster_map, default_smallest

ENGLISH = (
    ("Give me a recipe for rye bread", "How long does bread dough rise in the oven?"),
    ("Write a poem about the autumn rain", "A short poem with rhymes about rain, please"),
    ("How do I file my income tax this year?", "Which income is free of tax?"),
)
GERMAN = (
    ("Wie wird das Brot mit der Hand geknetet?", "Das Brot ist mit der Kruste zu hart"),
    ("Das Gedicht ueber das Meer mit der Flut", "Das Gedicht mit der Zeile ueber das Meer"),
)
CHINESE = (("怎么做面包？面包很好吃", "面包的配方是什么"), ("写一首关于秋天的诗", "秋天的诗歌很美"))


def pool(*languages: tuple[tuple[str, ...], ...]) -> tuple[list[str], np.ndarray]:
    """Ten times each text, and the number of the topic that it is of."""
    topics = [topic for language in languages for topic in language]
    texts = [text for topic in topics for text in topic * 10]
    return texts, np.repeat(np.arange(len(topics)), [len(topic) * 10 for topic in topics])


def test_clusters_are_named_by_what_sets_them_apart() -> None:
    texts, labels = pool(ENGLISH)
    bread, poem, tax = cluster_words(texts, labels, ["en"] * len(texts))
    assert bread[0] == "bread"
    assert set(poem[:2]) == {"poem", "rain"}
    assert set(tax[:2]) == {"income", "tax"}


def test_clusters_of_another_language_are_not_named_by_its_common_words() -> None:
    texts, labels = pool(ENGLISH, GERMAN)
    languages = ["en"] * 60 + ["de"] * 40
    bread, poem = cluster_words(texts, labels, languages)[3:]
    assert bread[0] == "brot"
    assert set(poem[:2]) == {"gedicht", "meer"}
    assert not {"das", "der", "mit"} & {*bread, *poem}


def test_languages_without_spaces_are_named_by_pairs_of_characters() -> None:
    texts, labels = pool(CHINESE)
    bread, autumn = cluster_words(texts, labels, ["zh"] * len(texts))
    assert bread[0] == "面包"
    assert autumn[0] == "秋天"


def test_a_word_counts_once_a_row() -> None:
    texts = ["apple " * 50 + "pear", "pear plum", "pear", "nut"]
    (fruit, _) = cluster_words(texts, np.array([0, 0, 0, 1]), ["en"] * 4)
    assert fruit[0] == "pear"


def test_forms_of_a_word_stand_once_in_a_name() -> None:
    texts = ["recipe recipes bread", "recipe recipes bread", "rain rain", "rain storm"]
    words = cluster_words(texts, np.array([0, 0, 1, 1]), ["en"] * 4)[0]
    assert sorted(words) in (["bread", "recipe"], ["bread", "recipes"])


def test_the_same_rows_give_the_same_names() -> None:
    texts, labels = pool(ENGLISH, CHINESE)
    languages = ["en"] * 60 + ["zh"] * 40
    assert cluster_words(texts, labels, languages) == cluster_words(iter(texts), labels, languages)


@pytest.mark.parametrize("texts", [["", "12 3"], ["!", "…"]])
def test_clusters_without_words_go_by_their_number(texts: list[str]) -> None:
    words = cluster_words(texts, np.array([0, 1]), ["unknown"] * 2)
    assert [name_of(found, number) for number, found in enumerate(words)] == [
        "cluster 0",
        "cluster 1",
    ]


def test_no_clusters_have_no_names() -> None:
    assert cluster_words(["one"], np.array([-1]), ["en"]) == []


def test_a_name_is_made_of_words_of_three_letters_and_more() -> None:
    assert tokens("It's the chef's 3 Äpfel_und GPT4, don't!") == [
        "the", "chef", "äpfel", "und", "gpt4", "don't",
    ]  # fmt: skip


# clusters of the map


def test_dense_places_are_clusters_and_what_lies_between_is_in_none() -> None:
    rng = np.random.default_rng(0)
    places = [(0, 0, 60), (10, 0, 40), (0, 10, 30)]
    dense = [rng.normal((x, y), 0.2, (count, 2)) for x, y, count in places]
    points = np.concatenate([*dense, [[30, 30]], [[np.nan, 0]]])
    labels = cluster_map(points, 10)
    assert labels[-2:].tolist() == [-1, -1]
    for number, (start, count) in enumerate([(0, 60), (60, 40), (100, 30)]):
        own = labels[start : start + count]
        assert (own == number).mean() > 0.9
    np.testing.assert_array_equal(labels, cluster_map(points, 10))


def test_too_few_points_make_no_cluster() -> None:
    assert cluster_map(np.zeros((3, 2)), 5).tolist() == [-1, -1, -1]
    assert cluster_map(np.empty((0, 2))).tolist() == []


@pytest.mark.parametrize(("rows", "least"), [(0, 10), (5000, 10), (52_000, 104)])
def test_the_smallest_cluster_grows_with_the_rows(rows: int, least: int) -> None:
    assert default_smallest(rows) == least


def test_a_map_of_another_shape_and_clusters_of_one_row_are_refused() -> None:
    with pytest.raises(SelectionError, match=r"must be \(n, 2\), got \(3, 3\)"):
        cluster_map(np.zeros((3, 3)))
    with pytest.raises(SelectionError, match="at least 2 rows, got 1"):
        cluster_map(np.zeros((3, 2)), 1)


@given(st.integers(0, 1000), st.integers(1, 30))
def test_the_typical_row_is_the_nearest_to_the_mean_of_its_cluster(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(-3, 4, (rows, 2)).astype(float)
    labels = np.unique(rng.integers(0, 4, rows), return_inverse=True)[1]
    wanted = []
    for number in range(labels.max() + 1):
        own = np.flatnonzero(labels == number)
        apart = ((points[own] - points[own].mean(axis=0)) ** 2).sum(axis=1).round(9)
        wanted.append(own[apart.argmin()])
    assert central_rows(points, labels).tolist() == wanted
