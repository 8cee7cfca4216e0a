"""The server answers under its own name and to its own pages only."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import pytest

from tests.browser import launched, served

HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "streamlit",
}


class NoRedirect(HTTPRedirectHandler):
    """Lets a redirect be seen."""

    def redirect_request(self, *_: Any) -> None:
        return None


def status(address: str, path: str, *, method: str = "GET", **headers: str) -> int:
    """The status of the answer to one raw request."""
    where = urlsplit(address)
    assert where.hostname is not None
    sent = {"Host": where.netloc, "Connection": "close"} | headers
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    with socket.create_connection((where.hostname, where.port or 80), timeout=10) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(line.recv(64).split()[1])


def stream(address: str, **headers: str) -> int:
    """The status of a WebSocket's handshake: 101 when it is let in."""
    return status(address, "/_stcore/stream", **(HANDSHAKE | headers))


def paths(address: str, app_folder: Path) -> Iterator[tuple[str, str]]:
    from studio.charts.map_chart import _plotly_name

    yield from (("GET", path) for path in ("/", "/select", "/_stcore/health"))
    yield from (("GET", f"/_stcore/{one}") for one in ("metrics", "host-config"))
    yield from (("GET", path) for path in (f"/app/static/{_plotly_name()}", "/favicon.png"))
    yield from (("GET", path) for path in ("/media/x.png", "/component/x", "/static/x.js"))
    yield "GET", "/_stcore/bidi-components/x/y.js"
    yield from ((method, "/_stcore/upload_file/a/b") for method in ("PUT", "DELETE", "OPTIONS"))


def test_its_own_names_are_answered(app_address: str) -> None:
    port = urlsplit(app_address).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "LocalHost", "localhost:9999"):
        assert status(app_address, "/_stcore/health", Host=host) == 200, host
        assert stream(app_address, Host=host, Origin=f"http://{host}") == 101, host
    assert stream(app_address) == 101, "a program sends no origin"


def test_the_first_page_typed_by_its_name_leads_to_its_address(app_address: str) -> None:
    with pytest.raises(HTTPError) as redirected:
        build_opener(NoRedirect).open(f"{app_address}/pool?project=a%20b&x=1", timeout=10)
    assert redirected.value.code == 307
    assert redirected.value.headers["Location"] == "/?project=a%20b&x=1"
    assert status(app_address, "/pool/x") == 200  # Streamlit's own answer


@pytest.mark.parametrize(
    "host",
    ["evil.example:8501", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example",
     "evil.example:8501@127.0.0.1", "", "xn--localhost-0ya", "[::ffff:127.0.0.1]"],
)  # fmt: skip
def test_nothing_is_answered_under_another_name(
    host: str, app_address: str, app_folder: Path
) -> None:
    for method, path in paths(app_address, app_folder):
        assert status(app_address, path, method=method, Host=host) == 400, path
    assert stream(app_address, Host=host, Origin=f"http://{host}") == 400
    assert stream(app_address, Host=host) == 400


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "file://", "http://localhost:1", "http://127.0.0.1",
     "http://127.0.0.1.evil.example", "http://localhost@evil.example"],
)  # fmt: skip
def test_nothing_is_answered_to_another_page(
    origin: str, app_address: str, app_folder: Path
) -> None:
    for method, path in paths(app_address, app_folder):
        assert status(app_address, path, method=method, Origin=origin) == 403, path
    assert stream(app_address, Origin=origin) == 403


@pytest.mark.browser
@pytest.mark.timeout(120)
def test_a_page_whose_name_leads_here_gets_nothing(
    running: Any, chromium: str, app_address: str
) -> None:
    port = urlsplit(app_address).port
    with launched(
        running.browser_type, chromium, "--host-resolver-rules=MAP evil.example 127.0.0.1"
    ) as misled:
        view = misled.new_page()
        answer = view.goto(f"http://evil.example:{port}/")
        assert answer is not None
        assert answer.status == 400
        assert "Invalid host header" in view.content()
        # A page of its own server, which turns to ours by either name.
        view.route("http://evil.example/", lambda route: route.fulfill(body="<p>evil"))
        view.goto("http://evil.example/")
        for host in (f"evil.example:{port}", f"127.0.0.1:{port}", f"localhost:{port}"):
            assert view.evaluate(TRIES, host) == ["no stream", "no answer"], host


TRIES = """(host) => Promise.all([
  new Promise((done) => {
    const stream = new WebSocket(`ws://${host}/_stcore/stream`, ["streamlit"]);
    stream.onopen = () => done("a stream");
    stream.onerror = () => done("no stream");
  }),
  fetch(`http://${host}/_stcore/host-config`).then(() => "an answer", () => "no answer"),
])"""


def test_the_name_of_a_server_and_of_its_proxy_can_be_added(tmp_path: Path) -> None:
    (tmp_path / "projects").mkdir()
    added = {
        "STREAMLIT_SERVER_ALLOWED_HOSTS": "127.0.0.1 deita.example.org",
        "STREAMLIT_SERVER_CORS_ALLOWED_ORIGINS": "https://proxy.example.org",
    }
    with served("deita_core", "app", port="--port", folder=tmp_path, environment=added) as address:
        assert stream(address, Host="deita.example.org", Origin="https://deita.example.org") == 101
        assert stream(address, Origin="https://proxy.example.org") == 101, "a proxy changed Host"
        assert stream(address, Origin="http://proxy.example.org") == 403
        assert stream(address, Host="localhost") == 400, "the list was replaced"
