"""What of a pool the light scorers did not learn from: counted, and said where it is much."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from deita_core.cli import main
from deita_core.errors import ModelError
from deita_core.project import Project
from deita_core.project.models import ModelIdentity, register_model
from deita_core.project.pool_kinds import pool_kinds, unfamiliar_to_light
from deita_core.scoring.light.familiar import Learnt, PoolKinds, learnt, unfamiliar
from tests.builders import imported_project

APP = str(Path(__file__).parents[1] / "app.py")
KNOWN = Learnt(
    rows=100,
    language="en",
    instruction_characters=(24, 400),
    response_characters=(2, 1000),
    code=0.01,
)
PLAIN = PoolKinds(
    rows=100,
    other_language=0,
    most_common_other=None,
    code=1,
    several_turns=0,
    tools=0,
    instructions=100,
    instructions_outside=1,
    responses=100,
    responses_outside=1,
)


def pool(rows: list[list[str]]) -> str:
    """Conversations, each a list of alternating messages, as JSON Lines."""
    roles = ("user", "assistant")
    made = [
        {"messages": [{"role": roles[i % 2], "content": text} for i, text in enumerate(row)]}
        for row in rows
    ]
    return "\n".join(json.dumps(row) for row in made)


ENGLISH = [f"Name the river that flows through city number {i}, please." for i in range(6)]
ROWS = [
    *([asked, "It is the long river in the middle of the town."] for asked in ENGLISH),
    ["Nenne mir bitte drei Flüsse, die durch Deutschland fließen.", "Rhein, Elbe und Donau."],
    ["Wie heißt die Hauptstadt von Österreich, und wo liegt sie?", "Wien, an der Donau."],
    ["Write a loop in Python that counts to ten.", "Here it is:\n```python\nfor i in x: pass\n```"],
    [ENGLISH[0] + " Really?", "Yes, really.", "And the next one?", "Long. " * 400],
]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    return imported_project(tmp_path / "mixed.duckdb", pool(ROWS))


def test_rows_and_turns_are_counted_by_kind(mixed: Path) -> None:
    with Project.open(mixed) as project:
        found = pool_kinds(project, KNOWN)
    assert found == PoolKinds(
        rows=10,
        other_language=2,
        most_common_other="de",
        code=1,
        several_turns=1,
        tools=0,
        instructions=11,
        instructions_outside=1,  # "And the next one?" is short
        responses=11,
        responses_outside=1,
    )


def test_of_a_large_pool_every_nth_row_is_looked_at(
    mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deita_core.project.pool_kinds._LOOKED_AT", 4)  # so every third of ten
    with Project.open(mixed) as project:
        found = pool_kinds(project, KNOWN)
    assert (found.rows, found.other_language, found.several_turns) == (4, 1, 1)  # 0, 3, 6, 9
    assert (found.instructions, found.responses_outside) == (5, 1)


def test_a_pool_like_the_training_rows_says_nothing() -> None:
    assert unfamiliar(PLAIN, KNOWN) == ()


def test_an_empty_pool_says_nothing() -> None:
    nothing = replace(PLAIN, rows=0, code=0, instructions=0, responses=0)
    assert unfamiliar(replace(nothing, instructions_outside=0, responses_outside=0), KNOWN) == ()


def test_the_largest_share_comes_first_and_small_ones_are_left_out() -> None:
    odd = replace(PLAIN, other_language=38, most_common_other="zh", code=60, several_turns=9)
    assert unfamiliar(odd, KNOWN) == (
        "60 % of the rows have code in them",
        "38 % of the rows are not in English (most often zh)",
    )


def test_code_says_nothing_to_scorers_that_learnt_from_much_of_it() -> None:
    assert unfamiliar(replace(PLAIN, code=60), KNOWN.model_copy(update={"code": 0.5})) == ()


def test_lengths_outside_are_told_with_the_range() -> None:
    (said,) = unfamiliar(replace(PLAIN, responses_outside=21), KNOWN)
    assert said == "21 % of the responses are shorter than 2 or longer than 1,000 characters"


def test_only_where_light_scores_count_or_none_are_there(mixed: Path) -> None:
    with Project.open(mixed) as project:
        before = unfamiliar_to_light(project)
        assert any("not in English (most often de)" in said for said in before)
        register_model(project, "complexity", ModelIdentity(id="tests/other", revision="1"))
        assert unfamiliar_to_light(project) == ()
        light = ModelIdentity(id="deita-studio/light-quality", revision="1")
        register_model(project, "quality", light)
        assert unfamiliar_to_light(project) == before


def test_info_ends_with_it(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--project", str(mixed)]) == 0
    assert "outside what the light scorers learnt: 20 % of the rows" in capsys.readouterr().out


def test_the_shipped_weights_say_what_they_learnt_from() -> None:
    known = learnt()
    assert known.rows > 30_000
    assert known.language == "en"
    assert known.instruction_characters[0] < 50 < 300 < known.instruction_characters[1]


def test_a_missing_or_damaged_file_names_the_remedy(tmp_path: Path) -> None:
    damaged = tmp_path / "learnt.json"
    for content in (None, "{", '{"rows": 0}'):
        if content is not None:
            damaged.write_text(content)
        with pytest.raises(ModelError, match=r"learnt\.json .* restore the folder"):
            learnt(damaged)


@pytest.mark.usefixtures("jobs_here")
def test_the_score_page_shows_it(projects: Path) -> None:
    projects.mkdir()
    imported_project(projects / "mixed.duckdb", pool(ROWS))
    app = AppTest.from_file(APP, default_timeout=60).run().switch_page("pages/score.py").run()
    assert not app.exception
    assert any("20 % of the rows are not in English" in one.value for one in app.info)
