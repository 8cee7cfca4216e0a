"""A server and a real Chromium, for the browser tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
# Software drawing, and no attempt of the browser to reach the network by itself.
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    # The page is painted on the processor: through the software GL it takes several times as long.
    "--disable-gpu-rasterization",
]


MAP_READY = '[data-testid="deita-map"][data-ready="1"]'


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(
    *program: str, port: str, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A program that serves an app, run in `folder` and stopped at the end; yields its address.

    port: its option for the port. environment: variables to set beside those of the tests.
    """
    started = [*program, port, str(free_port())]
    with _started(started, folder, environment or {}) as (_, address):
        yield address


@contextmanager
def app_on(folder: Path, address: str = "") -> Iterator[tuple[psutil.Popen, str]]:
    """The app on the projects of `folder`, at a free address or the given one, ended at the end.

    Yields its process, to be killed, and its address.
    """
    port = address.rpartition(":")[2] or str(free_port())
    own = {"DEITA_PROJECTS_DIR": str(folder)}
    app = ["deita_core", "app", "--port", port]
    with _started(app, folder, own, output=subprocess.DEVNULL) as started:
        yield started


@contextmanager
def _started(
    program: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    output: int | None = None,
) -> Iterator[tuple[psutil.Popen, str]]:
    """A program whose last word is its port, once it answers; and its address."""
    server = psutil.Popen(
        [sys.executable, "-m", *program],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "STREAMLIT_SERVER_HEADLESS": "true",
            **environment,
        },
        stdout=output,
        stderr=output,
    )
    address = f"http://127.0.0.1:{program[-1]}"
    try:
        wait_until_it_answers(f"{address}/_stcore/health")
        yield server, address
    finally:
        if server.is_running():
            server.terminate()
        try:
            server.wait(30)
        except psutil.TimeoutExpired:
            server.kill()
            server.wait()


def settled(page: Any) -> None:
    """Wait until the page has stopped running."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_function("!document.querySelector('.stSkeleton')")


def wait_until_it_answers(url: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"no answer from {url} within 60 s")


@contextmanager
def browser(chromium: str) -> Iterator[Any]:
    """A headless Chromium driven by Playwright, which a thread can start only once."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play, launched(play.chromium, chromium) as running:
        yield running


@contextmanager
def launched(browser_type: Any, chromium: str, *flags: str) -> Iterator[Any]:
    """A Chromium by Playwright's `browser_type`, which every running browser knows."""
    running = browser_type.launch(executable_path=chromium, args=[*FLAGS, *flags])
    try:
        yield running
    finally:
        running.close()
