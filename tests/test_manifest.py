"""The manifest: written and read without loss, wrong ones named, pool files found and checked."""

from __future__ import annotations

import hashlib
import json
import sys

import pytest

from deita_core.errors import ExportError
from deita_core.formats.manifest import (
    Manifest,
    ModelUse,
    Output,
    PoolFile,
    SelectionRecord,
    check_versions,
    current_versions,
    locate,
    read_manifest,
)
from deita_core.formats.read.layout import Mapping

CONTENT = b'{"instruction": "a", "output": "b"}\n'
POOL_FILE = PoolFile(
    name="pool.jsonl",
    path="data/pool.jsonl",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    bytes=len(CONTENT),
    container="jsonl",
    compression="",
    mapping=Mapping("alpaca", {"instruction": "instruction"}, {"mensch": "user"}),
    read=4,
    imported=2,
    duplicates=1,
    rejected=1,
)
MANIFEST = Manifest(
    project="Süd",
    created="2026-01-02T03:04:05+00:00",
    pool=(POOL_FILE,),
    models=(
        ModelUse(
            role="complexity",
            id="light-complexity",
            revision="v1",
            parameters={"folds": 5, "bf16": True},
        ),
    ),
    selection=SelectionRecord(
        name="best 2",
        strategy="repr_filter",
        parameters={"threshold": 0.9, "budget": 2, "aggregation": "sum"},
    ),
    output=Output(
        format="sharegpt",
        file_name="out.json",
        with_scores=True,
        bytes=10,
        sha256="0" * 64,
        ids=("b" * 32, "a" * 32),
    ),
    versions={"deita_studio": "0.1.0", "python": "3.11.1", "torch": "2.13.0"},
)


def broken(*path: str | int, value: object) -> str:
    record = json.loads(MANIFEST.to_json())
    inner = record
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return json.dumps(record)


def test_a_manifest_reads_back_as_it_was(tmp_path):
    (tmp_path / "m.json").write_text(MANIFEST.to_json(), encoding="utf-8")
    assert read_manifest(tmp_path / "m.json") == MANIFEST


def test_ids_keep_the_order_of_the_file():
    assert Manifest.from_json(MANIFEST.to_json()).output.ids == ("b" * 32, "a" * 32)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "the manifest must be an object"),
        ("{}", "not a manifest: its kind is None"),
        (broken("schema_version", value=2), "schema version 2"),
        (broken("schema_version", value=True), "schema_version must be a whole number"),
        (broken("project", value=3), "project must be text, got 3"),
        (broken("pool", 0, "bytes", value=-1), r"pool\[0\].bytes must be a whole number"),
        (broken("pool", 0, "sha256", value="beef"), r"pool\[0\].sha256 must be a SHA-256"),
        (broken("pool", 0, "read", value=9), "9 read, but 2 imported"),
        (broken("pool", 0, "mapping", "roles", "x", value=1), "mapping.roles.x must be text"),
        (broken("models", 0, value="m"), r"models\[0\] must be an object"),
        (broken("models", 0, "parameters", "p", value=[]), "parameters.p must be"),
        (broken("output", "ids", 1, value=None), r"output.ids\[1\] must be text"),
        (broken("output", value={}), "lacks output.format"),
        (broken("output", "more", value=1), r"a field that is not known, output\.more"),
        (broken("pool", 0, "mapping", "more", value=1), r"not known, pool\[0\]\.mapping\.more"),
        (broken("output", "with_scores", value=1), "output.with_scores must be true or false"),
        (broken("output", "ids", value="a"), "output.ids must be a list, got 'a'"),
        (broken("versions", value=[]), "versions must be an object"),
    ],
)
def test_a_malformed_manifest_is_refused_with_the_field(text, message):
    with pytest.raises(ExportError, match=message):
        Manifest.from_json(text)


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(ExportError, match=r"nowhere\.json"):
        read_manifest(tmp_path / "nowhere.json")


@pytest.mark.parametrize("place", ["data/pool.jsonl", "pool.jsonl", "elsewhere/pool.jsonl"])
def test_a_pool_file_is_found_beside_the_manifest_or_in_a_named_folder(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(CONTENT)
    assert locate(POOL_FILE, tmp_path / "m.json", [tmp_path / "elsewhere"]) == path


def test_a_file_with_another_content_is_passed_over_for_the_right_one(tmp_path):
    (tmp_path / "pool.jsonl").write_bytes(b"other")
    (tmp_path / "right").mkdir()
    (tmp_path / "right/pool.jsonl").write_bytes(CONTENT)
    found = locate(POOL_FILE, tmp_path / "m.json", [tmp_path / "right"])
    assert found == tmp_path / "right/pool.jsonl"


def test_a_missing_pool_file_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(ExportError, match=r"'pool.jsonl' is missing.*--pool-dir"):
        locate(POOL_FILE, tmp_path / "m.json")


def test_a_changed_pool_file_is_refused_with_both_hashes(tmp_path):
    (tmp_path / "pool.jsonl").write_bytes(b"other")
    with pytest.raises(ExportError) as caught:
        locate(POOL_FILE, tmp_path / "m.json")
    assert POOL_FILE.sha256 in str(caught.value)
    assert hashlib.sha256(b"other").hexdigest() in str(caught.value)


def test_versions_that_differ_are_told_in_plain_words():
    here = {"deita_studio": "0.1.0", "python": "3.12.0"}
    assert check_versions(MANIFEST, here) == [
        "python: made with 3.11.1, here 3.12.0",
        "torch: made with 2.13.0, not installed here",
    ]
    assert check_versions(MANIFEST.model_copy(update={"versions": here}), here) == []


def test_current_versions_name_python_and_the_packages():
    found = current_versions("0.1.0")
    assert found["deita_studio"] == "0.1.0"
    assert found["python"] == ".".join(str(n) for n in sys.version_info[:3])
    assert found["numpy"][0].isdigit()
