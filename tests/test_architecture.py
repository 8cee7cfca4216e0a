"""The house rules that a program can check: which way imports point, between rooms and files."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# A room may import from itself, from its own level and from those below it.
LEVELS: tuple[tuple[str, ...], ...] = (
    ("deita_core.errors", "deita_core.files"),
    (
        "deita_core.conversation",
        "deita_core.describe",
        "deita_core.people",
        "deita_core.progress",
    ),
    ("deita_core.models",),
    (
        "deita_core.formats",
        "deita_core.scoring",
        "deita_core.embedding",
        "deita_core.filtering",
        "deita_core.similarity",
        "deita_core.map",
        "deita_core.selection",
        "deita_core.review",
        "deita_core.evolving",
        "deita_core.training",
        "deita_core.project",
    ),
    ("deita_core.jobs",),
    ("deita_core.cli", "studio"),
    ("deita_core.__main__", "pages", "app", "serve"),
)
HEAVY = {"streamlit", "torch", "umap", "pandas", "openvino", "transformers", "datasets", "numba"}


@cache
def sources() -> dict[str, Path]:
    """Every module of the product, by its dotted name."""
    patterns = ("app.py", "serve.py", "pages/**/*.py", "studio/**/*.py", "deita_core/**/*.py")
    return {module_name(path): path for pattern in patterns for path in sorted(ROOT.glob(pattern))}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Every name that the file imports, wherever in the file the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def links() -> dict[str, set[str]]:
    """From each file to the files of the product that it imports, late imports too."""
    found: dict[str, set[str]] = {}
    for here, path in sources().items():
        there = {file for name in imported(path) if (file := file_of(name)) and file != here}
        found[here] = there
    return found


def file_of(name: str) -> str | None:
    """The module that a dotted name is, or is defined in."""
    while name and name not in sources():
        name = name.rpartition(".")[0]
    return name or None


def level(module: str) -> int | None:
    def holds(room: str) -> bool:
        return module == room or module.startswith(f"{room}.")

    return next((n for n, rooms in enumerate(LEVELS) if any(map(holds, rooms))), None)


def circles() -> list[list[str]]:
    """Groups of files each of which reaches the others by imports (Tarjan's components)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: list[str] = []
    found: list[list[str]] = []

    def visit(file: str) -> None:
        number[file] = lowest[file] = len(number)
        open_.append(file)
        for other in sorted(links()[file]):
            if other not in number:
                visit(other)
            if other in open_:
                lowest[file] = min(lowest[file], lowest[other])
        if lowest[file] == number[file]:
            place = open_.index(file)
            found.append(sorted(open_[place:]))
            del open_[place:]

    for file in sources():
        if file not in number:
            visit(file)
    return [circle for circle in found if len(circle) > 1]


def test_every_module_has_its_place_in_the_levels():
    assert [m for m in sources() if level(m) is None and m != "deita_core"] == []


def test_imports_point_down_the_levels():
    upwards = [
        (here, there)
        for here, others in links().items()
        for there in sorted(others)
        if here != "deita_core" and there != "deita_core" and level(there) > level(here)
    ]
    assert upwards == []


def test_no_files_import_each_other_in_a_circle():
    assert circles() == []


def test_no_two_rooms_import_each_other():
    def room(module: str) -> str:
        return ".".join(module.split(".")[:2])

    pairs = {(room(a), room(b)) for a, others in links().items() for b in others}
    assert [(a, b) for a, b in sorted(pairs) if a < b and (b, a) in pairs] == []


def test_streamlit_and_what_is_built_on_it_stay_out_of_the_core():
    core = {m: path for m, path in sources().items() if m.startswith("deita_core")}
    above = {"streamlit", "app", "pages", "studio"}
    assert core
    guilty = [m for m, path in core.items() for n in imported(path) if n.split(".")[0] in above]
    assert guilty == []


def test_the_product_imports_no_recipe_benchmark_or_test():
    beside = {"recipes", "benchmarks", "tests"}
    assert [m for m, path in sources().items() if beside & tops_of(path)] == []


def tops_of(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def loaded_after(code: str) -> set[str]:
    """Top-level names in sys.modules after running the code in a fresh Python."""
    show = "; import sys, json; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    run = subprocess.run(
        [sys.executable, "-c", code + show], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_importing_the_core_loads_nothing_heavy():
    loaded = loaded_after("import deita_core")
    assert "deita_core" in loaded
    assert loaded & HEAVY == set()


def test_importing_every_module_of_the_core_loads_nothing_heavy():
    # A kernel is compiled by numba on import, so it is imported inside the function that runs it.
    names = [
        m
        for m in sources()
        if m.startswith("deita_core") and not m.endswith(("__main__", "_kernel"))
    ]
    assert loaded_after("import " + ", ".join(names)) & HEAVY == set()


def test_no_file_is_named_utils():
    vague = ("utils", "util", "helpers", "misc", "manager", "common")
    assert [m for m in sources() if m.rpartition(".")[2] in vague] == []


def test_every_exception_from_the_rules_of_security_has_its_reason():
    marked = [
        line
        for path in sources().values()
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"noqa: S\d", line)
    ]
    assert marked
    assert [line for line in marked if not re.search(r"noqa: S\d+ - \w+ \w+", line)] == []


def test_every_name_that_the_core_offers_is_there():
    import deita_core

    assert [name for name in deita_core.__all__ if not callable(getattr(deita_core, name))] == []
