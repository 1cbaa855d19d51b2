"""Events and output, as they come."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import orjson

from windlass.api.message import EVENT_STREAM, Answer, Request, Stream
from windlass.api.query import Query
from windlass.api.routes.runs import run_id_of
from windlass.api.routes.shared import LIST_PROJECT, PROJECT, ROOT, listed_project, page
from windlass.api.sse import Sent, Together, server_sent
from windlass.api.table import Body, Route, closed
from windlass.engine.engine import Engine
from windlass.engine.log_reading import Cursor, log_chunks
from windlass.engine.reading import find_run
from windlass.engine.sending import send_event
from windlass.engine.shapes import event_shape
from windlass.engine.watching import cursor_before_last, event_pages, events, given_cursor, newest_cursor
from windlass.errors import UserError
from windlass.model.event import Event
from windlass.model.event_types import EventTypes, read_event_types
from windlass.store import runs as stored
from windlass.store.event_cursor import BEGINNING

#: Attempts up to which the id of an event names how far each was read.
_MOST_IN_ID: Final = 64
#: Runs whose project and job a stream of events remembers.
_MOST_KNOWN: Final = 10_000
#: Project and job of runs that are gone.
_NOBODYS: Final = ("", "")
#: Events of one page.
_PAGE: Final = 1000
_TEXT: Final = "text/plain; charset=utf-8"
_EVENT: Final = Body(
    schema=closed(
        {
            "type": {
                "type": "string",
                "description": "such as deploy.done; run. and task. begin Windlass's own",
            },
            "source": {"type": "string", "description": "where it comes from"},
            "data": {"type": "object", "description": "what it says"},
        },
        "type",
    )
)


async def get_events(engine: Engine, request: Request) -> Stream:
    """Stream events of all runs, those after `Last-Event-ID` or of the future."""
    query = request.query
    types = read_event_types(query.get("type", ()))
    run = query.get("run")
    run_id = None if run is None else await find_run(engine, run)
    after = await _begin(engine, request, types)
    found = event_pages(engine, after, run_id=run_id, types=types, follow=query["follow"])
    chosen = _chosen(engine, found, project=listed_project(request), job=query.get("job"))
    return Stream(chunks=server_sent(_sent(chosen)))


async def send_one(engine: Engine, request: Request) -> Answer:
    """Store an event from outside."""
    said = request.data
    event = await send_event(
        engine, request.query["project"], said["type"], said.get("data", {}), source=said.get("source", "")
    )
    return Answer(status=201, body=event)


async def get_run_events(engine: Engine, request: Request) -> Answer:
    """List the events of a run."""
    run_id = await run_id_of(engine, request)
    items: list[dict[str, Any]] = []
    last = await given_cursor(engine, request.query.get("cursor", BEGINNING))
    async for event in events(engine, last, run_id=run_id, follow=False):
        if len(items) == _PAGE:
            return page(items, last)
        items.append(event_shape(event))
        last = event.cursor
    return page(items, None)


async def get_logs(engine: Engine, request: Request) -> Stream:
    """Stream the output of a run, as text or as events."""
    query = request.query
    run_id = await run_id_of(engine, request)
    as_events = query.get("format", "events" if query["follow"] else "text") == "events"
    after = read_log_id(request.headers.get("last-event-id", "")) if as_events else None
    chunks = log_chunks(
        engine,
        run_id,
        step=query.get("step"),
        key=query.get("key"),
        attempt=query.get("attempt"),
        follow=query["follow"],
        after=after,
    )
    if as_events:
        return Stream(chunks=server_sent(_log_events(chunks, after or {})), media=EVENT_STREAM)
    first = await anext(chunks, None)  # what is wrong with the request shows before the answer begins
    return Stream(chunks=_log_text(first, chunks), media=_TEXT)


async def _begin(engine: Engine, request: Request, types: EventTypes) -> str:
    """Return the cursor after which a stream of events begins."""
    given = request.headers.get("last-event-id") or request.query.get("after")
    if given is not None:
        return await given_cursor(engine, given)
    last = request.query.get("last")
    if last is None:
        return await newest_cursor(engine)
    project, job = listed_project(request), request.query.get("job")
    return await cursor_before_last(engine, last, types, project=project, job=job)


async def _chosen(
    engine: Engine, found: AsyncIterator[list[Event]], *, project: str | None, job: str | None
) -> AsyncIterator[list[Event]]:
    """Yield the events of runs in `project` and of `job`, as they came together; None leaves each open."""
    runs: dict[bytes, tuple[str, str]] = {}
    async for several in found:
        if project is not None or job is not None:
            unknown = {event.run_id for event in several if event.run_id is not None} - runs.keys()
            if len(runs) + len(unknown) > _MOST_KNOWN:
                runs.clear()
                unknown = {event.run_id for event in several if event.run_id is not None}
            if unknown:
                known = await engine.store.read(stored.owners, list(unknown))
                runs |= {run_id: known.get(run_id, _NOBODYS) for run_id in unknown}
        chosen = []
        for event in several:
            if event.run_id is None:
                of_project, of_job = event.data.get("project"), None
            else:
                of_project, of_job = runs.get(event.run_id, _NOBODYS)
            if (project is None or project == of_project) and (job is None or job == of_job):
                chosen.append(event)
        if chosen:
            yield chosen


async def _sent(found: AsyncIterator[list[Event]]) -> AsyncIterator[Together]:
    async for several in found:
        yield Together([Sent(event.type, event_shape(event), event.cursor) for event in several])


async def _log_events(chunks: AsyncIterator[dict[str, Any]], after: Cursor) -> AsyncIterator[Sent]:
    read = {f"{task}/{attempt}": seq for (task, attempt), seq in after.items()}
    async for chunk in chunks:
        read[f"{chunk['taskId'].rpartition('.')[2]}/{chunk['attempt']}"] = chunk["seq"]
        yield Sent("log", chunk | log_data(chunk["data"]), log_id(read))


async def _log_text(first: Mapping[str, Any] | None, chunks: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    if first is None:
        return
    yield first["data"]
    async for chunk in chunks:
        yield chunk["data"]


def log_data(data: bytes) -> dict[str, Any]:
    """Return bytes for JSON without loss: as text where they are text, else as base64."""
    try:
        return {"data": data.decode()}
    except UnicodeDecodeError:
        return {"data": None, "base64": base64.b64encode(data).decode()}


def log_id(read: Mapping[str, int]) -> str | None:
    """Return an id that says how far each attempt was read; None where that would be too long."""
    if len(read) > _MOST_IN_ID:
        return None
    return base64.urlsafe_b64encode(orjson.dumps(read)).decode().rstrip("=")


def read_log_id(text: str) -> Cursor | None:
    """Return how far each attempt was read, as `log_id` said it; None for an empty text.

    Raises UserError where it is none of ours.
    """
    if not text:
        return None
    try:
        read = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return {(int(task), int(attempt)): int(seq) for (task, _, attempt), seq in _split(read)}
    except (ValueError, AttributeError, TypeError):
        raise UserError("The Last-Event-ID is none of this stream's.") from None


def _split(read: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str, str], Any]]:
    return ((name.partition("/"), seq) for name, seq in read.items())


ROUTES: Final = (
    Route(
        method="GET",
        path=f"{ROOT}/events",
        permission="view",
        handler=get_events,
        summary="Stream events as they happen; with Last-Event-ID, the `cursor` of one, those behind it come first.",
        query=(
            LIST_PROJECT,
            Query("type", "types of events, globs allowed", "texts"),
            Query("job", "alias of a job"),
            Query("run", "id of a run"),
            Query("after", "begin behind this cursor, the `cursor` of an event; 0 is before all of them"),
            Query("last", "begin with about so many past events", "integer", highest=100_000),
            Query("follow", "wait for more at the end", "boolean", default=True),
        ),
        answers=EVENT_STREAM,
    ),
    Route(
        method="POST",
        path=f"{ROOT}/events",
        permission="operate",
        handler=send_one,
        changes=True,
        summary="Tell an event from outside: steps that wait for one like it go on.",
        query=(PROJECT,),
        body=_EVENT,
    ),
    Route(
        method="GET",
        path=f"{ROOT}/runs/{{run}}/events",
        permission="view",
        handler=get_run_events,
        summary="List the events of a run.",
        query=(Query("cursor", "where the page begins: `next` of the page before, or the `cursor` of an event"),),
    ),
    Route(
        method="GET",
        path=f"{ROOT}/runs/{{run}}/logs",
        permission="view",
        handler=get_logs,
        summary="Return the output of a run; with `follow` as it comes, to the end of the run.",
        query=(
            Query("step", "name of a step"),
            Query("key", "matrix cell or target"),
            Query("attempt", "number of an attempt", "integer", lowest=1),
            Query("follow", "wait for more until the run ends", "boolean", default=False),
            Query("format", "bytes as they are, or events with step and time", choices=("text", "events")),
        ),
        answers=_TEXT,
    ),
)
