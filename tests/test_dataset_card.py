"""The dataset card: valid front matter, the numbers, both ways to say the threshold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from export_samples import LONG, PLAIN, row
from test_manifest import MANIFEST

from deita_core.errors import ExportError
from deita_core.formats.card import card_statistics, dataset_card
from deita_core.formats.manifest import Manifest

yaml = pytest.importorskip("yaml")

STATISTICS = card_statistics([row(PLAIN, 0), replace(row(LONG, 1), language="no", quality=None)])


def front_matter(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def with_pool_file(**changed: str) -> Manifest:
    file = MANIFEST.pool[0].model_copy(update=changed)
    return MANIFEST.model_copy(update={"pool": (file,)})


def test_the_front_matter_is_what_the_hub_reads():
    matter = front_matter(dataset_card(MANIFEST, STATISTICS))
    assert matter["license"] == "other"
    assert matter["language"] == ["en", "no"]
    assert matter["size_categories"] == ["n<1K"]
    assert matter["configs"][0]["data_files"] == "out.json"


@pytest.mark.parametrize(
    ("rows", "size"), [(999, "n<1K"), (1_000, "1K<n<10K"), (52_000, "10K<n<100K"), (10**8, "n>10M")]
)
def test_the_size_category_follows_the_rows(rows, size):
    card = dataset_card(MANIFEST, replace(STATISTICS, rows=rows))
    assert front_matter(card)["size_categories"] == [size]


def test_the_card_tells_how_the_selection_was_made():
    card = dataset_card(MANIFEST, STATISTICS)
    assert "similarity above 0.9" in card
    assert "distance below 0.1)" in card
    assert "budget: 2 rows" in card
    assert "light-complexity" in card
    assert "| pool.jsonl | alpaca | 4 | 2 | 1 | 1 |" in card


def test_the_card_names_no_path_of_the_machine():
    manifest = with_pool_file(path="/home/me/pool.jsonl")
    assert "/home/me" not in dataset_card(manifest, STATISTICS)


def test_statistics_count_turns_languages_and_scored_rows():
    assert (STATISTICS.rows, STATISTICS.turns) == (2, 3)
    assert STATISTICS.languages == {"en": 1, "no": 1}
    assert STATISTICS.scores["quality"] == (3.8,)
    assert "| quality | 1 | 3.80 | 3.80 | 3.80 |" in dataset_card(MANIFEST, STATISTICS)


def test_a_license_that_the_hub_does_not_know_the_form_of_is_refused():
    with pytest.raises(ExportError, match=r"apache-2\.0"):
        dataset_card(MANIFEST, STATISTICS, license="My own: licence")


def test_an_empty_selection_still_gives_a_card():
    card = dataset_card(MANIFEST, card_statistics([]))
    assert front_matter(card)["pretty_name"] == "best 2"


def test_a_pipe_in_a_file_name_does_not_break_the_table():
    manifest = with_pool_file(name="a|b.json")
    assert "| a\\|b.json |" in dataset_card(manifest, STATISTICS)
