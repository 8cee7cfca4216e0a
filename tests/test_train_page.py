"""The Train page through app.py: what it needs, what will be trained, report, use, delete."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from deita_core.jobs import JobRunner
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import ScoreSpec, TrainSpec
from deita_core.project import Project
from deita_core.project.job_log import Progress, add_job, set_job_progress, set_job_state
from deita_core.project.models import ModelIdentity, active_model, register_model
from deita_core.project.on_disk import scorers_folder
from deita_core.project.scores import add_scores
from deita_core.scoring.trained import FACTS, TrainedScorer
from deita_core.training.card import CARD, card_text
from deita_core.training.labels import LabelledTurn
from deita_core.training.llm_options import Recipe
from deita_core.training.llm_plan import write_plan
from deita_core.training.llm_run import CurvePoint, TrainingRecord, write_record
from deita_core.training.report import HeldOut, measure, write_report
from tests.builders import prepared_project

APP = str(Path(__file__).parents[1] / "app.py")


@pytest.fixture
def path(projects: Path) -> Path:
    return prepared_project(projects / "topics.duckdb", rows=20)


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[JobSpec]:
    """What the page asks jobs for, in place of workers."""
    asked: list[JobSpec] = []
    monkeypatch.setattr(JobRunner, "submit", lambda runner, specs: asked.extend(specs))
    return asked


def train_page(**query: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    page = app.switch_page("pages/train.py").run()
    assert not page.exception, page.exception
    return page


def texts(page: AppTest) -> str:
    kinds = (page.markdown, page.caption, page.info, page.error, page.success, page.warning)
    said = "\n".join(str(element.value) for kind in kinds for element in kind)
    return said.replace("\\", "").replace("\u2060", "")


def button(page: AppTest, label: str) -> object:
    return next(one for one in page.button if one.label == label)


def turns_of(groups: int, of_each: int = 3) -> list[LabelledTurn]:
    """Turns whose label grows with the number of a's in the response, whatever its length."""
    return [
        LabelledTurn(
            group=f"seed {group}",
            instruction=f"Ask {group}",
            response="a" * variant + "b" * ((7 * group + 3 * variant) % 11 + 1),
            score=1.0 + variant,
            cluster="bread" if group % 2 else "rivers",
        )
        for group in range(groups)
        for variant in range(of_each)
    ]


def trained(project: Path, name: str, *, good: bool) -> Path:
    """A trained scorer's folder as a training leaves it, without weights."""
    learnt, held_out = turns_of(20), turns_of(12)
    lengths = np.array([len(turn.response or "") for turn in held_out], np.float64)
    labels = np.array([turn.score for turn in held_out])
    scores = labels + 0.01 * np.arange(len(labels)) if good else lengths
    shipped = np.full(len(learnt), 3.0)
    told = HeldOut(held_out, scores, np.sqrt(lengths))
    report = measure("quality", learnt, shipped, told, 1)
    facts = TrainedScorer(
        name=name,
        dimension="quality",
        method="light",
        source="the file *mine*.csv",
        labels_sha256="ab" * 32,
        revision="c0ffee",
        learnt=report.learnt,
        held_out=report.held_out,
        groups=32,
        seed=1,
        beats_length=report.beats_length,
        made=datetime(2026, 11, 29, 10, 30, tzinfo=UTC),
    )
    folder = scorers_folder(project) / name
    folder.mkdir(parents=True)
    write_report(report, folder)
    (folder / CARD).write_text(card_text(facts, report, {}), encoding="utf-8")
    (folder / FACTS).write_text(facts.model_dump_json(), encoding="utf-8")
    return folder


def test_without_scorers_the_page_says_what_training_takes(path: Path) -> None:
    page = train_page()
    assert "No scorer was trained in this project yet" in texts(page)
    assert "without a network" in texts(page)
    button(page, "Train a scorer").click().run()  # type: ignore[attr-defined]
    assert "No chains were ranked by complexity yet" in texts(page)
    assert "train on reviews or on a file: both work offline" in texts(page)
    assert "Choose labels" in texts(page)
    assert page.query_params["make"] == "new"
    page.button_group(key="labels").set_value("reviews").run()
    assert "Nobody has given complexity scores" in texts(page)


@pytest.fixture
def labels(projects: Path) -> Path:
    folder = projects.parent / "data"
    folder.mkdir()
    file = folder / "mine.jsonl"
    lines = [
        {"instruction": t.instruction, "response": t.response, "score": t.score, "group": t.group}
        for t in turns_of(20)
    ]
    lines.append({"instruction": "x", "response": "y", "score": "a lot"})
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return file


def test_before_it_runs_labels_split_and_method_are_said(
    path: Path, labels: Path, submitted: list[JobSpec]
) -> None:
    page = train_page(make="new", labels="file", learns="quality")
    page.button_group(key="train_labels_from").set_value("Data folder").run()
    page.selectbox(key="train_labels_path").set_value("mine.jsonl").run()
    assert not page.exception, page.exception
    said = texts(page)
    assert "60 labelled turns of 20 groups; 1 rows rejected: 1 score that is no number" in said
    assert "Learnt from: **48 turns** of 16 groups" in said
    assert "**12 turns** of 4 groups" in said
    assert "ridge regression" in said
    page.button_group(key="method").set_value("llm").run()
    assert "Name the model to begin with" in texts(page)
    assert page.button(key="train_start").disabled
    page.text_input(key="train_base").set_value("../elsewhere").run()
    assert "no other folder is read from here" in texts(page)
    page.button_group(key="method").set_value("light").run()
    page.button(key="train_start").click().run()
    assert not page.exception, page.exception
    assert submitted == [
        TrainSpec(name="quality-light", dimension="quality", labels="file", file=labels)
    ]


def test_too_few_labels_are_refused_with_the_remedy(path: Path, labels: Path) -> None:
    short = labels.with_name("short.jsonl")
    short.write_text("".join(labels.read_text().splitlines(keepends=True)[:9]), encoding="utf-8")
    page = train_page(make="new", labels="file", learns="quality")
    page.button_group(key="train_labels_from").set_value("Data folder").run()
    page.selectbox(key="train_labels_path").set_value("short.jsonl").run()
    assert "training needs at least 20 labelled turns" in texts(page)
    assert not any(one.label == "Train" for one in page.button)


def test_the_address_opens_a_report_and_the_scorer_is_used_or_deleted(
    path: Path, submitted: list[JobSpec]
) -> None:
    folder = trained(path, "mine", good=True)
    trained(path, "no-better", good=False)
    page = train_page(scorer="mine")
    assert "Beats length alone" in "".join(str(one.value) for one in page.success)
    assert "from the file *mine*.csv" in texts(page)
    assert page.metric[0].label == "Spearman"
    button(page, "Use this scorer").click().run()  # type: ignore[attr-defined]
    assert submitted == [ScoreSpec(complexity=None, quality=f"light:{folder}")]
    page.button_group(key="report").set_value("card").run()
    assert "it never saw" in texts(page)
    page.radio(key="scorer").set_value("no-better").run()
    (red,) = page.error
    assert "Does not beat length alone" in red.value
    page.button(key="train_delete").click().run()
    page.button(key="train_delete").click()
    page.button(key="train_delete_it").click().run()
    assert not page.exception, page.exception
    assert not (scorers_folder(path) / "no-better").exists()
    assert folder.exists()


def test_scores_that_are_there_count_at_once(path: Path, submitted: list[JobSpec]) -> None:
    trained(path, "mine", good=True)
    with Project.open(path) as project:
        identity = ModelIdentity(
            id="light:/elsewhere/topics.duckdb.scorers/mine", revision="c0ffee"
        )
        scorer = register_model(project, "quality", identity, activate=False)
        before = active_model(project, "quality")
        assert before is not None
        assert before != scorer
        with project.reading() as cursor:
            query = "SELECT row, turn, score, reason FROM scores WHERE scorer = $1"
            table = cursor.sql(query, params=[before]).to_arrow_table()
        add_scores(project, scorer, table)
    page = train_page(scorer="mine")
    button(page, "Use this scorer").click().run()  # type: ignore[attr-defined]
    assert not page.exception, page.exception
    assert submitted == []
    assert any(one.value == "in use" for one in page.markdown) or "in use" in texts(page)


def test_the_training_of_a_language_model_is_shown_with_its_command(path: Path) -> None:
    folder = trained(path, "mine", good=True)
    facts = json.loads((folder / FACTS).read_text()) | {"method": "llm", "revision": ""}
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    recipe = Recipe(
        base="owner/model",
        preset="paper",
        epochs=6,
        batch=512,
        learning_rate=2e-5,
        max_tokens=2048,
        lora_rank=0,
        qlora=False,
        rows_at_once=8,
        device="cuda",
        precision="bf16",
        seed=1,
    )
    plan = write_plan("llm", "quality", turns_of(20), turns_of(12), folder, recipe)
    record = TrainingRecord(
        plan=plan,
        base_revision="unknown",
        cut=3,
        steps=2,
        seconds=10.0,
        rows_per_second=35.2,
        curve=(CurvePoint(step=1, loss=2.0), CurvePoint(step=2, loss=1.0, held_out=1.5)),
        versions={},
    )
    write_record(record, folder)
    page = train_page(report="loss")
    assert "2 steps, 35.2 rows a second; 3 rows cut to the limit" in texts(page)
    page.button_group(key="report").set_value("elsewhere").run()
    command, config = (str(one.value) for one in page.code)
    assert command.startswith("accelerate launch --num_processes 8")
    assert str(folder / "training" / "training.yaml") in command
    assert "base: owner/model" in config
    (folder / "training" / "training.yaml").unlink()
    page.run()
    assert not page.exception, page.exception
    assert "does not hold a training" in texts(page)


def test_a_stopped_training_can_go_on_and_a_damaged_scorer_says_so(path: Path) -> None:
    (trained(path, "mine", good=True) / "report.json").write_text("{}", encoding="utf-8")
    with Project.open(path) as project:
        spec = TrainSpec(name="other", dimension="quality", labels="reviews")
        job = add_job(project, spec.kind, spec.to_json())
        set_job_progress(project, job, Progress(stage="training", done=12, total=60, loss=0.5))
        set_job_state(project, job, "failed", "the memory is *too small*", "ModelError")
    page = train_page()
    said = texts(page)
    assert "**other** · quality, light: failed at step 12" in said
    assert "the memory is *too small*" in said
    assert "train the scorer anew" in said
    assert any(one.label == "Try again" for one in page.button)
    button(page, "Close").click().run()  # type: ignore[attr-defined]
    assert "failed at step 12" not in texts(page)
