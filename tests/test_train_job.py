"""Training as a job and on the command line: from a file and from reviews to scores that count."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from deita_core.cli import main
from deita_core.errors import JobError, ModelError, ProjectError
from deita_core.jobs import JobRunner
from deita_core.jobs.handover import Handover
from deita_core.jobs.kinds import TrainSpec
from deita_core.jobs.trained import delete_trained, find_trained, keep_trained, trained_scorers
from deita_core.project import Project
from deita_core.project.folder import delete_project, duplicate_project
from deita_core.project.models import active_model
from deita_core.project.on_disk import scorers_folder
from deita_core.project.scores import scorers
from tests.builders import prepared_project
from tests.test_training_light import turns_of
from tests.workers import work_in_threads


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("labels") / "labels.jsonl"
    lines = [
        {"instruction": t.instruction, "response": t.response, "score": t.score, "group": t.group}
        for t in turns_of(160, 1)
    ]
    lines.append({"instruction": "x", "response": "y", "score": 9})
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return file


def spec_of(labels: Path, name: str = "mine") -> TrainSpec:
    return TrainSpec(name=name, dimension="quality", labels="file", file=labels, held_out=0.3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, labels: Path) -> Path:
    """A closed project with a scorer that was trained on the command line and is in use."""
    path = prepared_project(tmp_path_factory.mktemp("trained") / "pool.duckdb", rows=20)
    with pytest.MonkeyPatch.context() as patch:
        work_in_threads(patch)
        arguments = ["train-scorer", "--project", str(path), "--dimension", "quality"]
        arguments += ["--from", str(labels), "--held-out", "0.3", "--name", "mine"]
        assert main([*arguments, "--use", "--quiet"]) == 0
    return path


@pytest.fixture
def path(trained: Path, tmp_path: Path) -> Path:
    """A copy: the scorer moves with the project."""
    path = tmp_path / trained.name
    shutil.copyfile(trained, path)
    shutil.copytree(scorers_folder(trained), scorers_folder(path))
    return path


def test_its_report_says_that_it_learnt_and_its_scores_count(path: Path) -> None:
    with Project.open(path) as project:
        found = find_trained(project, "mine")
        assert found.facts is not None
        assert found.report is not None
        assert (found.facts.learnt, found.facts.held_out, found.facts.groups) == (112, 48, 40)
        assert found.report.spearman.scorer is not None
        assert found.report.spearman.scorer > 0.9
        assert found.facts.beats_length
        assert found.report.verdict in found.card
        assert "1 score outside 1 to 6" in found.card
        active = active_model(project, "quality")
        used = next(one for one in scorers(project) if one.scorer == active)
        assert used.model.endswith("/pool.duckdb.scorers/mine")
        assert used.scored > 0
        assert project.values("SELECT action FROM log WHERE action = 'train a scorer'")


def test_the_command_line_lists_shows_and_deletes_it(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--project", str(path)]
    assert main(["trained", *at]) == 0
    assert "mine: quality, light, from the file labels.jsonl" in capsys.readouterr().out
    assert main(["trained", "mine", "--json", *at]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["loads"] == f"light:{scorers_folder(path) / 'mine'}"
    assert told["report"]["beats_length"] is True
    assert main(["trained", "mine", "--card", *at]) == 0
    assert capsys.readouterr().out.startswith("# mine\n")
    assert main(["trained", "mine", "--delete", *at]) == 0
    assert main(["trained", *at]) == 0
    assert "no scorer was trained" in capsys.readouterr().out


def test_a_name_that_is_taken_or_no_name_is_refused(path: Path, labels: Path) -> None:
    with Project.open(path) as project:
        runner = JobRunner(project)
        with pytest.raises(ProjectError, match="was trained already"):
            runner.submit([spec_of(labels)])
        with pytest.raises(ProjectError, match="cannot name a scorer"):
            runner.submit([spec_of(labels, "../mine")])


def test_a_finished_folder_that_comes_twice_changes_nothing(path: Path, tmp_path: Path) -> None:
    with Project.open(path) as project:
        made = tmp_path / "made"
        shutil.copytree(scorers_folder(path) / "mine", made)
        keep_trained(project, "other", made)
        keep_trained(project, "other", made)
        assert [one.name for one in trained_scorers(project)] == ["mine", "other"]
        delete_trained(project, "other")


def test_a_resumed_training_takes_over_what_the_cancelled_one_left(
    path: Path, labels: Path
) -> None:
    spec, other = spec_of(labels, "new"), spec_of(labels, "other")
    with Project.open(path) as project:
        first, second = (Handover(project.folder / f"job-9{n}") for n in (1, 2))
        first.create(spec.kind, spec.to_json())
        (first.folder / "scorer").mkdir()
        (first.folder / "scorer" / "checkpoint").touch()
        second.create(other.kind, other.to_json())
        other.prepare(project, {}, second.input)
        assert not (second.folder / "scorer").exists()
        second.create(spec.kind, spec.to_json())
        spec.prepare(project, {}, second.input)
        assert (second.folder / "scorer" / "checkpoint").exists()
        assert not (first.folder / "scorer").exists()


def test_a_damaged_folder_is_listed_with_its_fault(path: Path) -> None:
    (scorers_folder(path) / "mine" / "report.json").write_text("{}", encoding="utf-8")
    with Project.open(path) as project:
        (found,) = trained_scorers(project)
        assert found.fault is not None
        assert "damaged" in found.fault
        with pytest.raises(ModelError, match="damaged"):
            _ = found.loads


def test_it_is_copied_and_deleted_with_its_project(path: Path) -> None:
    with Project.open(path) as project:
        copy = duplicate_project(project, "copy")
    assert (scorers_folder(copy) / "mine" / "scorer.json").exists()
    delete_project(copy)
    assert not scorers_folder(copy).exists()
    assert scorers_folder(path).exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"labels": "chains"}, "need the name of the run"),
        ({"labels": "file"}, "need the file"),
        ({"labels": "reviews", "method": "llm"}, "name the model to begin with"),
        ({"labels": "file", "file": "a.csv", "queue": 1}, "a queue can be given for"),
    ],
)
def test_what_does_not_fit_together_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(JobError, match=said):
        TrainSpec.read({"name": "a", "dimension": "quality", **given})


def test_too_few_reviews_say_what_is_missing(path: Path) -> None:
    with Project.open(path) as project:
        spec = TrainSpec(name="new", dimension="quality", labels="reviews")
        with pytest.raises(ModelError, match="there are 0 of 0: label more"):
            JobRunner(project).submit([spec])
