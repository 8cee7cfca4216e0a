"""Files that a user names: no command writes over a project, a pool, a device or another file."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deita_core.cli import main
from deita_core.errors import DeitaError, ExportError
from deita_core.formats.manifest import read_manifest
from deita_core.jobs.kinds import ExportScoresSpec, ExportSpec
from deita_core.jobs.kinds.export import is_earlier_export, manifest_path
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.jobs.outputs import check_output
from deita_core.project import Project
from deita_core.project.job_log import add_job
from deita_core.selection.rule import SelectionRule
from tests.builders import Channel, prepared_project

pytestmark = pytest.mark.usefixtures("jobs_here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a project that has the selections "s" and "t", its pool, and other files."""
    made = tmp_path / "here"
    pool = made / "topics.jsonl"
    with Project.open(prepared_project(made / "topics.duckdb")) as project:
        select_and_save(project, SelectionRule(threshold=0.99, budget=5), "s")
        select_and_save(project, SelectionRule(threshold=0.99, budget=6), "t")
        with project.transaction("admin", None) as cursor:
            cursor.execute("UPDATE sources SET path = ?", [str(pool)])
    pool.write_text('{"conversations": []}\n')
    (made / "hard.jsonl").hardlink_to(pool)
    (made / "link.jsonl").symlink_to(pool)
    shutil.copyfile(made / "topics.duckdb", made / "another.db")
    (made / "topics.duckdb.work").mkdir()
    (made / "notes.txt").write_text("mine")
    os.mkfifo(made / "pipe")
    return made


@pytest.fixture
def project(folder: Path) -> Iterator[Project]:
    with Project.open(folder / "topics.duckdb") as opened:
        yield opened


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
        if path.name not in ("topics.duckdb", "job-1")  # opened: its job log and checkpoint change
    }


def rows_in(path: Path) -> int:
    with Project.open(path) as project:
        return project.number("SELECT count(*) FROM conversations")


REFUSED = {
    "topics.duckdb": "the project",
    "topics.duckdb.wal": "the project",
    "topics.duckdb.work/x.json": "the project",
    "topics.duckdb.graph/x.json": "the project",
    "New.DuckDB": "the project",
    "another.db": "the project",
    "another.db.wal": "the project",
    "another.db.snapshots/x": "the project",
    "topics.jsonl": "an input",
    "hard.jsonl": "an input",
    "link.jsonl": "an input",
    "../here/topics.jsonl": "an input",
    "pipe": "a device, a pipe",
    "/dev/null": "a device, a pipe",
    ".": "is a folder",
    "nofolder/x.json": "there is no folder",
    "two\nlines.json": "invisible characters",
    "x" * 210: "shorten it",
}


@pytest.mark.parametrize("command", ["export --selection s", "export-scores", "run topics.jsonl"])
def test_what_must_stay_is_refused_before_any_work_even_with_force(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    before = contents(folder)
    for out, said in REFUSED.items():
        arguments = [*command.split(), "--project", "topics.duckdb", "--out", out, "--force"]
        assert main([*arguments, "--quiet"]) == 1, out
        assert said in capsys.readouterr().err, out
    assert contents(folder) == before
    assert rows_in(folder / "topics.duckdb") == 60


@pytest.mark.parametrize("command", ["export --selection s", "export-scores", "run topics.jsonl"])
def test_a_file_that_exists_is_overwritten_with_force_only(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    arguments = [*command.split(), "--project", "topics.duckdb", "--out", "notes.txt", "--quiet"]
    assert main(arguments) == 1
    assert "notes.txt exists: choose another name, or give --force" in capsys.readouterr().err
    assert (folder / "notes.txt").read_text() == "mine"
    if not command.startswith("run"):
        assert main([*arguments, "--force"]) == 0
        assert (folder / "notes.txt").read_text() != "mine"


def test_the_log_of_who_did_what_is_written_over_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    before = contents(folder)
    for out, said in (("topics.jsonl", "an input"), ("topics.duckdb.csv", "the project")):
        assert main(["log", "--project", "topics.duckdb", "--out", out, "--force"]) == 1
        assert said in capsys.readouterr().err
    (folder / "notes.txt").rename(folder / "notes.csv")
    assert main(["log", "--project", "topics.duckdb", "--out", "notes.csv"]) == 1
    assert "notes.csv exists" in capsys.readouterr().err
    (folder / "notes.csv").rename(folder / "notes.txt")
    assert contents(folder) == before


def test_a_manifest_or_card_that_exists_is_not_overwritten_either(
    project: Project, folder: Path
) -> None:
    spec = ExportSpec(selection="s", format="sharegpt", out=folder / "a.json")
    for companion in spec.companions():
        companion.write_text("mine")
        with pytest.raises(ExportError, match="exists: choose another name"):
            spec.check(project)
        companion.unlink()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("run --out x.json", "nothing to import"),
        ("run none.json --out x.json", "there is no file none.json"),
        ("run --hub ../x --out x.json", "no dataset of the hub"),
        ("run topics.jsonl --out nofolder/x.json", "there is no folder"),
        ("run topics.jsonl --out topics.jsonl", "an input"),
        ("run topics.jsonl --out new.duckdb", "the project"),
        ("run topics.jsonl --out notes.txt --project new.duckdb", "notes.txt exists"),
        ("run topics.jsonl --out x.json --project notes.txt", "is not a project file"),
        ("run topics.jsonl --out x.json --name \a", "invisible characters"),
        ("run topics.jsonl --out x.json --license MIT!", "is not an identifier"),
        ("import --project new.duckdb", "nothing to import"),
        ("import none.json --project new.duckdb", "there is no file none.json"),
    ],
)
def test_a_run_that_cannot_end_well_does_not_begin(
    arguments: str,
    said: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    before = contents(folder)
    assert main([*arguments.split(), "--quiet"]) == 1
    assert said in capsys.readouterr().err
    assert contents(folder) == before


def test_too_little_room_is_told_with_what_there_is_and_what_it_takes(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000))
    for spec in (
        ExportSpec(selection="s", format="sharegpt", out=folder / "a.json"),
        ExportScoresSpec(out=folder / "a.json", format="deita"),
    ):
        with pytest.raises(ExportError, match=r"has 0\.0 MB free, and about .* free space"):
            spec.check(project)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder in which nobody can write")
def test_a_folder_without_permission_is_refused() -> None:
    with pytest.raises(ExportError, match="cannot write into /proc"):
        check_output(Path("/proc/x.json"))


def exported(project: Project, out: Path, selection: str = "s", **options: object) -> bytes:
    spec = ExportSpec.read({"selection": selection, "format": "sharegpt", "out": out, **options})
    Channel(project, spec, project.path.with_name("job"))
    return out.read_bytes()


def test_the_same_export_may_be_given_again_and_another_one_may_not(
    project: Project, folder: Path
) -> None:
    out = folder / "a.json"
    first = exported(project, out)
    assert exported(project, out) == first
    for other in ({"selection": "t"}, {"format": "alpaca"}, {"with_scores": False}):
        with pytest.raises(ExportError, match="exists"):
            exported(project, out, **other)
    out.write_bytes(first + b" ")
    with pytest.raises(ExportError, match="exists"):
        exported(project, out)
    assert exported(project, out, overwrite=True) == first


def test_run_knows_what_its_project_has_exported_before(project: Project, folder: Path) -> None:
    out = folder / "a.json"
    exported(project, out)
    assert is_earlier_export(out, project, "s")
    assert not is_earlier_export(out, project, "t")
    project.rename("another one")
    assert not is_earlier_export(out, project, "s")
    project.rename("topics")
    out.write_text("changed")
    assert not is_earlier_export(out, project, "s")
    add_job(project, "export", {"out": str(out)})
    assert is_earlier_export(out, project, "s")


class Late(Channel):
    """Something happens to the output while the job works."""

    out: Path
    what = "mine"

    def get_input(self) -> tuple[Path, int]:
        self.out.write_text(self.what)
        return super().get_input()


@pytest.mark.parametrize("kind", [ExportSpec, ExportScoresSpec])
def test_a_file_that_appears_during_the_work_stays(
    kind: type[ExportSpec], project: Project, folder: Path
) -> None:
    Late.out = folder / "a.json"
    given = {"selection": "s", "format": "sharegpt"} if kind is ExportSpec else {"format": "csv"}
    with pytest.raises(ExportError, match="exists"):
        Late(project, kind.read({"out": Late.out, **given}), folder / "job")
    assert Late.out.read_text() == "mine"
    assert not manifest_path(Late.out).exists()
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("kind", [ExportSpec, ExportScoresSpec])
def test_a_job_that_was_killed_after_it_had_written_its_file_writes_it_again(
    kind: type[ExportSpec], project: Project, folder: Path
) -> None:
    out = folder / "a.json"
    given = {"selection": "s", "format": "sharegpt"} if kind is ExportSpec else {"format": "csv"}
    spec = kind.read({"out": out, **given})
    channel = Channel(project, spec, folder / "job")
    first = out.read_bytes()
    spec.work(channel)  # type: ignore[arg-type]
    assert out.read_bytes() == first


def test_exports_that_differ_in_their_extension_share_nothing_but_the_list_of_data_sets(
    project: Project, folder: Path
) -> None:
    for name, format in (("same.json", "sharegpt"), ("same.jsonl", "openai")):
        exported(project, folder / name, format=format)
    manifests = [read_manifest(folder / f"same.{e}.manifest.json") for e in ("json", "jsonl")]
    assert [m.output.file_name for m in manifests] == ["same.json", "same.jsonl"]
    assert {"same.json.card.md", "same.jsonl.card.md"} <= set(os.listdir(folder))
    listed = json.loads((folder / "dataset_info.json").read_text())
    assert {name: entry["file_name"] for name, entry in listed.items()} == {
        "same.json": "same.json",
        "same.jsonl": "same.jsonl",
    }


def test_the_list_of_data_sets_is_no_place_for_an_export(project: Project, folder: Path) -> None:
    spec = ExportSpec(selection="s", format="sharegpt", out=folder / "dataset_info.json")
    with pytest.raises(ExportError, match="lists the data sets"):
        spec.check(project)
    (folder / "dataset_info.json").write_text("[1]")
    with pytest.raises(ExportError, match="mend it"):
        spec.model_copy(update={"out": folder / "a.json"}).check(project)


@pytest.mark.parametrize("name", ["two\nlines", "bell\a", "turned\u202e", "half\udc80"])
def test_names_fit_on_a_line(name: str, project: Project) -> None:
    with pytest.raises(DeitaError, match="invisible characters"):
        project.rename(name)
    with pytest.raises(DeitaError, match="invisible characters"):
        select_and_save(project, SelectionRule(), name)
    with pytest.raises(DeitaError, match="invisible characters"):
        Project.open(project.path.with_name(f"{name}.duckdb"), create=True)
