"""Problem documents back to the errors they were made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from windlass.errors import (
    Conflict,
    InvalidDocument,
    LimitExceeded,
    NoRoom,
    NotFound,
    Refused,
    Unavailable,
    Unexpected,
    UserError,
    WindlassError,
)
from windlass.model.finding import Finding, Level, Position

_PREFIX: Final = "urn:windlass:problem:"
_SERVER_ERROR: Final = 500
#: What a status means where the type of the problem is not one of ours.
_BY_STATUS: Final[Mapping[int, type[WindlassError]]] = {
    401: Refused,
    403: Refused,
    404: NotFound,
    409: Conflict,
    500: Unexpected,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: NoRoom,
}


def error_of(status: int, document: Mapping[str, Any]) -> WindlassError:
    """Return the error that a problem document tells of."""
    detail = str(document.get("detail") or document.get("title") or f"The server answered with status {status}.")
    name = str(document.get("type", "")).removeprefix(_PREFIX).replace("-", "")
    if name == "invaliddocument":
        return InvalidDocument([_finding(one) for one in document.get("findings", ())])
    if name == "limitexceeded":
        return LimitExceeded(str(document["what"]), int(document["actual"]), int(document["limit"]))
    for kind in _tree(WindlassError):
        if kind.__name__.lower() == name:
            return kind(detail)
    return _BY_STATUS.get(status, Unexpected if status >= _SERVER_ERROR else UserError)(detail)


def _tree(kind: type[WindlassError]) -> Iterator[type[WindlassError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)


def _finding(one: Mapping[str, Any]) -> Finding:
    place = Position(one["file"], one["line"], one["column"]) if "file" in one else None
    level: Level = "warning" if one.get("level") == "warning" else "error"
    return Finding(level, str(one["message"]), place, tuple(one.get("path", ())))
