"""The house rules that a program can check: which way imports point, and how long files are."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# A module may import from its own level and from those below it.
LEVELS = (
    {"deita_core.errors"},
    {
        f"deita_core.{plain}"
        for plain in (
            "conversation",
            "describe",
            "device",
            "device_memory",
            "language",
            "refusals",
            "stepwise",
            "version",
        )
    },
    {"deita_core.language_models"},
    {
        f"deita_core.{package}"
        for package in (
            "project",
            "formats",
            "scoring",
            "embedding",
            "geometry",
            "selection",
            "evolving",
        )
    },
    {"deita_core.jobs"},
    {f"deita_core.{whole}" for whole in ("curate", "replay", "sample", "steps")},
    {"pages.parts"},
    {
        f"deita_core.{command}"
        for command in (
            "cli",
            "commands",
            "model_commands",
            "model_options",
            "progress_bars",
            "rule_options",
            "score_commands",
            "__main__",
        )
    },
    {"pages", "app"},
)
HEAVY = {"streamlit", "torch", "umap", "pandas", "openvino", "transformers", "datasets", "numba"}


def sources() -> list[Path]:
    found = [*ROOT.glob("app.py"), *ROOT.glob("pages/**/*.py"), *ROOT.glob("deita_core/**/*.py")]
    return sorted(found)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Every module named in an import of the file, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module: str) -> str | None:
    """The longest known name that the module is, or lies in."""
    rooms = [r for level in LEVELS for r in level if module == r or module.startswith(r + ".")]
    return max(rooms, key=len, default=None)


def level(name: str) -> int:
    return next(index for index, rooms in enumerate(LEVELS) if name in rooms)


@cache
def links() -> frozenset[tuple[str, str]]:
    """(room, room it imports from), different ones only."""
    found = set()
    for path in sources():
        here = room(module_name(path))
        for module in imported(path):
            there = room(module)
            if here and there and here != there:
                found.add((here, there))
    return frozenset(found)


def test_every_module_has_its_place_in_the_levels():
    lost = [m for m in map(module_name, sources()) if room(m) is None and m != "deita_core"]
    assert lost == []


def test_imports_point_one_way():
    assert [link for link in sorted(links()) if level(link[1]) > level(link[0])] == []


def test_no_two_rooms_import_each_other():
    found = links()
    assert [(a, b) for a, b in sorted(found) if a < b and (b, a) in found] == []


def test_no_file_of_the_core_imports_streamlit_or_a_page():
    core = [p for p in sources() if module_name(p).startswith("deita_core")]
    above = {"streamlit", "app", "pages"}
    guilty = [p.name for p in core for m in imported(p) if m.split(".")[0] in above]
    assert core
    assert guilty == []


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
    names = [m for m in map(module_name, sources()) if m.startswith("deita_core")]
    # A kernel is compiled by numba on import, so it is imported inside the function that runs it.
    names = [m for m in names if not m.endswith(("__main__", "_kernel"))]
    assert loaded_after("import " + ", ".join(names)) & HEAVY == set()


def test_no_file_has_more_than_300_lines():
    lengths = {module_name(p): len(p.read_text(encoding="utf-8").splitlines()) for p in sources()}
    assert {name: lines for name, lines in lengths.items() if lines > 300} == {}


def test_no_file_is_named_utils():
    assert [p for p in sources() if p.stem in ("utils", "util", "helpers", "misc")] == []
