"""Datasets of the hub, with a hub that is not there."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import httpx2
import pytest

from deita_core.errors import PoolError
from deita_core.formats import hub
from deita_core.formats.read import read

ROWS = [{"instruction": f"Q{n}", "output": "ä\ud800"} for n in range(2_500)]


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """A stand-in for the library: `calls` are its calls, `rows` what it gives."""
    fake = types.SimpleNamespace(calls=[], rows=ROWS)

    def load_dataset(path: str, config: str | None, *, split: str, streaming: bool):
        fake.calls.append((path, config, split, streaming))
        return iter(fake.rows)

    fake.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", fake)
    monkeypatch.setattr(hub, "check_known", lambda path: None)
    return fake


def test_a_dataset_becomes_json_lines_that_can_be_read(tmp_path: Path, datasets):
    seen: list[int] = []
    path = hub.snapshot("owner/some.set:main", "train", tmp_path / "data", seen.append)
    assert path.name == "owner--some.set--main--train.jsonl"
    assert seen == [1_000, 2_000, 2_500]
    assert datasets.calls == [("owner/some.set", "main", "train", True)]
    assert len(list(read(path))) == 2_500
    assert json.loads(path.read_text().splitlines()[3]) == {
        "instruction": "Q3",
        "output": "ä\ufffd",
    }


def test_a_connection_that_breaks_off_leaves_no_file(tmp_path: Path, datasets):
    def broken():
        yield from ROWS[:3]
        raise ConnectionError("reset")

    datasets.rows = broken()
    with pytest.raises(PoolError, match="reset"):
        hub.snapshot("owner/set", "train", tmp_path, lambda rows: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../x", "/etc/passwd", "a/b/c", "a b", "http://x/y"])
def test_what_is_no_dataset_name_is_refused(tmp_path: Path, datasets, name: str):
    with pytest.raises(PoolError, match="no dataset name"):
        hub.snapshot(name, "train", tmp_path, lambda rows: None)
    assert datasets.calls == []


def test_a_local_folder_is_never_taken_for_a_dataset(
    tmp_path: Path, datasets, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "private").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PoolError, match="local path"):
        hub.snapshot("private", "train", tmp_path, lambda rows: None)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx2.ConnectError("no route"), "cannot be reached"),
        (httpx2.ReadTimeout("slow"), "cannot be reached"),
        (404, "no dataset 'owner/set'"),
        (403, "no dataset 'owner/set'"),
        (503, "answered 503"),
    ],
)
def test_offline_and_unknown_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, answer: Exception | int, message: str
):
    def respond(request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/api/datasets/owner/set"
        assert request.extensions["timeout"]["connect"] <= 10
        if isinstance(answer, int):
            return httpx2.Response(answer)
        raise answer

    client = httpx2.Client(transport=httpx2.MockTransport(respond))
    monkeypatch.setattr("huggingface_hub.hf_api.get_session", lambda: client)
    with pytest.raises(PoolError, match=message):
        hub.check_known("owner/set")


def test_an_offline_setting_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(PoolError, match="HF_HUB_OFFLINE is set"):
        hub.check_known("owner/set")
