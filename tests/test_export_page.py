"""The Export page: files side by side, what is there stays unless told, nothing from elsewhere."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from deita_core.conversation import Conversation, Message
from deita_core.jobs.kinds import ExportSpec
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.project import Project
from deita_core.project.job_log import add_job, set_job_state
from deita_core.project.ledger import edit_row
from deita_core.project.queues import answer, make_queue
from deita_core.review.decision import Decision
from deita_core.selection.rule import SelectionRule
from studio.export.form import zip_of
from studio.export.preferences import preference_file
from tests.builders import Channel, conversation, prepared_project
from tests.test_pages import APP, opened, texts


@pytest.fixture
def exports(projects: Path) -> Path:
    """The folder of exports of a project: same.json and same.jsonl, and one job that wrote away."""
    projects.mkdir()
    folder = projects / "topics.exports"
    folder.mkdir()
    with Project.open(prepared_project(projects / "topics.duckdb")) as project:
        select_and_save(project, SelectionRule(threshold=0.99, budget=7), "same")
        for out, format in (
            (folder / "same.json", "sharegpt"),
            (folder / "same.jsonl", "openai"),
            (projects / "secret.json", "sharegpt"),
        ):
            spec = ExportSpec(selection="same", format=format, out=out)
            Channel(project, spec, projects / "job")
            set_job_state(project, add_job(project, spec.kind, spec.to_json()), "done")
    return folder


@pytest.fixture
def reviewed(projects: Path) -> Project:
    """A project without a selection: a queue of three rows, one kept and one dropped, one edit."""
    projects.mkdir()
    with Project.open(prepared_project(projects / "topics.duckdb")) as project:
        queue = make_queue(project, "first *look*", [0, 1, 2], asks=["verdict"])
        answer(project, queue, [Decision(0, "keep"), Decision(1, "drop")], reviewer="Ada")
        asked, _, *rest = conversation(3).messages
        better = Conversation((asked, Message("assistant", "Better."), *rest))
        edit_row(project, 3, better, of=0, author="Ada")
    return project


def test_preference_rows_are_counted_before_they_are_made(reviewed: Project) -> None:
    page = opened(AppTest.from_file(APP, default_timeout=60), "export")
    assert "KTO of 2 verdicts in first *look*: 1 wanted, 1 not." in texts(page)
    page.button_group(key="preference_kind").set_value("dpo").run()
    assert "DPO of 1 edited row and 0 imported pairs" in texts(page)
    page.selectbox(key="preference_queue_dpo").set_value(1).run()
    assert "DPO of 0 edited rows and 0 imported pairs" in texts(page)
    (button,) = page.get("download_button")
    assert (button.proto.label, button.proto.disabled) == ("Download DPO rows", True)


def test_preference_rows_of_llama_factory_come_with_their_entry(reviewed: Project) -> None:
    with Project.open(reviewed.path) as project:
        packed = preference_file(project, "kto.jsonl", "kto", "llama-factory", 1, "majority")
        plain = preference_file(project, "dpo.jsonl", "dpo", "trl", None, "majority")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["dataset_info.json", "kto.jsonl"]
        assert set(json.loads(archive.read("dataset_info.json"))) == {"kto.jsonl"}
    assert json.loads(plain)["chosen"] == [{"role": "assistant", "content": "Better."}]


def test_exports_that_differ_in_their_extension_are_shown_side_by_side(exports: Path) -> None:
    page = opened(AppTest.from_file(APP, default_timeout=60), "export")
    said = texts(page)
    assert "replay same.json.manifest.json" in "\n".join(str(code.value) for code in page.code)
    assert "replay same.jsonl.manifest.json" in "\n".join(str(code.value) for code in page.code)
    assert len(page.get("download_button")) == 2 * 5
    assert "secret.json" in said
    assert f"Written by the command line to {exports.parent}" in said


def test_a_file_that_is_there_is_replaced_with_a_tick_only(exports: Path) -> None:
    page = opened(AppTest.from_file(APP, default_timeout=60), "export")

    def export_button() -> bool:
        return next(b for b in page.button if b.label == "Export 7 conversations").disabled

    assert "There is a file of this name already" in texts(page)
    assert export_button()
    next(box for box in page.checkbox if box.label.startswith("Replace")).check().run()
    assert not export_button()
    page.text_input(key="export_name-same-sharegpt").set_value("other.json").run()
    assert not export_button()


def test_the_zip_holds_the_file_with_its_own_companions(exports: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(zip_of(exports / "same.jsonl"))) as archive:
        assert archive.namelist() == [
            "same.jsonl",
            "same.jsonl.manifest.json",
            "README.md",
            "dataset_info.json",
        ]
        assert list(json.loads(archive.read("dataset_info.json"))) == ["same.jsonl"]
