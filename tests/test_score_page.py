"""The Score page through app.py: choosing models, what speaks against them, and comparing."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from deita_core.jobs.kinds import ScoreSpec
from deita_core.project import Project
from deita_core.project.job_log import add_job, set_job_state
from deita_core.project.models import ModelIdentity, active_model, register_model
from deita_core.project.scores import add_scores, extreme_turns, scorers
from studio.shell.resources import Opened, open_project
from tests.builders import conversation, prepared_project
from tests.test_pages import texts
from tests.tiny_models import tiny_model

pytestmark = pytest.mark.usefixtures("jobs_here")

APP = str(Path(__file__).parents[1] / "app.py")


@pytest.fixture
def project_file(projects: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prepared project, alone in its folder; the tiny models may be named."""
    monkeypatch.setenv("DEITA_MODELS_DIR", str(tiny_model("llama").parent))
    return prepared_project(projects / "topics.duckdb")


def ran(app: AppTest) -> AppTest:
    assert not app.exception, app.exception
    return app


def score_page(part: str = "Run a model") -> AppTest:
    app = ran(AppTest.from_file(APP, default_timeout=60).switch_page("pages/score.py").run())
    return ran(app.segmented_control(key="part").set_value(part).run())


def choose(app: AppTest, dimension: str, kind: str, name: str | None = None) -> AppTest:
    ran(app.selectbox(key=f"model_{dimension}").set_value(kind).run())
    if name is not None:
        ran(app.text_input(key=f"name_{dimension}").set_value(name).run())
    return app


def button(app: AppTest, label: str) -> Button:
    return next(one for one in app.button if one.label.startswith(label))


@contextmanager
def open_in_app(path: Path) -> Iterator[Opened]:
    """The project as the app has it open."""
    yield open_project(path.resolve())


def wait(opened: Opened) -> None:
    """Until its jobs are done, all of them well."""
    for _ in range(600):
        if not opened.runner.busy:
            break
        time.sleep(0.1)
    assert {r.state for r in opened.runner.records()} == {"done"}, opened.runner.records()


def second_scorer(path: Path) -> int:
    """Another complexity scorer: its number. It cuts row 3 and has no score for row 5."""
    with Project.open(path) as project:
        number = register_model(
            project, "complexity", ModelIdentity(id="tests/other", revision="2"), activate=False
        )
        turns = [(row, turn.index) for row in range(60) for turn in conversation(row).turns]
        missing = [row == 5 for row, _ in turns]
        table = {
            "row": pa.array([row for row, _ in turns], pa.int32()),
            "turn": pa.array([turn for _, turn in turns], pa.int32()),
            "score": pa.array(np.linspace(1, 6, len(turns)), pa.float32(), mask=np.array(missing)),
            "reason": pa.array(["out of memory" if m else None for m in missing]),
            "mass": pa.array([0.9] * len(turns), pa.float32()),
            "truncated": pa.array([row == 3 for row, _ in turns]),
        }
        add_scores(project, number, pa.table(table))
    return number


def test_a_folder_that_is_not_there_is_an_error_before_any_job(project_file: Path) -> None:
    page = choose(score_page(), "complexity", "llm", "/no/such/folder")
    assert "there is no folder" in texts(page).replace("\\", "")
    assert button(page, "Run on").disabled


def test_a_folder_tells_its_size_and_that_it_fits(project_file: Path) -> None:
    page = choose(score_page(), "complexity", "llm", str(tiny_model("llama")))
    said = texts(page)
    assert "4.2 million parameters, reads 512 tokens" in said
    assert not button(page, "Try on 60 rows first").disabled


def test_where_the_light_scorers_are_chosen_their_weakness_is_said(project_file: Path) -> None:
    page = choose(score_page(), "quality", "light")
    assert "close to a length meter" in texts(page)
    models = score_page("Models")
    assert "right in 5 to 40 of 100 cases" in texts(models)
    assert "On other data quality is **close to a length meter**" in texts(models), "the card"


def test_quality_follows_complexity_unless_told_otherwise(project_file: Path) -> None:
    page = choose(score_page(), "complexity", "random")
    with open_in_app(project_file) as opened:
        button(page, "Run on all 60").click().run()
        record = opened.runner.records()[0]
        assert record.parameters["complexity"] == record.parameters["quality"] == "random:0"
        assert record.parameters["activate"] is False
        wait(opened)


def test_an_embedder_runs_with_the_graph_and_the_map_behind_it(project_file: Path) -> None:
    page = choose(score_page(), "complexity", "")
    choose(choose(page, "quality", ""), "embedding", "minilm")
    with open_in_app(project_file) as opened:
        ran(button(page, "Run on all 60").click().run())
        chain = opened.runner.records()[::-1]
        assert [record.kind for record in chain] == ["embed", "graph", "map"]
        for record in chain:
            opened.runner.cancel(record.job)


def test_a_scorer_that_looks_hopeless_goes_on_when_told_to(project_file: Path) -> None:
    spec = ScoreSpec(complexity="tests.fakes:MassScorer")
    with open_in_app(project_file) as opened:
        number = add_job(opened.project, spec.kind, spec.to_json())
        set_job_state(opened.project, number, "failed", "hopeless", "HopelessScorerError")
        ran(button(score_page(), "Score despite its health").click().run())
        again = opened.runner.records()[0]
        assert (again.kind, again.parameters["despite_health"]) == ("score", True)
        opened.runner.cancel(again.job)


def test_baselines_and_light_scorers_are_not_sent_through_a_pilot(project_file: Path) -> None:
    for kind in ("light", "instruction-length", "random"):
        page = choose(score_page(), "complexity", kind)
        assert not any(one.label.startswith("Try on") for one in page.button)


@pytest.mark.parametrize(
    ("url", "said"),
    [("ftp://here", "must begin with http"), ("http://me:secret@here", "no user, password")],
)
def test_a_bad_address_of_an_endpoint_is_an_error_at_once(
    url: str, said: str, project_file: Path
) -> None:
    page = choose(score_page(), "quality", "endpoint")
    page.text_input(key="url_quality").set_value(url)
    page.text_input(key="served_quality").set_value("scorer").run()
    assert said in texts(page).replace("\\", "")


def test_a_key_that_is_not_set_is_named(project_file: Path) -> None:
    page = choose(score_page(), "quality", "endpoint")
    page.text_input(key="url_quality").set_value("http://localhost:1/v1")
    page.text_input(key="served_quality").set_value("scorer").run()
    page.text_input(key="key_variable_quality").set_value("DEITA_NO_SUCH_KEY").run()
    assert "DEITA_NO_SUCH_KEY is not set" in texts(page).replace("\\", "")


def test_a_tokenizer_without_digits_is_refused_when_the_pilot_is_asked_for(
    project_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    monkeypatch.setenv("DEITA_MODELS_DIR", str(tmp_path))
    shutil.copytree(tiny_model("llama"), folder)
    place = folder / "tokenizer.json"
    tokenizer = json.loads(place.read_text())
    spelled = {"type": "Replace", "pattern": {"String": "5"}, "content": "five"}
    tokenizer["normalizer"]["normalizers"].append(spelled)
    tokenizer["model"]["vocab"]["<no 5>"] = tokenizer["model"]["vocab"].pop("5")
    place.write_text(json.dumps(tokenizer))
    page = choose(score_page(), "complexity", "llm", str(folder))
    button(page, "Try on").click().run()
    assert "digit 5 is not a single token" in texts(page)


def test_a_column_of_the_pool_becomes_scores(project_file: Path) -> None:
    page = choose(score_page(), "complexity", "column")
    assert page.selectbox(key="column_complexity").value == "id"
    assert "60 of 60 rows have a number, 0 to 59" in texts(page)
    with open_in_app(project_file) as opened:
        button(page, "Run on").click().run()
        wait(opened)
        active = {s.dimension: s.model for s in scorers(opened.project) if s.active}
    assert active["complexity"] == "column:id"


def test_the_scorer_and_the_embedder_for_selection_are_chosen(project_file: Path) -> None:
    other = second_scorer(project_file)
    with Project.open(project_file) as project:
        embedder = register_model(
            project,
            "embedding",
            ModelIdentity(id="tests/wide", revision="1", width=8),
            activate=False,
        )
    page = score_page("Models")
    with open_in_app(project_file) as opened:
        page.selectbox(key=f"active_complexity_{opened.key}").set_value(other).run()
        page.selectbox(key=f"active_embedding_{opened.key}").set_value(embedder).run()
        assert active_model(opened.project, "complexity") == other
        assert active_model(opened.project, "embedding") == embedder
    ran(page)


def test_two_scorers_are_compared(project_file: Path) -> None:
    second_scorer(project_file)
    page = score_page("Agreement")
    said = texts(page)
    assert "over the 69 turns that both scored" in said
    assert "Rows on which they differ most" in said
    first = page.selectbox(key="agreement_First_complexity").value
    page.selectbox(key="agreement_Second_complexity").set_value(first)
    assert "Choose two different scorers" in texts(page.run())


def test_one_scorer_alone_says_what_to_do(project_file: Path) -> None:
    assert "Run another one on this pool" in texts(score_page("Agreement"))


def test_scores_are_written_for_download(project_file: Path) -> None:
    page = score_page("Import and export")
    with open_in_app(project_file) as opened:
        button(page, "Write the file").click().run()
        wait(opened)
    page = ran(page.run())
    assert "59 conversations; 1 left out" in texts(page).replace("\\", "")


def test_the_extremes_of_a_scorer_come_from_the_outside_in(project_file: Path) -> None:
    number = second_scorer(project_file)
    with Project.open(project_file) as project:
        low, high = extreme_turns(project, number, 2)
    assert [(t.row, t.turn) for t in low] == [(0, 0), (1, 0)]
    assert [(t.row, t.turn) for t in high] == [(59, 0), (58, 0)]
    assert high[0].score == 6.0


def test_scores_from_a_file_lead_to_the_import(project_file: Path) -> None:
    page = choose(score_page(), "complexity", "file")
    button(page, "Choose the file").click().run()
    assert "Import scores" in texts(ran(page))


def test_a_pilot_that_did_all_rows_can_be_used_at_once(project_file: Path) -> None:
    page = choose(score_page(), "complexity", "llm", str(tiny_model("llama")))
    page.selectbox(key="model_quality").set_value("").run()
    with open_in_app(project_file) as opened:
        button(page, "Try on 60 rows first").click().run()
        wait(opened)
        page = ran(page.run())
        assert "All rows are done by this choice" in "".join(str(s.value) for s in page.success)
        assert "scores from" in texts(page)
        button(page, "Use for selection").click().run()
        active = {s.dimension: s.model for s in scorers(opened.project) if s.active}
    assert active["complexity"] == f"llm:{tiny_model('llama')}"
    assert not any(b.label == "Use for selection" for b in ran(page.run()).button)
