"""Labelled turns: read from files, split by group, refused where there is nothing to learn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_core.errors import FormatError, ModelError
from deita_core.training.label_file import read_labels
from deita_core.training.labels import LabelledTurn
from deita_core.training.split import check_labels, check_learnt, held_out_rows


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_file_is_read_with_its_rejects_counted(tmp_path: Path) -> None:
    file = written(
        tmp_path / "labels.csv",
        "instruction,response,score,group\n"
        'add,"2, or so",3.5,sums\n'
        "add more,7,6,sums\n"
        "what,none,,\n"
        "what,none,much,\n"
        "what,none,7,\n"
        "what,,2,\n",
    )
    found = read_labels(file, "quality")
    assert found.turns == (
        LabelledTurn("sums", "add", "2, or so", 3.5),
        LabelledTurn("sums", "add more", "7", 6.0),
    )
    assert found.rejected == {
        "no score": 1,
        "score that is no number": 1,
        "score outside 1 to 6": 1,
        "empty response": 1,
    }
    assert found.sentence().startswith("2 labelled turns of 1 groups; 4 rows rejected: ")


def test_a_turn_without_a_response_serves_complexity(tmp_path: Path) -> None:
    line = {"instruction": "Say it", "input": "twice", "complexity": 2, "quality": None}
    file = written(tmp_path / "labels.jsonl", f"{json.dumps(line)}\n\n")
    (turn,) = read_labels(file, "complexity").turns
    assert turn == LabelledTurn("Say it\ntwice", "Say it\ntwice", None, 2.0)


def test_another_scale_becomes_one_to_six(tmp_path: Path) -> None:
    rows = [{"instruction": f"q{n}", "output": "a", "score": n} for n in (0, 5, 10)]
    file = written(tmp_path / "labels.json", json.dumps(rows))
    found = read_labels(file, "quality", (0, 10))
    assert [turn.score for turn in found.turns] == [1.0, 3.5, 6.0]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "question,score\nx,1\n", "no column 'instruction'"),
        ("a.csv", "instruction,response\nx,y\n", "no column 'quality' or 'score'"),
        ("a.csv", "instruction,quality\nx,3\n", "no column 'output' or 'response'"),
        ("a.jsonl", "[1, 2]\n", "line 1: not a JSON object"),
        ("a.jsonl", '{"a": \n', "not valid JSON"),
        ("a.json", "{}", "no JSON array"),
        ("a.jsonl", "", "has no rows"),
    ],
)
def test_what_is_no_labelled_file_says_why(name: str, text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=said):
        read_labels(written(tmp_path / name, text), "quality")


@given(
    st.lists(st.integers(0, 30), min_size=2, max_size=80).filter(lambda g: len(set(g)) > 1),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
)
def test_a_split_never_parts_a_group(numbers: list[int], share: float, seed: int) -> None:
    groups = [f"seed {number}" for number in numbers]
    away = held_out_rows(groups, share, seed)
    assert 0 < away.sum() < len(groups)
    held = {group for group, out in zip(groups, away, strict=True) if out}
    assert held.isdisjoint({group for group, out in zip(groups, away, strict=True) if not out})
    order = np.random.default_rng(0).permutation(len(groups))
    assert (held_out_rows([groups[n] for n in order], share, seed) == away[order]).all()


def test_another_seed_holds_out_other_groups() -> None:
    groups = [f"seed {number}" for number in range(100)]
    first, second = (held_out_rows(groups, 0.2, seed) for seed in (1, 2))
    assert first.sum() == second.sum() == 20
    assert (first != second).any()


def test_too_few_labels_or_groups_or_one_score_only_are_refused_with_a_remedy() -> None:
    def turns(count: int, groups: int, scores: int = 2) -> list[LabelledTurn]:
        return [LabelledTurn(f"{n % groups}", "q", "a", 1.0 + n % scores) for n in range(count)]

    check_labels(turns(20, 5))
    for few in (turns(19, 10), turns(40, 4)):
        with pytest.raises(ModelError, match="at least 20 labelled turns of 5 groups"):
            check_labels(few)
    with pytest.raises(ModelError, match="all 40 labels are 1"):
        check_labels(turns(40, 10, scores=1))
    check_learnt(turns(10, 2))
    for few in (turns(9, 9), turns(40, 1)):
        with pytest.raises(ModelError, match="hold out less, or label more"):
            check_learnt(few)
    with pytest.raises(ModelError, match="all 40 labels that are left"):
        check_learnt(turns(40, 10, scores=1))
