"""What a browser may name of this machine, and what it may put there."""

from __future__ import annotations

from pathlib import Path

import pytest

from deita_core.errors import ModelError, PathError
from deita_core.project.folder import data_folder, models_folder, place_for_upload
from studio.score.allowed import endpoint_named, key_variable_named, model_named
from tests.hostile.texts import NAMES, PATHS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a model, and a model outside of it, where the server runs."""
    for place in ("data/models/owner/inside", "outside"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "data/models/link").symlink_to(tmp_path / "outside")
    for variable in ("DEITA_DATA_DIR", "DEITA_MODELS_DIR", "DEITA_ENDPOINTS", "DEITA_UPLOADS_GB"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_model_is_a_folder_below_the_models_folder_or_a_name_of_the_hub(folder: Path) -> None:
    inside = models_folder() / "owner" / "inside"
    assert model_named("owner/inside") == model_named(str(inside)) == str(inside)
    assert model_named("owner/other") == "owner/other"


@pytest.mark.parametrize(
    "text",
    ["outside", "./outside", "link", "../../outside", "~", "..", "owner/../../..", *PATHS.values()],
)
def test_no_other_folder_of_this_machine_is_a_model(text: str, folder: Path) -> None:
    with pytest.raises(ModelError, match="no other folder is read from here"):
        model_named(text)
    with pytest.raises(ModelError, match="no other folder is read from here"):
        model_named(str(folder / text))


def test_there_or_not_makes_no_difference_outside(folder: Path) -> None:
    said = []
    for name in ("outside", "missing"):
        with pytest.raises(ModelError) as raised:
            model_named(str(folder / name))
        said.append(str(raised.value).replace(name, ""))
    assert said[0] == said[1]


def test_the_models_folder_can_be_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEITA_MODELS_DIR", str(folder))
    assert model_named("outside") == str(folder / "outside")


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/v1", "http://llm:8000", "http://llm:8000/v1/../admin",
     "http://llm:8000/v1@http://evil.example", "https://llm:8000/v1"],
)  # fmt: skip
def test_only_endpoints_of_the_list_are_sent_texts(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEITA_ENDPOINTS", "http://llm:8000/deita http://llm:8000/v1/")
    assert endpoint_named("http://LLM:8000/v1/") == "http://llm:8000/v1"
    if url != "http://llm:8000":  # "/v1" is where it leads
        with pytest.raises(ModelError, match="sends texts to http"):
            endpoint_named(url)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x", "gopher://x", "//x", "x"])
def test_an_endpoint_is_spoken_to_over_http(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEITA_ENDPOINTS", raising=False)
    with pytest.raises(ModelError, match="must begin with http"):
        endpoint_named(url)
    assert endpoint_named("http://anywhere") == "http://anywhere/v1"


@pytest.mark.parametrize("name", ["HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "PATH", "XDEITA_KEY"])
def test_other_secrets_of_the_server_cannot_be_sent_to_an_endpoint(name: str) -> None:
    with pytest.raises(ModelError, match=r"DEITA_\.\.\._KEY"):
        key_variable_named(name)
    assert key_variable_named("DEITA_JUDGE_KEY") == "DEITA_JUDGE_KEY"
    assert key_variable_named("") is None


@pytest.mark.parametrize("name", [*NAMES.values(), *PATHS.values(), "", ".", "..", "é" * 300])
@pytest.mark.parametrize("number", ["1", "..", "../../x", "/etc"])
def test_an_upload_lands_below_the_uploads_of_its_person(
    name: str, number: str, folder: Path
) -> None:
    path = place_for_upload(number, name.encode("utf-8", "replace").decode(), 1)
    path.write_bytes(b"x")
    assert path.resolve().parents[2] == data_folder() / "uploads"
    assert path.name.isprintable()


def test_two_uploads_of_one_name_are_two_files(folder: Path) -> None:
    assert place_for_upload("1", "a.json", 1) != place_for_upload("2", "a.json", 1)


def test_uploads_end_where_the_grant_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEITA_UPLOADS_GB", "0.000001")
    kept = place_for_upload("1", "a.json", 600)
    kept.write_bytes(b"x" * 600)
    assert place_for_upload("1", "a.json", 600) == kept, "it is there already"
    with pytest.raises(PathError, match=r"hold 600 of the 1,000 .*DEITA_UPLOADS_GB"):
        place_for_upload("2", "b.json", 401)
    place_for_upload("2", "b.json", 400)
    monkeypatch.setenv("DEITA_UPLOADS_GB", "much")
    with pytest.raises(PathError, match="number of gigabytes, got 'much'"):
        place_for_upload("3", "c.json", 1)
