"""Several people at one server without a browser: each window is a session of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[1]


@dataclass
class Windows:
    """Opens windows and runs them one at a time; AppTest gives all the same session id."""

    monkeypatch: pytest.MonkeyPatch
    current: str = ""
    opened: list[Window] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.monkeypatch.setattr("studio.shell.person.session_id", lambda: self.current)

    def open(self, page: str = "pool", email: str | None = None, **query: str) -> Window:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        app.query_params.update(query)
        if email is not None:
            app.secrets["auth"] = {"client_id": "deita"}
            app.user = {"is_logged_in": True, "email": email, "name": email.partition("@")[0]}
        window = Window(self, app, f"window {len(self.opened) + 1}")
        self.opened.append(window)
        app.switch_page(f"pages/{page}.py")
        return window.run()


@dataclass
class Window:
    """One session; everything goes through `run`, which looks that no page broke."""

    windows: Windows
    app: AppTest
    name: str

    def run(self) -> Window:
        self.windows.current = self.name
        self.app.run()
        assert not self.app.exception, self.app.exception
        return self

    def click(self, *labels: str) -> Window:
        """Click, and within a dialog click first what opened it: AppTest runs whole pages only."""
        for label in labels:
            self.button(label).click()
        return self.run()

    def button(self, label: str) -> Any:
        return next(b for b in self.app.button if b.label == label)

    def labels(self) -> set[str]:
        return {b.label for b in self.app.button}

    def said(self) -> str:
        app = self.app
        kinds = (app.title, app.markdown, app.caption, app.info, app.warning, app.error, app.toast)
        text = "\n".join(str(e.value) for kind in kinds for e in kind)
        return text.replace("\\", "").replace("\u2060", "")  # what `escape` puts in
