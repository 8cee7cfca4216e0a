"""What the documents show runs: the Python snippets, and the commands with their output."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deita_core.cli import main
from deita_core.jobs.kinds import EmbedSpec, ImportSpec, ScoreSpec
from tests.documents import ROOT, blocks, sections, text_of
from tests.fakes import HashEmbedder, LengthScorer

pytestmark = pytest.mark.usefixtures("jobs_here")


def test_the_python_snippets_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake = "tests.fakes:LengthScorer"
    models = [
        ScoreSpec(complexity=fake, quality=fake),
        EmbedSpec(embedder="tests.fakes:HashEmbedder"),
    ]
    monkeypatch.setattr(
        "deita_core.jobs.chains.preparation",
        lambda numbers: [ImportSpec(sources=numbers), *models],
    )
    monkeypatch.setattr("deita_core.scoring.catalogue.LightScorer", LengthScorer)
    monkeypatch.setattr("deita_core.embedding.catalogue.MiniLM", HashEmbedder)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, block in enumerate(blocks(text_of("docs/python.md"), "python")):
        exec(compile(block, f"docs/python.md, snippet {number}", "exec"), names)
    assert isinstance(names["kept"], np.ndarray)
    assert (tmp_path / "selected.json.manifest.json").exists()


def runs_of(text: str) -> Iterator[tuple[str, str]]:
    """Each command of the console blocks with the output shown below it."""
    for block in blocks(text, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def plain(output: str) -> str:
    """Without sizes in bytes, which differ from run to run."""
    return re.sub(r"[\d.]+ [MK]B|(\"bytes\": |bytes +)[\d,]+", "…", output)


def fits(shown: str, output: str) -> bool:
    pattern = re.escape(plain(shown)).replace(re.escape("…\n"), "(?:.*\n)*?").replace("…", ".*?")
    return re.fullmatch(pattern, plain(output)) is not None


def output_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    status = main(shlex.split(command)[3:])
    assert status == 0, command
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["preview", "import"])
def test_quick_commands_print_what_the_document_shows(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sample").symlink_to(ROOT / "sample")
    for typed, shown in runs_of(sections(text_of("docs/cli.md"))[command]):
        output = output_of(typed, capsys)
        assert fits(shown, output), output


@pytest.mark.slow
def test_all_commands_print_what_the_document_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """With DEITA_UPDATE_DOCS=1 the document is brought up to date instead."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sample").symlink_to(ROOT / "sample")
    before = after = text_of("docs/cli.md")
    for typed, shown in runs_of(before):
        output = output_of(typed, capsys)
        if not fits(shown, output):
            after = after.replace(f"$ {typed}\n{shown}", f"$ {typed}\n{output}")
    if os.environ.get("DEITA_UPDATE_DOCS"):
        (ROOT / "docs" / "cli.md").write_text(after, encoding="utf-8")
    else:
        assert after == before
