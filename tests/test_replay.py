"""replay: the whole way by `run`, then the same file again from its manifest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from deita_core.cli import main
from deita_core.conversation import Conversation, Message
from deita_core.errors import ExportError
from deita_core.jobs.replay import replay_manifest

pytestmark = pytest.mark.usefixtures("jobs_here")

WORDS = ("rivers", "bread", "prime numbers", "taxes", "poems", "bicycles")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `run` has made selected.json out of pool.jsonl, at the second go."""
    folder = tmp_path_factory.mktemp("replay")
    rows = [
        {
            "instruction": f"Explain {word} in {n} words.",
            "output": f"{word} are {n} things. " * n,
            "stars": n,
        }
        for word in WORDS
        for n in range(1, 6)
    ]
    (folder / "pool.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{broken\n")
    arguments = ["run", str(folder / "pool.jsonl"), "--out", str(folder / "selected.json")]
    for budget in ("5", "8"):  # its own earlier file, with another budget: no --force is needed
        rule = ["--budget", budget, "--threshold", "0.85"]
        assert main([*arguments, *rule, "--quiet", "--no-map"]) == 0
    return folder


def test_another_project_does_not_run_over_the_file(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (made / "selected.json").read_bytes()
    arguments = ["run", str(made / "pool.jsonl"), "--out", str(made / "selected.json"), "--quiet"]
    assert main([*arguments, "--project", str(made / "other.duckdb")]) == 1
    assert "selected.json exists" in capsys.readouterr().err
    assert (made / "selected.json").read_bytes() == before
    assert not (made / "other.duckdb").exists()


def test_run_does_the_whole_way(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(json.loads((made / "selected.json").read_text())) == 8
    assert main(["info", "--project", str(made / "selected.duckdb"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["read"], found["imported"], found["rejected"]) == (31, 30, 1)
    assert (found["scored"], found["embedded"], found["selections"]) == (30, 30, 1)


def test_a_replay_gives_the_same_bytes(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "again.json"
    arguments = ["replay", str(made / "selected.json.manifest.json"), "--out", str(out), "--quiet"]
    assert main([*arguments, "--pool-dir", str(made)]) == 0
    assert "the same file, byte for byte (8 conversations)" in capsys.readouterr().out
    assert out.read_bytes() == (made / "selected.json").read_bytes()


def test_an_export_beside_it_in_another_format_is_replayed_too(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = ["--project", str(made / "selected.duckdb"), "--quiet"]
    out = str(made / "selected.jsonl")
    assert main(["export", "--selection", "run", "--format", "openai", "--out", out, *project]) == 0
    again = ["--out", str(tmp_path / "again.jsonl"), "--pool-dir", str(made), "--quiet"]
    assert main(["replay", f"{out}.manifest.json", *again]) == 0
    assert "again.jsonl: the same file, byte for byte" in capsys.readouterr().out
    assert main(["replay", f"{out}.manifest.json", *again]) == 1
    assert "again.jsonl exists" in capsys.readouterr().err


def test_pins_quotas_and_weights_are_replayed_in_a_fresh_project(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = ["--project", str(made / "selected.duckdb"), "--quiet"]
    said = (
        Message("user", "Explain taxes in 1 words."),
        Message("assistant", "taxes are 1 things. "),
    )
    pin = Conversation(said).id
    rule = ["--budget", "9", "--threshold", "0.85", "--complexity-weight", "0.5", "--pin", pin]
    limits = ["--quota", "source:pool.jsonl=50%", "--where", "characters=30..", "--exclude", "00"]
    assert main(["select", *rule, *limits, "--name", "parts", *project]) == 0
    assert "1 of them is pinned" in capsys.readouterr().out
    out = made / "parts.json"
    assert main(["export", "--selection", "parts", "--out", str(out), *project]) == 0
    assert len(json.loads(out.read_text())) == 4
    manifest = str(made / "parts.json.manifest.json")
    again = ["replay", manifest, "--out", str(tmp_path / "again.json"), "--pool-dir", str(made)]
    assert main([*again, "--quiet"]) == 0
    assert "again.json: the same " in capsys.readouterr().out


def test_a_changed_pool_file_is_refused(made: Path, tmp_path: Path) -> None:
    shutil.copy(made / "selected.json.manifest.json", tmp_path)
    (tmp_path / "pool.jsonl").write_text('{"instruction": "other", "output": "file"}\n')
    with pytest.raises(ExportError, match="is not the one of the manifest"):
        replay_manifest(
            tmp_path / "selected.json.manifest.json", tmp_path / "o.json", [], run_jobs=_never
        )


def test_the_file_to_compare_with_is_never_overwritten(made: Path) -> None:
    with pytest.raises(ExportError, match="choose another --out"):
        replay_manifest(
            made / "selected.json.manifest.json", made / "selected.json", [], run_jobs=_never
        )


def test_neither_the_manifest_nor_a_pool_file_is_overwritten_by_a_replay(
    made: Path, tmp_path: Path
) -> None:
    manifest = shutil.copy(made / "selected.json.manifest.json", tmp_path / "a.json.manifest.json")
    for out in (tmp_path / "a.json", made / "pool.jsonl"):
        with pytest.raises(ExportError, match="is an input"):
            replay_manifest(Path(manifest), out, [made], run_jobs=_never, overwrite=True)


def _never(project: object, steps: object) -> None:
    raise AssertionError("no step may run")


def test_scores_out_of_a_column_are_replayed_and_those_of_a_file_cannot_be(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("selected.duckdb", "pool.jsonl"):
        shutil.copy(made / name, tmp_path)
    project = ["--project", str(tmp_path / "selected.duckdb"), "--quiet"]
    for arguments in (
        ["import-scores", "--quality", "stars"],
        ["select", "--budget", "3", "--name", "s"],
        ["export", "--selection", "s", "--out", str(tmp_path / "chosen.json")],
    ):
        assert main([*arguments, *project]) == 0
    manifest = tmp_path / "chosen.json.manifest.json"
    assert main(["replay", str(manifest), "--quiet"]) == 0
    assert "the same file, byte for byte (3 conversations)" in capsys.readouterr().out
    manifest.write_text(manifest.read_text().replace("column:stars", "import:a.csv#stars"))
    assert main(["replay", str(manifest), "--quiet"]) == 1
    assert "was imported from a.csv" in capsys.readouterr().err
