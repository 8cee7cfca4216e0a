"""A person in a browser who does things at random on a project that others have open, too."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import Error, Page, expect

NAMES = ("shared one", "shared two", "shared three")
# Everything that was ever said in a message, also what has gone again.
LISTEN = """
window.said = [];
const kinds = '[data-testid="stToast"], [data-testid="stAlert"], [data-testid="stException"]';
const seen = new WeakMap();
new MutationObserver(() => document.querySelectorAll(kinds).forEach(one => {
    if (seen.get(one) !== one.innerText) {
        seen.set(one, one.innerText);
        const broken = one.dataset.testid === 'stException' ? 'BROKEN ' : '';
        window.said.push(broken + one.innerText);
    }
})).observe(document, {childList: true, subtree: true, characterData: true});
"""
PATIENCE = 15_000  # milliseconds for one step; another's change can take a control away


class Window:
    """One browser session. done: what it saw done, by kind. said: every message it was shown."""

    def __init__(self, page: Page, name: str, seed: int, pool: Path) -> None:
        self.page, self.name, self.pool = page, name, pool
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.given_up: Counter[str] = Counter()
        self.said: list[str] = []
        self.exceptions: list[str] = []
        self.saved: list[str] = []
        page.set_default_timeout(PATIENCE)

    async def log_in(self, address: str) -> None:
        """Through the provider, to the Select page."""
        await self.page.add_init_script(LISTEN)
        await self.page.goto(address)
        await self.page.get_by_role("button", name="Log in").click()
        await self.page.get_by_placeholder("sub").fill(self.name)
        await self.page.get_by_role("button", name="Authorize").click()
        await self.page.get_by_text(f"{self.name} · admin").wait_for(timeout=60_000)
        await self.go("Select")

    async def act(self) -> None:
        """One thing at random; what another took away meanwhile is given up."""
        weights = {self.pin: 6, self.save: 3, self.save_shared: 3, self.change_saved: 6}
        weights |= {self.rename_project: 1, self.export: 1, self.load: 0.5}
        do: Callable[[], Awaitable[None]] = self.random.choices([*weights], [*weights.values()])[0]
        try:
            await do()
            self.done[do.__name__] += 1
        except (Error, AssertionError):
            self.given_up[do.__name__] += 1
            await self.page.keyboard.press("Escape")
        await self.look()

    async def look(self) -> None:
        """Take down what is said, and put it out of the way."""
        heard = await self.page.evaluate("window.said.splice(0)")
        self.said += [text.replace("\u2060", "") for text in heard]
        self.exceptions += [text for text in heard if text.startswith("BROKEN ")]
        for toast in await self.page.get_by_test_id("stToast").all():
            try:
                await toast.get_by_role("button").first.click(timeout=500)
            except Error:
                continue  # it has gone by itself

    async def settled(self) -> None:
        ready = '[data-testid="stApp"][data-test-script-state="notRunning"]'
        await self.page.wait_for_selector(ready)

    async def go(self, name: str) -> None:
        await self.page.get_by_role("link", name=re.compile(f"^{name}")).first.click()
        await self.page.get_by_role("heading", name=name, exact=True).wait_for()
        await self.settled()

    async def view(self, name: str) -> None:
        if not await self.page.get_by_role("heading", name="Select", exact=True).count():
            await self.go("Select")
        await self.page.get_by_text(name, exact=True).first.click()
        await self.settled()

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    async def pin(self) -> None:
        await self.view("Rows")
        table = self.page.get_by_test_id("stDataFrame").first
        await table.scroll_into_view_if_needed()
        box = await table.bounding_box()
        assert box is not None
        line = self.random.randrange(5)
        await self.page.mouse.click(box["x"] + 20, box["y"] + 52 + 35 * line)
        names = [self.button(name) for name in ("Pin", "Exclude", "Take back")]
        await self.button("Close").first.wait_for()
        there = [one.first for one in names if await one.count()]
        assert there  # else the page was just being drawn anew
        await self.random.choice(there).click()
        await self.settled()

    async def save(self) -> None:
        """Under a name of its own, which must never be lost."""
        name = f"{self.name} {len(self.saved) + sum(self.given_up.values())}"
        if await self._save(name):
            self.saved.append(name)

    async def save_shared(self) -> None:
        await self._save(self.random.choice(NAMES))

    async def _save(self, name: str) -> bool:
        await self.view("Saved")
        await self.button("Save this selection").click()
        dialog = self.page.get_by_role("dialog")
        await dialog.get_by_role("textbox", name="Name").fill(name)
        await self.page.keyboard.press("Enter")
        await self.settled()
        replace = dialog.get_by_text("Replace “")
        if await replace.count() and self.random.random() < 0.5:
            await replace.click()
            await self.settled()
        await dialog.get_by_role("button", name="Save", exact=True).click()
        saved = self.page.get_by_text(f"Saved “{name}”").first
        taken = dialog.get_by_text("there is a selection").first
        await expect(saved.or_(taken).first).to_be_visible()
        if await taken.count():
            await self.page.keyboard.press("Escape")
            self.done["told that the name is taken"] += 1
            return False
        return True

    async def change_saved(self) -> None:
        await self.view("Saved")
        what = self.random.choice(["Make current", "Duplicate", "Edit", "Delete", "Delete"])
        found = self.button(what)
        await found.first.wait_for()
        await found.nth(self.random.randrange(await found.count())).click()
        if what in ("Edit", "Delete"):
            dialog = self.page.get_by_role("dialog")
            if what == "Edit":
                name = f"{self.random.choice(NAMES)} {self.random.randrange(3)}"
                await dialog.get_by_role("textbox", name="Name").fill(name)
                await self.page.keyboard.press("Enter")
                await self.settled()
            confirm = "Save" if what == "Edit" else "Delete"
            await dialog.get_by_role("button", name=confirm, exact=True).click()
            await self.settled()
            await self.page.keyboard.press("Escape")  # where it said why not
        await self.settled()
        self.done[what] += 1

    async def rename_project(self) -> None:
        await self.button("Manage").click()
        await self.page.get_by_text("Rename", exact=True).click()
        dialog = self.page.get_by_role("dialog")
        await dialog.get_by_role("textbox").fill(f"by {self.name} {self.random.randrange(100)}")
        await self.page.keyboard.press("Enter")
        await self.settled()
        await dialog.get_by_role("button", name="Rename").click()
        await dialog.wait_for(state="detached")

    async def export(self) -> None:
        await self.go("Export")
        name = self.page.get_by_role("textbox", name="File name")
        await name.fill(f"{self.name}-{self.random.randrange(10_000)}.json")
        await self.page.keyboard.press("Enter")
        await self.settled()
        await self.page.get_by_role("button", name=re.compile("^Export [0-9]")).click()
        await self.settled()

    async def load(self) -> None:
        lines = [f'{{"instruction": "{self.random.random()}?", "output": "No."}}' for _ in range(3)]
        self.pool.write_text("\n".join(lines))
        await self.go("Pool")
        await self.page.get_by_text("Load more files").click()
        await self.page.locator('input[type="file"]').set_input_files(self.pool)
        await self.page.get_by_role("button", name=re.compile("^Import 1 file")).click()
        await self.settled()
