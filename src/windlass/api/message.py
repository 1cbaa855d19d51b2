"""What a handler is given and what it gives back; nothing here knows of sockets or frameworks."""

from __future__ import annotations

import json
import os
import pwd
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from windlass.errors import UserError

#: What a caller may do. `open` needs no login at all; the others are what the roles viewer, operator, editor and
#: admin add to one another. `work` is what workers do, and nobody else.
Permission = Literal["open", "view", "operate", "edit", "administer", "work"]
PERMISSIONS: Final[tuple[Permission, ...]] = ("open", "view", "operate", "edit", "administer", "work")
JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
#: Escapes of NUL and of surrogates.
_SUSPECT: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what they may do."""

    name: str
    permissions: frozenset[Permission] = frozenset({"open"})
    #: True where the caller is a process of the store's own user on the same machine, whose paths are ours.
    local: bool = False
    #: Process at the other end of a local connection; None where that is not known.
    pid: int | None = None


def local_admin(name: str) -> Principal:
    """Return the owner of the store on their own machine, who may do everything."""
    return Principal(name, frozenset(PERMISSIONS), local=True)


def user_name() -> str:
    """Return the name of the user that this process belongs to; the number where there is no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; `params` and `query` are filled in and checked by the route table."""

    method: str
    #: The path as it came, still percent-encoded.
    path: str
    #: Everything behind the question mark, as it came.
    query_string: str = ""
    #: Header values by lower-case name.
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    principal: Principal
    #: Values of the path's `{names}`.
    params: Mapping[str, str] = field(default_factory=dict)
    #: Values of the declared query parameters that were given or have a default.
    query: Mapping[str, Any] = field(default_factory=dict)
    #: The body as JSON where its route takes that, checked against the route's schema.
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer."""

    status: int = 200
    #: Bytes as they are, or a value that becomes JSON; None where there is no body.
    body: Any = None
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """An answer whose body comes bit by bit; closing `chunks` early ends the work behind it."""

    chunks: AsyncIterator[bytes]
    status: int = 200
    media: str = EVENT_STREAM
    headers: Mapping[str, str] = field(default_factory=dict)


def read_object(body: bytes) -> dict[str, Any]:
    """Return a body as a JSON object; no body is an empty one.

    Raises UserError where it is anything else, or holds what no store can keep: NUL, halves of characters.
    """
    if not body.strip():
        return {}
    try:
        value = json.loads(body, parse_constant=_refuse, object_pairs_hook=_object)
        if _SUSPECT.search(body):
            _check_texts(value)
    except (ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else _first_line(error)
        raise UserError(f"The body is no valid JSON: {why}.") from None
    if not isinstance(value, dict):
        raise UserError("The body must be a JSON object.")
    return value


def _check_texts(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    text.encode()
    if "\\u0000" in text.replace("\\\\", ""):
        raise ValueError("a text holds NUL")


def _first_line(error: ValueError) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "a text holds half of a character (a lone surrogate)"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return str(error).splitlines()[0]


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        name, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {name[:80]!r} stands there twice")
    return found
