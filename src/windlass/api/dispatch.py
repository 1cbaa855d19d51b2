"""From a request to its answer: route, permission, query and body are checked here and nowhere else."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

import orjson

from windlass.api.body import check_body
from windlass.api.message import JSON, Answer, Principal, Request, Stream, read_object
from windlass.api.problem import problem, problem_of, unexpected
from windlass.api.query import read_query
from windlass.api.table import Found, Route, RouteTable
from windlass.errors import Conflict, LimitExceeded, Unavailable, WindlassError
from windlass.store.actor import ACTOR, Actor
from windlass.supervisor.contract import SHORTAGES

log: Final = logging.getLogger("windlass.api")


async def dispatch(table: RouteTable, engine: Any, request: Request) -> Answer | Stream:
    """Return the answer to a request; every error becomes a problem document."""
    found = admit(table, request, has_body=bool(request.body))
    if isinstance(found, Answer):
        return found
    if len(request.body) > found.limit:
        return too_large(len(request.body), found.limit)
    return await respond(engine, found, request)


def admit(table: RouteTable, request: Request, *, has_body: bool) -> Found | Answer:
    """Return where a request leads to, or why it may not go there; its body is not looked at yet."""
    found = table.find(request.method, request.path)
    if not isinstance(found, Found):
        return _no_route(found, request)
    route = found.route
    if not may_use(route, request.principal):
        return problem(403, f"{request.principal.name} may not do this; it needs the permission to {route.permission}.")
    media = media_type(request.headers.get("content-type", JSON))
    if has_body and (route.body is None or media not in route.body.media):
        taken = ", ".join(route.body.media) if route.body else "no body"
        return problem(415, f"{request.method} {request.path} takes {taken}, not {media or 'a body without a type'}.")
    return found


async def respond(engine: Any, found: Found, request: Request) -> Answer | Stream:
    """Let the handler of an admitted request answer it."""
    route = found.route
    asking = ACTOR.set(_actor(request) if route.changes else None)
    try:
        _require_here(route, engine)
        query = read_query(route.query, request.query_string)
        data: dict[str, Any] = {}
        if route.body is not None and media_type(request.headers.get("content-type", JSON)) == JSON:
            data = read_object(request.body)
            check_body(route.body.schema, data)
        return await route.handler(engine, replace(request, params=found.params, query=query, data=data))
    except WindlassError as error:
        return problem_of(error)
    except Exception as error:
        missing = _missing(error)
        if missing is not None:
            log.error("%s %s: %s", route.method, route.path, error)  # noqa: TRY400 - nothing of ours is wrong
            return problem_of(Unavailable(f"This machine cannot do it now ({missing}); try again in a moment."))
        error_id = uuid4().hex
        log.exception("error %s in %s %s", error_id, route.method, route.path)
        return unexpected(error_id)
    finally:
        ACTOR.reset(asking)


def _actor(request: Request) -> Actor:
    """Return who asks, as the audit names them."""
    principal = request.principal
    return Actor(principal.name, "local" if principal.local else "user", None, uuid4().hex)


def _require_here(route: Route, engine: Any) -> None:
    """Raise Conflict where a route would change a store that goes on in another database."""
    if route.needs_store_here and engine.store.moved is not None:
        raise Conflict(engine.store.moved)


def _missing(error: Exception) -> str | None:
    """Return what the machine has none left of, where that is what an error says; None where it says something else."""
    if isinstance(error, OSError) and error.errno in SHORTAGES:
        return str(error.strerror)
    no_thread = isinstance(error, RuntimeError) and "start new thread" in str(error)
    return "no further thread" if no_thread else None


def may_use(route: Route, principal: Principal) -> bool:
    """Say whether a caller may use a route."""
    return route.permission in principal.permissions


def too_large(size: int, limit: int) -> Answer:
    """Return the refusal of a body that is larger than its route takes."""
    answer = problem_of(LimitExceeded("bytes of the body", size, limit))
    return replace(answer, status=413, body=answer.body | {"status": 413, "title": "Content Too Large"})


def encoded(answer: Answer) -> bytes:
    """Return the body of an answer as it is sent."""
    if answer.body is None:
        return b""
    return answer.body if isinstance(answer.body, bytes) else orjson.dumps(answer.body)


def media_type(header: str) -> str:
    """Return the media type of a Content-Type header without its parameters."""
    return header.partition(";")[0].strip().lower()


def _no_route(methods: tuple[str, ...], request: Request) -> Answer:
    shown = request.path[:200]
    if not methods:
        return problem(404, f"There is no route {shown}.")
    answer = problem(405, f"{shown} does not take {request.method}; it takes {', '.join(methods)}.")
    return replace(answer, headers={"allow": ", ".join(methods)})
