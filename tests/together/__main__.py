"""`python -m tests.together`, which is `make together`: several people on one project at once.

Four browser sessions, each with a login of its own, and a command line pin, save, rename, delete,
import and export by a seed. Afterwards the log is held against the tables, every page must have
been whole, and whoever lost by another's change must have been told.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import oidc_provider_mock
from playwright.async_api import async_playwright

from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.project import Project
from deita_core.project.log import LogEntry, log_entries
from deita_core.project.selections import DELETE, RENAME_SELECTION, SAVE
from deita_core.project.store import RENAME
from deita_core.selection.rule import SelectionRule
from tests.browser import FLAGS, ROOT, served
from tests.builders import prepared_project
from tests.together.ledger import KINDS, differences
from tests.together.windows import Window

UNDONE = {"pinned": "pinned", "excluded": "excluded", None: "taken back"}


def prepared(folder: Path, provider: str, names: list[str]) -> Path:
    """A folder for the app: a project, the login, the roles."""
    path = prepared_project(folder / "projects" / "shared.duckdb")
    with Project.open(path) as project:
        select_and_save(project, SelectionRule(threshold=0.99, budget=7), "shared one")
    settings = folder / ".streamlit"
    settings.mkdir()
    people = "".join(f'"{name}@example.org" = "admin"\n' for name in names)
    (settings / "roles.toml").write_text(f"[people]\n{people}")
    (settings / "secrets.toml").write_text(
        "[auth]\n"
        'redirect_uri = "http://127.0.0.1:{port}/oauth2callback"\n'
        'cookie_secret = "only for this program, and long"\n'
        'client_id = "deita"\nclient_secret = "secret"\n'
        f'server_metadata_url = "{provider}/.well-known/openid-configuration"\n'
    )
    return path


async def people(
    address: str, names: list[str], seed: int, minutes: float, folder: Path
) -> list[Window]:
    """Let them all act until the time is over; then each looks once more."""
    async with async_playwright() as play:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        browser = await play.chromium.launch(executable_path=found, args=FLAGS)
        windows = []
        for number, name in enumerate(names):
            page = await (await browser.new_context()).new_page()
            pool = folder / f"{name}.jsonl"
            windows.append(Window(page, name, seed * 1000 + number, pool))
            await windows[-1].log_in(f"{address}/select?project=shared")
        end = time.monotonic() + 60 * minutes

        async def busy(window: Window) -> None:
            while time.monotonic() < end:
                await window.act()

        await asyncio.gather(*map(busy, windows))
        for window in windows:
            await window.page.keyboard.press("Escape")
            await window.go("Score")
            await window.page.wait_for_timeout(1000)
            await window.look()
        await browser.close()
        return windows


async def commands(path: Path, minutes: float) -> Counter[str]:
    """A command line that tries all along; the app has the project, and it must be told so."""
    said: Counter[str] = Counter()
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        ran = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deita_core", "log", "--project", str(path), "--wait", "1"),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        _, error = await ran.communicate()
        refused = ran.returncode == 1 and b"is open in process" in error
        said["refused by name" if refused else error.decode()[-300:] or "done"] += 1
        await asyncio.sleep(10)
    return said


def untold(entries: list[LogEntry], windows: list[Window]) -> Iterator[str]:
    """What somebody lost by another's change and was not told of."""
    for window in windows:
        told = " ".join(" ".join(window.said).split())
        mine: dict[int, str | None] = {}
        for entry in reversed(entries):
            own = entry.who.startswith(f"{window.name} <")
            if own and entry.action in KINDS:
                mine |= dict.fromkeys(entry.what["rows"], KINDS[entry.action])
            elif not own and (sentence := lost(entry, mine)) and sentence not in told:
                yield f"{window.name} was not told: {sentence}"


def lost(entry: LogEntry, mine: dict[int, str | None]) -> str:
    """What must be said of an entry to who had set these rows; empty for nothing."""
    what, by = entry.what, f"by {entry.who} at {entry.made:%H:%M} UTC"
    if entry.action == RENAME:
        return f"was renamed to “{what['name']}” {by}"
    if entry.action == RENAME_SELECTION:
        return f"The selection “{what['before']}” was renamed to “{what['name']}” {by}"
    if entry.action == DELETE:
        return f"The selection “{what['name']}” was deleted {by}"
    if entry.action == SAVE and what.get("replaced"):
        return f"The selection “{what['name']}” was replaced {by}"
    if entry.action in KINDS:
        kind = KINDS[entry.action]
        rows = [row for row in entry.what["rows"] if row in mine and mine[row] != kind]
        for row in rows:
            del mine[row]
        if len(rows) == 1:
            return f"Row {rows[0]:,}, where you had chosen otherwise: {UNDONE[kind]} {by}"
    return ""


def findings(path: Path, windows: list[Window], before: int) -> list[str]:
    """Everything that is not as it must be."""
    with Project.open(path, wait=30) as project:
        wrong = list(differences(project))
        entries = log_entries(project, after=before)
    wrong += list(untold(entries, windows))
    logged = {e.what["name"] for e in entries if e.action == SAVE}
    for window in windows:
        wrong += [f"{window.name}: {text[:300]}" for text in window.exceptions]
        wrong += [
            f"{name} was said to be saved and is not" for name in window.saved if name not in logged
        ]
    return wrong


def main() -> int:
    """Runs it; the exit status is 1 when something was lost, broken or not said."""
    parser = argparse.ArgumentParser(prog="tests.together", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sessions", type=int, default=4)
    options = parser.parse_args()
    names = [f"person{number}" for number in range(1, options.sessions + 1)]
    claims = [
        oidc_provider_mock.User(sub=n, claims={"name": n, "email": f"{n}@example.org"})
        for n in names
    ]
    with (
        tempfile.TemporaryDirectory(prefix="together-") as made,
        oidc_provider_mock.run_server_in_thread(user_claims=claims) as provider,
    ):
        folder = Path(made)
        path = prepared(folder, f"http://localhost:{provider.server_port}", names)
        with Project.open(path) as project:
            before = len(log_entries(project))
        with served("deita_core", "app", port="--port", folder=folder) as address:

            async def both() -> tuple[list[Window], Counter[str]]:
                return await asyncio.gather(
                    people(address, names, options.seed, options.minutes, folder),
                    commands(path, options.minutes),
                )

            windows, said = asyncio.run(both())
        wrong = findings(path, windows, before)
        with Project.open(path) as project:
            actions = Counter(entry.action for entry in log_entries(project, after=before))
    for window in windows:
        print(
            f"{window.name}: {dict(window.done)}; given up {dict(window.given_up)}; "
            f"{len(window.said)} messages"
        )
    print(f"command line: {dict(said)}")
    print(f"log: {dict(actions)}")
    for one in wrong:
        print(f"WRONG {one}")
    print(f"{len(wrong)} wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
