"""What errors of PostgreSQL and of the way to it mean for the units of work that met them."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from asyncpg import ClientConfigurationError, InterfaceError, InternalClientError, PostgresError
from asyncpg import TargetServerAttributeNotMatched as NoneFits

from windlass.errors import Unavailable, UserError
from windlass.model.texts import NO_NUL
from windlass.store.transaction import is_trouble

#: A lock that others held too long.
LOCKED: Final = "55P03"
#: What passes when it is tried again: deadlock, serialization, a lock, too many connections, a server
#: that ends or begins.
_PASSING: Final = frozenset({"40001", "40P01", LOCKED, "53300", "57P01", "57P02", "57P03", "57P05"})
_LOST: Final = "08"
#: A text that is none there: of what is UTF-8 that is U+0000 alone.
_NO_TEXT: Final = "22021"
#: How the codes begin of values and rows that the database does not take.
REFUSED: Final = ("22", "23")
#: A way that must be told apart from a server that is away: nothing is gained by waiting.
_REFUSED: Final = {
    "28": "refuses this user",
    "3D": "is not there: make it with `createdb`",
}
#: A right that is missing: on what, as the server names it in English.
_DENIED: Final = re.compile(r"permission denied for (?P<kind>schema|table|sequence|function|view) (?P<name>.+)")
_NO_OWNER: Final = re.compile(r"must be owner of (?P<kind>\w+) (?P<name>.+)")
_GRANTS: Final = {
    "schema": "USAGE, CREATE ON SCHEMA",
    "table": "SELECT, INSERT, UPDATE, DELETE ON",
    "sequence": "USAGE ON SEQUENCE",
    "function": "EXECUTE ON FUNCTION",
    "view": "SELECT ON",
}
_NOT_ALLOWED: Final = "42501"
#: A write where none are taken.
READ_ONLY: Final = "25006"
#: What to say of these, with what the server says and what helps.
_SAID: Final = {
    "53100": "The disk of the store is full: nothing was changed; free some space and try again.",
    LOCKED: "Others held for too long what this needed: nothing was changed; look in pg_stat_activity for a "
    "transaction that stays open, and try again.",
    # Of the server, or of a user or database that has a limit of its own.
    "53300": "The database {shown} has no connection left for this process ({text}): raise its max_connections, or put "
    "PgBouncer in front.",
    _NOT_ALLOWED: "The database {shown} does not let this user do what Windlass needs: {text}{remedy}.",
    READ_ONLY: "The database {shown} takes no writes now ({text}): nothing was changed; it is a replica, or "
    "default_transaction_read_only is on.",
}


def sqlstate(error: BaseException) -> str | None:
    """Return the code by which PostgreSQL names an error; None where it is not the server's."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return state if isinstance(state, str) else None


def _cause(error: BaseException) -> BaseException:
    """Return what the driver itself said: SQLAlchemy puts errors of its own around it, some of them twice."""
    cause: BaseException = getattr(error, "orig", error)
    wrapped = not isinstance(cause, OSError | PostgresError | InterfaceError | InternalClientError)
    return cause.__cause__ if wrapped and cause.__cause__ is not None else cause


def is_lost(error: BaseException) -> bool:
    """Say whether an error of the driver means that the connection is gone."""
    cause = _cause(error)
    state = sqlstate(error)
    if state is not None:
        return state.startswith((_LOST, "57P")) or is_stale(error)
    if isinstance(cause, ClientConfigurationError):
        return False
    return isinstance(cause, InterfaceError | InternalClientError | OSError | asyncio.TimeoutError)


def passes(error: BaseException) -> bool:
    """Say whether the same work may well succeed when it is tried again."""
    return is_lost(error) or is_stale(error) or sqlstate(error) in _PASSING


def is_drivers(error: BaseException) -> bool:
    """Say whether an error came from the database or the way to it, not from the unit itself."""
    return is_trouble(error) or isinstance(error, asyncio.TimeoutError) or is_stale(error)


def is_stale(error: BaseException) -> bool:
    """Say whether a statement was prepared for tables that have changed since."""
    return sqlstate(error) == "0A000" and "cached plan" in str(error)


def judged(error: Exception, shown: str) -> Exception:
    """Return what to say of an error that a unit of work met by what it was asked to do in the database at `shown`."""
    state = sqlstate(error)
    if state == _NO_TEXT:
        return UserError(NO_NUL)
    return refusal(error, shown) if state == _NOT_ALLOWED else error


def refusal(error: BaseException, shown: str) -> Unavailable:
    """Return what to say of work that the database at `shown` did not do; nothing of it was kept."""
    cause = _cause(error)
    state = sqlstate(error) or ""
    text = _text(cause)
    for prefix, words in _REFUSED.items():
        if state.startswith(prefix):
            return Unavailable(f"The database {shown} {words} ({text}).")
    if state in _SAID:
        return Unavailable(_SAID[state].format(shown=shown, text=text, remedy=_remedy(text, shown)))
    if isinstance(cause, NoneFits):
        text = "none of its servers is one that `target_session_attrs` asks for, such as one that takes writes"
    if is_lost(error):
        return Unavailable(f"The database {shown} cannot be reached: {text}.")
    return Unavailable(f"The store did not answer: {text}.")


def _remedy(text: str, shown: str) -> str:
    """Return what gives a right that is missing, where the server's sentence says which one."""
    user = shown.partition("://")[2].rpartition("@")[0]
    role = f'"{user}"' if user and not re.fullmatch(r"[a-z_][a-z0-9_]*", user) else user or "that role"
    denied = _DENIED.fullmatch(text)
    if denied is not None:
        return f": `GRANT {_GRANTS[denied['kind']]} {denied['name']} TO {role}` lets it"
    return f": do it as its owner, or `GRANT` that role `TO {role}`" if _NO_OWNER.fullmatch(text) else ""


def _text(cause: BaseException) -> str:
    """Return the first line of an error's text, without its end mark."""
    if isinstance(cause, PostgresError):
        text = str(cause)
    elif isinstance(cause, OSError) and cause.strerror:
        text = cause.strerror
    else:
        text = str(cause) or "it did not answer in time"
    return text.splitlines()[0].rstrip(".")
