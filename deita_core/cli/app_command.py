"""`deita app`: the app in a browser, from any folder."""

from __future__ import annotations

import runpy
import shutil
import sys
import tempfile
from pathlib import Path

from deita_core.cli.options import value
from deita_core.errors import PathError

_ROOT = Path(__file__).resolve().parents[2]


def open_app(port: int = value(8501, "N", "where it is served on this machine")) -> None:
    """Open the app in a browser; its projects are those of the current folder."""
    installed, script = _ROOT / "studio" / "_app", _ROOT / "app.py"
    with tempfile.TemporaryDirectory(prefix="deita-app-") as folder:
        if installed.is_dir():
            script = _copy(installed, Path(folder)) / "app.py"
        if not script.is_file():
            raise PathError(f"there is no app at {script}: install deita-studio again")
        sys.argv = ["streamlit", "run", str(script), f"--server.port={port}"]
        runpy.run_module("streamlit", run_name="__main__", alter_sys=True)


def _copy(app: Path, folder: Path) -> Path:
    """The app's script, pages and settings in a folder that can be written to.

    The app puts the map's Plotly beside its script, from where Streamlit serves it; the folder of
    installed packages may be read-only.
    """
    for file in (path for path in app.rglob("*") if path.is_file()):
        place = folder / file.relative_to(app)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    (folder / "static").mkdir()
    return folder
