"""Reads the documents for the tests: texts, code blocks, sections, tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

from deita_core.cli import app

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    *(ROOT / f"{name}.md" for name in ("README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")),
    *sorted((ROOT / "docs").glob("*.md")),
]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def names_of(documents: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in documents]


def blocks(text: str, language: str = r"\w*") -> list[str]:
    """The fenced code blocks of a document."""
    return re.findall(rf"^```(?:{language})\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def inline_code(text: str) -> list[str]:
    """What stands between single backticks, outside of fenced blocks."""
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", plain)


def sections(text: str) -> dict[str, str]:
    """The text below each heading of the second level."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def first_cells(text: str) -> list[str]:
    """The first cells of all rows of the tables in a text, without heads and backticks."""
    cells, rows = [], [line for line in text.splitlines() if line.startswith("|")]
    for number, line in enumerate(rows):
        following = rows[number + 1] if number + 1 < len(rows) else ""
        if not line.startswith("| ---") and not following.startswith("| ---"):
            cells.append(line.split("|")[1].strip().replace("`", ""))
    return cells


def commands() -> dict[str, Any]:
    """The commands of the command line, as Typer has parsed them, by name."""
    group: Any = typer.main.get_command(app)
    return dict(group.commands)
