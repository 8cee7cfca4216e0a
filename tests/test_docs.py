"""The documents say what is so: trees, paths, commands, options and formats."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from deita_core.conversation import ROLES
from deita_core.describe import FLAGS
from deita_core.formats.read import LAYOUTS
from deita_core.formats.read.layout import ROLE_NAMES
from deita_core.formats.write import EXPORT_FORMATS
from deita_core.selection.status import STATUSES
from tests.documents import (
    DOCUMENTS,
    ROOT,
    blocks,
    commands,
    first_cells,
    inline_code,
    names_of,
    sections,
    text_of,
)

# Made by running the app, and not in the repository.
MADE = ("data", "projects", ".venv", "static")
# A picture of the running app, taken for a release.
PICTURES = {
    f"docs/{name}.png" for name in ("screenshot", "explore", "review", "agreement", "compare")
}
# Named in the house rules because no file may be called so.
BANNED = {"utils.py"}
CARD = "deita_core/scoring/light/weights/MODEL_CARD.md"


# trees and paths


def listed_tree() -> dict[str, set[str]]:
    """The tree of the README: the entries of the top level under "", those of rooms under them."""
    (tree,) = [b for b in blocks(text_of("README.md")) if "deita_core/" in b and "app.py" in b]
    found: dict[str, set[str]] = {"": set()}
    room = ""
    for line in tree.splitlines():
        names = {part.strip("/ ") for part in line.strip().split("  ")[0].split(", ")}
        if line.startswith(" "):
            found.setdefault(room, set()).update(names)
        else:
            room = min(names)
            found[""] |= names
    return found


def tracked(folder: str) -> set[str]:
    """Names in a folder of the repository; without git, all that is not ignored."""
    start = ROOT / folder
    try:
        listed = subprocess.run(
            ["git", "ls-files", "."], cwd=start, capture_output=True, text=True, check=True
        )
        return {line.split("/")[0] for line in listed.stdout.splitlines()} - {".gitignore"}
    except (OSError, subprocess.CalledProcessError):
        ignored = {line.strip("/\n") for line in text_of(".gitignore").splitlines()}
        found = {path.name for path in start.iterdir()}
        return found - ignored - {".gitignore", ".git", "__pycache__"}


def test_the_tree_of_the_readme_is_the_one_that_exists():
    tree = listed_tree()
    assert {"deita_core", "pages", "docs"} <= tree.keys()
    for room, names in tree.items():
        assert names == tracked(room) - {"__init__.py"} - {p[5:] for p in PICTURES}, room


def mentioned_paths(text: str) -> Iterator[str]:
    """Paths of this repository in inline code, and the targets of relative links."""
    tops = {path.name for path in ROOT.iterdir()} - set(MADE)
    for code in inline_code(text):
        top = code.split("/")[0]
        looks_so = re.fullmatch(r"[\w.*-]+(/[\w.*-]+)*/?", code)
        if looks_so and ((top in tops and "/" in code) or code.endswith((".py", ".toml", ".txt"))):
            yield code
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            yield target


@pytest.mark.parametrize("name", names_of(DOCUMENTS))
def test_every_path_named_in_a_document_exists(name: str):
    rooms = [p for top in ("deita_core", "studio") for p in (ROOT / top).iterdir() if p.is_dir()]
    folders = (ROOT, (ROOT / name).parent, ROOT / "deita_core", *rooms)
    for path in set(mentioned_paths(text_of(name))) - PICTURES - BANNED:
        assert any(list(folder.glob(path.rstrip("/"))) for folder in folders), path


@pytest.mark.parametrize("name", names_of(DOCUMENTS))
def test_every_anchor_that_is_linked_exists(name: str):
    for target, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", text_of(name)):
        if "://" not in target:
            there = (ROOT / name).parent / target if target else ROOT / name
            heads = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in heads}
            assert anchor in anchors, f"{target}#{anchor}"


def test_the_figures_of_the_scorers_are_those_of_the_model_card():
    figures = set(re.findall(r"\b0\.\d{3}\b", text_of("README.md")))
    assert figures
    assert figures <= set(re.findall(r"\b0\.\d{3}\b", text_of(CARD)))


@pytest.mark.parametrize("name", names_of(DOCUMENTS))
def test_every_make_target_named_exists(name: str):
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z]+)", text_of(name), re.MULTILINE)
    assert set(named) <= targets


# the command line


def options_of(command: Any) -> set[str]:
    return {o for one in command.params for o in one.opts if o.startswith("--")} - {"--help"}


def shown_commands(text: str) -> Iterator[list[str]]:
    """The arguments of every `python -m deita_core ...` in a document."""
    joined = "\n".join([*blocks(text), *inline_code(text)]).replace("\\\n", " ")
    for shown in re.findall(r"python -m deita_core +(\S.*)", joined):
        yield shlex.split(shown, comments=True)


@pytest.mark.parametrize("name", names_of(DOCUMENTS))
def test_every_command_shown_can_be_parsed(name: str):
    for arguments in shown_commands(text_of(name)):
        if arguments[0] in ("COMMAND", "--version"):
            continue
        assert arguments[0] in commands(), arguments
        if len(arguments) > 1:  # a bare name in a sentence is the name alone
            commands()[arguments[0]].make_context(arguments[0], arguments[1:])


@pytest.mark.parametrize("name", names_of(DOCUMENTS))
def test_every_option_named_exists(name: str):
    known = set().union(*map(options_of, commands().values())) | {"--version", "--help"}
    named = {o for code in inline_code(text_of(name)) for o in re.findall(r"--[a-z][\w.-]*", code)}
    assert named <= known


def test_every_command_has_a_section_in_order():
    listed = sections(text_of("docs/cli.md"))
    assert [name for name in listed if name in commands()] == list(commands())


@pytest.mark.parametrize("command", list(commands()))
def test_every_option_of_a_command_is_in_its_section(command: str):
    listed = sections(text_of("docs/cli.md"))
    own = listed[command]
    by_anchor = {head.lower().replace(" ", "-"): text for head, text in listed.items()}
    linked = "".join(by_anchor.get(a, "") for a in re.findall(r"\]\(#([\w-]+)\)", own))
    wanted = options_of(commands()[command])
    assert wanted - set(re.findall(r"--[a-z][\w-]*", own + linked)) == set()


# formats


def test_the_layouts_listed_are_those_registered():
    heads = re.findall(r"^#### `(\w+)`: (.+)$", text_of("docs/formats.md"), re.MULTILINE)
    assert heads == [(layout.name, layout.label) for layout in LAYOUTS.values()]


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_the_columns_of_a_layout_are_listed_with_their_usual_names(layout: str):
    text = text_of("docs/formats.md").partition(f"#### `{layout}`:")[2]
    text = re.split(r"^##", text, maxsplit=1, flags=re.MULTILINE)[0]
    listed = {
        cell.removesuffix(" (required)"): re.findall("`([^`]+)`", line.split("|")[2])
        for cell, line in zip(
            first_cells(text), [x for x in text.splitlines() if x.startswith("| `")], strict=True
        )
    }
    assert listed == {c.name: list(c.aliases) for c in LAYOUTS[layout].columns}


def test_export_formats_flags_roles_and_statuses_listed_are_those_registered():
    listed = sections(text_of("docs/formats.md"))
    assert first_cells(listed["Export formats"])[: len(EXPORT_FORMATS)] == list(EXPORT_FORMATS)
    flags = first_cells(listed["What is noted of each conversation"])
    assert flags == list(FLAGS)
    roles = {
        cells[1].strip(" `"): re.findall("`([^`]+)`", cells[2])
        for cells in (line.split("|") for line in listed["Pool files"].splitlines())
        if len(cells) == 4 and cells[1].strip(" `") in ROLES
    }
    assert {name: role for role, names in roles.items() for name in names} == ROLE_NAMES
    assert first_cells(sections(text_of("ARCHITECTURE.md"))["Selection"]) == [
        status.label for status in STATUSES
    ]
