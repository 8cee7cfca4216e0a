"""What `deita app` serves: the app of app.py, for those who ask under its own name only."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from studio.shell.origin import OwnPagesOnly

app = st.App(
    Path(__file__).with_name("app.py"),
    middleware=[
        Middleware(
            TrustedHostMiddleware,
            allowed_hosts=st.get_option("server.allowedHosts") or ["*"],
            www_redirect=False,
        ),
        Middleware(OwnPagesOnly, allowed=st.get_option("server.corsAllowedOrigins")),
    ],
)
