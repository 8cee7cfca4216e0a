"""Who acts, and what they may do: persons, roles, and the file that gives roles at a login.

The core asks, not the page: whatever writes calls `require` with the least role that it takes.
Who acts is found at that moment, by `acting_as` where work is done on somebody's behalf (a job),
otherwise by the resolver that a program sets. Without one there is one local user, who may do all.
"""

from __future__ import annotations

import getpass
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deita_core.errors import PermissionDeniedError, RolesError

# From the least to the most: each may do what those before it may.
Role = Literal["viewer", "reviewer", "curator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
MAY: Mapping[Role, str] = {
    "viewer": "look at everything",
    "reviewer": "review, tag, pin and exclude rows, with notes; save views",
    "curator": "import, run jobs, save selections, export",
    "admin": "make, rename and delete projects, put files into the data folder",
}


class Person(BaseModel):
    """Somebody who acts. email: empty for the local user, who did not log in. session: tells two
    windows of one person apart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    email: str = ""
    role: Role = "admin"
    session: str = ""

    def may(self, needs: Role) -> bool:
        """Is the role enough for what takes `needs`?"""
        return ROLES.index(self.role) >= ROLES.index(needs)

    @property
    def label(self) -> str:
        """ "Ada <ada@example.org>", or the name of the local user."""
        return f"{self.name} <{self.email}>" if self.email not in ("", self.name) else self.name


def local_person() -> Person:
    """The user of this machine, as without login."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container without that user
        name = "local user"
    return Person(name=name, session=f"process {os.getpid()}")


Resolver = Callable[[], Person | None]
_resolver: Resolver = local_person
_acting: ContextVar[Person | None] = ContextVar("acting", default=None)


def set_resolver(resolver: Resolver) -> None:
    """Let a program say who acts; its answer None means that nobody is logged in."""
    global _resolver
    _resolver = resolver


@contextmanager
def acting_as(person: Person) -> Iterator[None]:
    """Within the block, in this thread, this person acts."""
    token = _acting.set(person)
    try:
        yield
    finally:
        _acting.reset(token)


def current_person() -> Person | None:
    """Who acts now; None when login is on and nobody is logged in."""
    return _acting.get() or _resolver()


def may(needs: Role) -> bool:
    """May who acts now do what takes this role?"""
    person = current_person()
    return person is not None and person.may(needs)


def author(given: str) -> str:
    """Whose name stands at what is saved now: of who logged in, otherwise the given one."""
    person = current_person()
    return person.name if person is not None and person.email else given


def reviewer(given: str = "") -> str:
    """Under which name decisions count: the label of who logged in, else the given name.

    Without both it is the local user. Two people of one name at a login are told apart.
    """
    person = current_person()
    if person is not None and (person.email or not given):
        return person.label
    return given


def require(needs: Role, action: str) -> Person:
    """Who acts, when their role is enough; else PermissionDeniedError.

    action: what they are about to do, as in "you cannot ...".
    """
    person = current_person()
    if person is None:
        raise PermissionDeniedError(f"nobody is logged in, so you cannot {action}: log in first")
    if not person.may(needs):
        raise PermissionDeniedError(
            f"{person.label} is a {person.role} and cannot {action}: that takes the role "
            f"{needs}; ask {_whom_to_ask()}"
        )
    return person


class RoleBook(BaseModel):
    """The file of roles.

    people: role by e-mail address. groups: role by the name of a group. group_claim: the claim of
    the login that lists groups. default: of those who are named in neither, None refuses them.
    contact: whom to ask for another role.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    people: Mapping[str, Role] = Field(default_factory=dict)
    groups: Mapping[str, Role] = Field(default_factory=dict)
    group_claim: str = "groups"
    default: Role | None = None
    contact: str = "an admin of this server"

    def role_of(self, email: str, groups: Sequence[str]) -> Role | None:
        """Their own, or else the highest of their groups, or else the default."""
        named = {name.casefold(): role for name, role in self.people.items()}
        if email and email.casefold() in named:
            return named[email.casefold()]
        given = [self.groups[group] for group in groups if group in self.groups]
        return max(given, key=ROLES.index) if given else self.default

    def person(self, claims: Mapping[str, Any], session: str = "") -> Person | None:
        """Who logged in with these claims; None when they have no role here."""
        # An address that nobody has verified proves nothing.
        email = "" if claims.get("email_verified") is False else str(claims.get("email") or "")
        groups = claims.get(self.group_claim) or ()
        named = [groups] if isinstance(groups, str) else [str(group) for group in groups]
        role = self.role_of(email, named)
        if role is None:
            return None
        identity = email or str(claims.get("sub") or "")
        name = " ".join(str(claims.get("name") or identity).split())[:100]
        return Person(name=name, email=identity, role=role, session=session)


def roles_file() -> Path:
    """DEITA_ROLES, or .streamlit/roles.toml in the current folder."""
    return Path(os.environ.get("DEITA_ROLES", ".streamlit/roles.toml")).expanduser().resolve()


def role_book() -> RoleBook:
    """The roles as the file has them now; RolesError when it is missing or cannot be read."""
    path = roles_file()
    try:
        facts = path.stat()
        return _read(path, facts.st_mtime_ns, facts.st_size)
    except OSError as error:
        raise RolesError(
            f"there is no file of roles at {path}: write one, or name it in DEITA_ROLES"
        ) from error


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int) -> RoleBook:
    try:
        return RoleBook.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RolesError(f"{path} is not TOML: {error}; mend it") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        raise RolesError(
            f"{path}: {place}: {wrong['input']!r} is not possible: roles are {', '.join(ROLES)}"
        ) from error


def _whom_to_ask() -> str:
    try:
        return role_book().contact
    except RolesError:
        return RoleBook().contact
