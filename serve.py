"""What `deita app` serves: the app of app.py, under its own name and to its own pages only.

Streamlit holds the name in the address (server.allowedHosts) against its WebSocket alone, lets
pages of any other server on this machine connect, and to tell whether a strange origin might be
this machine it asks a server on the net for its address. Here the answer is no without asking.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class OwnPagesOnly:
    """Middleware: a request or WebSocket that names an origin must name ours.

    allowed: origins beside our own, as "https://app.example.com": for a proxy that changes Host.
    """

    def __init__(self, app: ASGIApp, allowed: Iterable[str] = ()) -> None:
        self._app = app
        self._allowed = {origin.strip().rstrip("/") for origin in allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with status 403, or hands the request on."""
        app: ASGIApp = self._app
        if scope["type"] in ("http", "websocket") and not self._is_ours(Headers(scope=scope)):
            app = PlainTextResponse("This page may not ask this server", status_code=403)
        await app(scope, receive, send)

    def _is_ours(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None or origin in self._allowed:
            return True
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


class FirstPageAtItsAddress:
    """Middleware: `/pool`, typed by hand, leads to the Pool page, whose address is `/`.

    base: the path under which the app is served, "" for none.
    """

    def __init__(self, app: ASGIApp, base: str = "") -> None:
        self._app = app
        self._base = f"/{base.strip('/')}".rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with a redirect that keeps what is asked for, or hands the request on."""
        app: ASGIApp = self._app
        if scope["type"] == "http" and scope["path"].rstrip("/") == f"{self._base}/pool":
            asked = scope["query_string"].decode("latin-1")
            app = RedirectResponse(f"{self._base}/{'?' if asked else ''}{asked}", status_code=307)
        await app(scope, receive, send)


app = st.App(
    Path(__file__).with_name("app.py"),
    middleware=[
        Middleware(
            TrustedHostMiddleware,
            allowed_hosts=st.get_option("server.allowedHosts") or ["*"],
            www_redirect=False,
        ),
        Middleware(OwnPagesOnly, allowed=st.get_option("server.corsAllowedOrigins")),
        Middleware(FirstPageAtItsAddress, base=str(st.get_option("server.baseUrlPath") or "")),
    ],
)
