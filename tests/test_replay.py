"""replay: the whole way by `run`, then the same file again from its manifest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from deita_core.cli import main
from deita_core.errors import ExportError
from deita_core.replay import replay_manifest

WORDS = ("rivers", "bread", "prime numbers", "taxes", "poems", "bicycles")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `run` has made selected.json out of pool.jsonl."""
    folder = tmp_path_factory.mktemp("replay")
    rows = [
        {
            "instruction": f"Explain {word} in {n} words.",
            "output": f"{word} are {n} things. " * n,
        }
        for word in WORDS
        for n in range(1, 6)
    ]
    (folder / "pool.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{broken\n")
    arguments = ["run", str(folder / "pool.jsonl"), "--out", str(folder / "selected.json")]
    assert main([*arguments, "--budget", "8", "--threshold", "0.85", "--quiet", "--no-map"]) == 0
    return folder


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
    arguments = ["replay", str(made / "selected.manifest.json"), "--out", str(out), "--quiet"]
    assert main([*arguments, "--pool-dir", str(made)]) == 0
    assert "the same file, byte for byte (8 conversations)" in capsys.readouterr().out
    assert out.read_bytes() == (made / "selected.json").read_bytes()


def test_a_changed_pool_file_is_refused(made: Path, tmp_path: Path) -> None:
    shutil.copy(made / "selected.manifest.json", tmp_path)
    (tmp_path / "pool.jsonl").write_text('{"instruction": "other", "output": "file"}\n')
    with pytest.raises(ExportError, match="is not the one of the manifest"):
        replay_manifest(
            tmp_path / "selected.manifest.json", tmp_path / "o.json", [], run_steps=_never
        )


def test_the_file_to_compare_with_is_never_overwritten(made: Path) -> None:
    with pytest.raises(ExportError, match="choose another --out"):
        replay_manifest(
            made / "selected.manifest.json", made / "selected.json", [], run_steps=_never
        )


def _never(project: object, steps: object) -> None:
    raise AssertionError("no step may run")
