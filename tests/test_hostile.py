"""No file does more than become rows, rejects, or one error: the short form of tests/hostile."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from deita_core.errors import DeitaError
from deita_core.formats.read import detect
from tests.hostile.files import every_file, name_of
from tests.hostile.texts import NAMES
from tests.hostile.trial import attempt, import_file, refusal, tables

FILES = {
    key: content
    for key, content in every_file(heavy=False).items()
    if not key.startswith(("texts: ", "names: ")) or key.endswith("all in one pool")
}


@pytest.mark.parametrize("kind", sorted({key.split(":")[0] for key in FILES}))
def test_every_file_is_read_or_refused(kind: str, tmp_path: Path):
    for key, content in FILES.items():
        if not key.startswith(f"{kind}:") or key == "parquet: a bomb":
            continue
        path = tmp_path / "pool"
        path.write_bytes(content())
        try:
            found = detect(path)
        except DeitaError as error:
            refusal(error)
        else:
            assert sum(len(rows) + len(bad) for rows, bad in tables(found)) > 0, key
    assert [one.name for one in tmp_path.iterdir()] == ["pool"]


@pytest.mark.parametrize("name", [NAMES["newline"], NAMES["sql"], NAMES["long"], NAMES["dots"]])
def test_a_file_of_any_name_is_imported(name: str, tmp_path: Path):
    (tmp_path / name).write_bytes(every_file(heavy=False)[f"names: {'sql'}"]())
    assert import_file(tmp_path / name, tmp_path).rows == 2


def test_a_name_that_is_no_text_is_refused(tmp_path: Path):
    key = "names: not utf-8"
    path = tmp_path / name_of(key)
    path.write_bytes(every_file(heavy=False)[key]())
    assert "is not UTF-8: rename the file" in import_file(path, tmp_path).error


class Runs:
    def __reduce__(self) -> tuple[object, ...]:
        return (pickle.loads, (pickle.dumps(1),))


def test_the_trial_sees_what_must_not_happen(monkeypatch: pytest.MonkeyPatch):
    def unpickled(path: Path) -> None:
        pickle.loads(path.read_bytes())

    monkeypatch.setattr("tests.hostile.trial.detect", unpickled)
    outcome = attempt(pickle.dumps(Runs()), "pool")
    assert not outcome.good
    assert "pickle.find_class" in outcome.said
