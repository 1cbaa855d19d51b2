"""The route table: every route there is, who may use it, and how a path finds its route."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import unquote

from windlass.api.message import JSON, PERMISSIONS, Answer, Permission, Request, Stream
from windlass.api.query import Query

Method = Literal["GET", "POST", "PUT", "DELETE"]
Handler = Callable[[Any, Request], Awaitable[Answer | Stream]]

MIB: Final = 1024 * 1024
_SEGMENT: Final = re.compile(r"\{[a-z_]+\}|[A-Za-z0-9_.-]+")


def closed(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    """Return the JSON Schema of an object with these properties, some of them required, and no others."""
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, **needed, "additionalProperties": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a route takes as body."""

    #: JSON Schema of a JSON body.
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})
    media: tuple[str, ...] = (JSON,)
    #: Most bytes of it.
    limit: int = MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method on one path. It cannot be declared without a permission."""

    method: Method
    #: From the root, with `{names}` for variable segments, such as `/api/v1/runs/{run}`.
    path: str
    permission: Permission
    handler: Handler
    #: One sentence for the API description.
    summary: str
    query: tuple[Query, ...] = ()
    body: Body | None = None
    #: Media type of a good answer.
    answers: str = JSON
    #: Whether it may change a store that goes on in another database.
    when_moved: bool = False
    #: Whether it changes what people look after, so that the audit notes who asked; not where it only looks or checks.
    #: What workers ask is their work, and noted by events.
    changes: bool | None = None

    @property
    def needs_store_here(self) -> bool:
        """Say whether it is refused where the store goes on elsewhere; workers that are left end with their server."""
        return self.method != "GET" and self.permission not in {"open", "work"} and not self.when_moved

    def __post_init__(self) -> None:
        """Check the declaration. Raises ValueError where it is wrong."""
        if self.permission not in PERMISSIONS:
            raise ValueError(f"{self.method} {self.path}: there is no permission {self.permission!r}")
        if not self.path.startswith("/") or not all(map(_SEGMENT.fullmatch, _segments(self.path))):
            raise ValueError(f"{self.method} {self.path}: the path is wrong")
        names = [query.name for query in self.query]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.method} {self.path}: a query parameter is declared twice")
        if self.method == "GET" and self.changes:
            raise ValueError(f"{self.method} {self.path}: GET changes nothing")
        if self.method != "GET" and self.permission != "work" and self.changes is None:
            raise ValueError(f"{self.method} {self.path}: it must say whether it changes anything")
        if self.method == "GET" and self.body is not None:
            raise ValueError(f"{self.method} {self.path}: GET takes no body")


@dataclass(frozen=True, slots=True)
class Found:
    """What a path leads to."""

    route: Route
    params: Mapping[str, str]

    @property
    def limit(self) -> int:
        """Most bytes that the body may have."""
        return 0 if self.route.body is None else self.route.body.limit


class RouteTable:
    """All routes. A fixed segment wins over a variable one, so that `jobs/health` is no job."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """Take all routes. Raises ValueError where two are the same."""
        self.routes = tuple(routes)
        self._root = _Node()
        for route in self.routes:
            node = self._root
            for segment in _segments(route.path):
                key = "{}" if segment.startswith("{") else segment
                node = node.children.setdefault(key, _Node())
            if route.method in node.routes:
                raise ValueError(f"{route.method} {route.path} is declared twice")
            node.routes[route.method] = route

    def __iter__(self) -> Iterator[Route]:
        """Yield the routes in the order of their declaration."""
        return iter(self.routes)

    def find(self, method: str, path: str) -> Found | tuple[str, ...]:
        """Return the route of a percent-encoded path, or the methods that the path takes: none where it is unknown.

        Segments are compared as they stand: an empty, dotted or doubly encoded segment matches no fixed one.
        """
        segments = _decoded(path)
        if segments is None:
            return ()
        nodes = list(_walk(self._root, segments, 0))
        for node in nodes:
            route = node.routes.get(method)
            if route is not None:
                pairs = zip(_segments(route.path), segments, strict=True)
                return Found(route, {name[1:-1]: value for name, value in pairs if name.startswith("{")})
        return tuple(sorted({name for node in nodes for name in node.routes}))


class _Node:
    __slots__ = ("children", "routes")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.routes: dict[str, Route] = {}


def _walk(node: _Node, segments: Sequence[str], at: int) -> Iterator[_Node]:
    """Yield the nodes that `segments` lead to, fixed segments first."""
    if at == len(segments):
        yield node
        return
    for key in (segments[at], "{}"):
        child = node.children.get(key) if key != "{}" or segments[at] else None
        if child is not None:
            yield from _walk(child, segments, at + 1)
            if key == "{}":
                return


def _segments(path: str) -> list[str]:
    return path.split("/")[1:]


def _decoded(path: str) -> list[str] | None:
    """Return the decoded segments of a path; None where it cannot be one of ours."""
    if not path.startswith("/"):
        return None
    try:
        segments = [unquote(segment, errors="strict") for segment in _segments(path)]
    except UnicodeDecodeError:
        return None
    return None if any(segment in {"", ".", ".."} or "\0" in segment for segment in segments) else segments
