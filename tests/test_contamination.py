"""Rows that hold texts of a benchmark or lie close to them: found, flagged, shown, taken back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_core.cli import main
from deita_core.errors import JobError, PathError, PermissionDeniedError, PoolError, SelectionError
from deita_core.jobs.kinds import ContaminationSpec
from deita_core.jobs.kinds.model_runs import embed_rows, identity_of
from deita_core.people import Person, acting_as
from deita_core.project import Project
from deita_core.project.contamination import (
    benchmark_pairs,
    benchmarks,
    excludable,
    exclude_contaminated,
    excluded_for,
    forget_benchmark,
    restore_contaminated,
)
from deita_core.project.models import register_model
from deita_core.project.pins import pins, set_pins
from deita_core.project.pool import load_pool_table
from deita_core.project.vectors import add_embeddings
from deita_core.selection.filters import apply_filters
from deita_core.selection.rule import SelectionRule
from deita_core.similarity.contamination import BenchmarkRuns, close_pairs
from deita_core.similarity.definition import cosines
from deita_core.similarity.words import words
from tests.builders import Channel, imported_project
from tests.fakes import HashEmbedder

pytestmark = pytest.mark.usefixtures("jobs_here")

QUESTION = (
    "Compose an engaging travel blog post about a recent trip to the islands, highlighting "
    "cultural experiences and attractions that nobody should miss."
)
SHORT = "Name the three primary colours of visible light."


def naive(texts: list[str], messages: list[str], run: int) -> set[int]:
    """Numbers of the texts of which a run of words (or a short text whole) stands in a message."""
    found = set()
    for item, text in enumerate(texts):
        own = words(text)
        n = min(run, len(own))
        runs = {tuple(own[i : i + n]) for i in range(len(own) - n + 1)}
        for message in map(words, messages):
            there = {tuple(message[i : i + n]) for i in range(len(message) - n + 1)}
            if n >= 8 and runs & there:
                found.add(item)
    return found


@given(st.data())
def test_the_shared_runs_are_those_of_a_plain_search(data: st.DataObject) -> None:
    said = st.lists(st.sampled_from("abc"), max_size=18).map(" ".join)
    texts = data.draw(st.lists(said, max_size=4))
    rows = data.draw(st.lists(st.lists(said, max_size=3), max_size=4))
    found = BenchmarkRuns(texts, 10).shared(range(len(rows)), rows)
    plain = {
        (row, item) for row, messages in enumerate(rows) for item in naive(texts, messages, 10)
    }
    assert {(one.row, one.item) for one in found} == plain
    assert len(found) == len(plain)


def test_what_is_shared_is_measured_and_its_longest_stretch_is_told() -> None:
    own = words(QUESTION)
    part = " ".join(own[2:17])
    (found,) = BenchmarkRuns([QUESTION]).shared([4], [[f"Please: {part.upper()}!!", "Sure."]])
    assert (found.row, found.item) == (4, 0)
    assert found.longest == part
    assert found.share == 15 / len(own)


def test_words_that_another_word_parts_are_no_run() -> None:
    own = words(QUESTION)
    parted = " ".join([*own[:9], "really", *own[9:]])
    (found,) = BenchmarkRuns([QUESTION]).shared([0], [[parted]])
    assert found.longest == " ".join(own[9:])


def test_no_run_goes_over_the_end_of_a_message() -> None:
    own = words(QUESTION)
    messages = [" ".join(own[:9]), " ".join(own[9:18])]
    assert BenchmarkRuns([QUESTION]).shared([0], [messages]) == []


def test_a_shorter_text_is_found_whole_and_a_very_short_one_is_counted() -> None:
    index = BenchmarkRuns([SHORT, "Who are you?"])
    assert index.short == [1]
    found = index.shared([0, 1], [[f"{SHORT} Quickly."], ["Name the three primary colours, who?"]])
    assert [(one.row, one.item, one.share) for one in found] == [(0, 0, 1.0)]


def test_runs_that_would_be_in_every_second_row_are_refused() -> None:
    with pytest.raises(SelectionError, match="at least 8 words, got 3"):
        BenchmarkRuns([QUESTION], 3)


def test_close_pairs_are_all_that_are_above_the_threshold() -> None:
    rng = np.random.default_rng(0)
    both = rng.normal(size=(60, 3)).astype(np.float32)
    both[5], both[55] = 0, np.nan
    found = close_pairs(both[:50], np.arange(100, 150), both[50:], 0.8)
    good = np.setdiff1d(np.arange(60), [5, 55])
    similar = np.full((60, 60), -2.0)
    similar[np.ix_(good, good)] = cosines(both, good, good)
    row, item = np.nonzero(similar[:50, 50:] > 0.8)
    assert (found.row.tolist(), found.item.tolist()) == ((row + 100).tolist(), item.tolist())
    np.testing.assert_allclose(found.similarity, similar[row, item + 50], atol=1e-11)


@pytest.mark.parametrize(
    ("width", "threshold", "said"), [(3, 2.0, "from -1 to 1"), (4, 0.5, "4 wide and the pool's 3")]
)
def test_closeness_that_cannot_be_measured_is_refused(
    width: int, threshold: float, said: str
) -> None:
    with pytest.raises(SelectionError, match=said):
        close_pairs(np.ones((2, 3)), np.arange(2), np.ones((2, width)), threshold)


# in a project


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    rows = [
        {"instruction": "What is a good bread?", "output": "One with a crust."},
        {"instruction": f"{QUESTION} Thanks!", "output": "Aloha."},
        {"instruction": "And now?", "output": f"It said: {QUESTION}"},
    ]
    said = "".join(json.dumps(row) + "\n" for row in rows)
    return imported_project(tmp_path / "p.duckdb", said)


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    records = [
        {"question_id": 1, "turns": ["Something else entirely, which no row has in it at all"]},
        {"question_id": 2, "turns": [QUESTION, "Now in one word."]},
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def flagged(project: Project) -> list[int]:
    return project.values(
        "SELECT row FROM conversations WHERE list_contains(flags, 'contaminated') ORDER BY row"
    )


def test_contaminated_rows_are_flagged_and_their_pairs_kept(
    pool: Path, benchmark: Path, tmp_path: Path
) -> None:
    with Project.open(pool) as project:
        run = Channel(project, ContaminationSpec(file=benchmark), tmp_path / "job")
        assert run.message == "2 of 3 rows are contaminated, in 2 pairs"
        assert flagged(project) == [1, 2]
        pairs = benchmark_pairs(project)
        assert [(p.row, p.position, p.part, p.share) for p in pairs] == [
            (1, 1, "question 1", 1.0),
            (2, 1, "question 1", 1.0),
        ]
        assert pairs[0].text == QUESTION
        (found,) = benchmarks(project)
        assert found.sentence == (
            "questions.jsonl: 2 of 3 rows share 13 words in a row with it; 1 of its texts are too "
            "short to be found by words"
        )


def test_what_a_benchmark_found_is_excluded_and_taken_back_in_one_step(
    pool: Path, benchmark: Path, tmp_path: Path
) -> None:
    with Project.open(pool) as project:
        Channel(project, ContaminationSpec(file=benchmark), tmp_path / "job")
        name = "questions.jsonl"
        assert excludable(project, name, range(2)) == (1,)
        assert exclude_contaminated(project, name, range(3)) == (1, 2)
        assert [(one.row, one.kind) for one in pins(project)] == [(1, "excluded"), (2, "excluded")]
        assert excludable(project, name, range(3)) == ()
        set_pins(project, [2], "pinned")
        assert excluded_for(project, name) == (1,)
        assert restore_contaminated(project, name) == (1,)
        assert [(one.row, one.kind) for one in pins(project)] == [(2, "pinned")]
        assert exclude_contaminated(project, name, range(3)) == (1,)


def test_the_flag_leaves_rows_out_of_a_selection(
    pool: Path, benchmark: Path, tmp_path: Path
) -> None:
    with Project.open(pool) as project:
        Channel(project, ContaminationSpec(file=benchmark), tmp_path / "job")
        table = load_pool_table(project)
        kept = apply_filters(SelectionRule(excluded_flags=("contaminated",)), table) < 0
        assert kept.tolist() == [True, False, False]


def test_looking_again_replaces_what_was_found_and_forgetting_takes_the_flags_back(
    pool: Path, benchmark: Path, tmp_path: Path
) -> None:
    with Project.open(pool) as project:
        before = project.rows("SELECT row, flags FROM conversations ORDER BY row")
        for job in "ab":
            Channel(project, ContaminationSpec(file=benchmark), tmp_path / job)
        assert len(benchmarks(project)) == 1
        assert len(benchmark_pairs(project)) == 2
        forget_benchmark(project, "questions.jsonl")
        assert benchmarks(project) == benchmark_pairs(project) == []
        assert project.rows("SELECT row, flags FROM conversations ORDER BY row") == before


def test_rows_that_lie_close_are_found_with_the_embedder_of_the_pool(
    pool: Path, benchmark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deita_core.embedding.catalogue.name_of_embedder", lambda model: "minilm")
    monkeypatch.setattr("deita_core.embedding.catalogue.MiniLM", HashEmbedder)
    with Project.open(pool) as project:
        embedder = HashEmbedder()
        number = register_model(project, "embedding", identity_of(embedder))
        rows, messages = zip(*project.rows("SELECT row, messages FROM conversations"), strict=True)
        add_embeddings(project, number, embed_rows(embedder, rows, messages))
        row = {"instruction": "What is a good bread?", "output": "One with a crust."}
        benchmark.write_text(json.dumps(row))
        Channel(project, ContaminationSpec(file=benchmark, threshold=0.999), tmp_path / "job")
        (pair,) = benchmark_pairs(project)
        assert (pair.row, pair.part, pair.share) == (0, "whole", None)
        assert pair.similarity == pytest.approx(1.0)


def test_what_cannot_be_looked_for_is_said_before_the_job(pool: Path, tmp_path: Path) -> None:
    with Project.open(pool) as project:
        with pytest.raises(PathError, match="there is no file"):
            ContaminationSpec(file=tmp_path / "none.json").check(project)
        with pytest.raises(JobError, match="embed the pool first"):
            ContaminationSpec(file=pool, threshold=0.9).check(project)
    with pytest.raises(JobError, match="at least 8 words"):
        ContaminationSpec(file=pool, run=5)


def test_a_file_without_a_text_is_refused(pool: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"instruction": " ", "output": ""}\n')
    with Project.open(pool) as project, pytest.raises(PoolError, match="no text"):
        Channel(project, ContaminationSpec(file=empty), tmp_path / "job")


def test_taking_back_needs_a_curator(pool: Path, benchmark: Path, tmp_path: Path) -> None:
    with Project.open(pool) as project:
        Channel(project, ContaminationSpec(file=benchmark), tmp_path / "job")
        reviewer = Person(name="Ada", email="ada@example.org", role="reviewer")
        with acting_as(reviewer), pytest.raises(PermissionDeniedError):
            forget_benchmark(project, "questions.jsonl")
        assert flagged(project) == [1, 2]


def test_the_command_reports_the_pairs_in_words_and_as_json(
    pool: Path, benchmark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = ["contamination", "--project", str(pool), "--quiet"]
    assert main([*target, "--against", str(benchmark)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("questions.jsonl: 2 of 3 rows share 13 words in a row")
    assert said[1].startswith("  row 1: 100% of its words, question 1 of record 1: compose an eng")
    assert main([*target, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [pair["row"] for pair in found["pairs"]] == [1, 2]
    assert found["benchmarks"][0]["contaminated"] == 2
    assert main([*target, "--forget", "other"]) == 1
    assert "there is no benchmark 'other' (there are: 'questions.jsonl')" in capsys.readouterr().err
