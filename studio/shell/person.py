"""Who uses this session: the login where the server has one, and what a role leaves closed.

With a group `[auth]` in secrets.toml everybody logs in (OpenID Connect, by `st.login`), and the
file of roles says what they may do. Without it there is one local user, as on one's own machine.
The core asks the resolver at each write, so that a callback or a fragment, which run without
app.py, cannot pass it by.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec
from urllib.parse import unquote

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError
from streamlit.runtime.scriptrunner import get_script_run_ctx

from deita_core.errors import DeitaError, RolesError
from deita_core.people import Person, Role, current_person, local_person, role_book, set_resolver
from studio.shell import state
from studio.shell.text import escape

Given = ParamSpec("Given")


def login_is_on() -> bool:
    """Does this server have people log in? A file of secrets that cannot be read lets nobody in."""
    try:
        return "auth" in st.secrets
    except StreamlitSecretNotFoundError:
        return any(Path(file).exists() for file in st.get_option("secrets.files"))


def session_id() -> str:
    """Tells the windows of one person apart, also in the log; empty outside of a session."""
    context = get_script_run_ctx(suppress_warning=True)
    return "" if context is None else context.session_id[:8]


def _claims() -> dict[str, object] | None:
    """What the login says of who uses this session; None before they logged in."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return None
    claims = dict(st.user.to_dict())
    return claims if claims.get("is_logged_in") else None


def _who() -> Person | None:
    if not login_is_on():
        return local_person().model_copy(update={"session": session_id()})
    claims = _claims()
    try:
        return None if claims is None else role_book().person(claims, session_id())
    except RolesError:
        return None


set_resolver(_who)


def let_in() -> bool:
    """True for who may use the app; for others draw what they have to do first."""
    if current_person() is not None:
        return True
    st.title("Deita Studio")
    claims = _claims()
    if claims is None:
        _login_buttons()
        return False
    try:
        contact = role_book().contact
        name = str(claims.get("email") or claims.get("name") or claims.get("sub"))
        st.error(f"{escape(name)} has no role here. Ask {escape(contact)} for one.")
    except RolesError as error:
        st.error(escape(str(error)))
    st.button("Log out", on_click=st.logout, icon=":material/logout:")
    return False


def _login_buttons() -> None:
    st.markdown("Choose the conversations worth fine-tuning on. Log in to go on.")
    try:
        auth = st.secrets["auth"]
    except (StreamlitSecretNotFoundError, KeyError):
        st.error("The secrets of this server cannot be read: see what it says at its start.")
        return
    providers = [name for name, value in auth.items() if hasattr(value, "keys")]
    for provider in providers or [None]:
        label = f"Log in with {provider.capitalize()}" if provider else "Log in"
        st.button(
            escape(label),
            type="primary",
            icon=":material/login:",
            on_click=st.login,
            args=(provider,),
            key=f"login-{provider}",
        )


def who_and_logout() -> None:
    """Name, role and the way out, where people log in."""
    person = current_person()
    if person is None or not login_is_on():
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{escape(person.name)} · {person.role}", width="stretch")
        st.button("Log out", on_click=st.logout, icon=":material/logout:", type="tertiary")


def closed_to_role(needs: Role, what: str) -> bool:
    """True, and said, where the role of who looks at this is not enough for it."""
    person = current_person()
    if person is not None and person.may(needs):
        return False
    role = "none" if person is None else person.role
    st.caption(f":material/lock: {what} takes the role {needs}; yours is {role}.")
    return True


REVIEWER_COOKIE = "deita_reviewer"


def reviewer_name() -> str:
    """Under which name this session's decisions count; "" where nobody has said it yet.

    Of who logged in it is the login's. Otherwise what was typed in this session, or in this
    browser before: the card of the Review page leaves it in a cookie.
    """
    person = current_person()
    if person is not None and person.email:
        return person.label
    if known := st.session_state.get(state.AUTHOR):
        return str(known)
    kept = st.context.cookies.get(REVIEWER_COOKIE)
    return unquote(kept)[:100].strip() if isinstance(kept, str) else ""


def told(do: Callable[Given, None]) -> Callable[Given, None]:
    """A callback whose expected error is said by the next run instead of breaking the page."""

    @wraps(do)
    def run(*given: Given.args, **named: Given.kwargs) -> None:
        try:
            do(*given, **named)
        except DeitaError as error:
            st.session_state[state.PROBLEM] = str(error)

    return run
