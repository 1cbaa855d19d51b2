"""A store that another process owns, used through that process's socket; the owner does the work."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

from windlass.client.client import Client
from windlass.client.events import ServerEvent, server_events
from windlass.client.problem import error_of
from windlass.client.unix import UnixTransport, named_transport
from windlass.clock import to_text
from windlass.errors import Conflict, InvalidDocument, NotFound, Unavailable, UserError, WindlassError
from windlass.model.event import RUN_ENDED
from windlass.model.state import RUN_FINAL
from windlass.sdk.backend import SOURCE, End, Figures, Options
from windlass.sdk.contexts import mappings, parameters_of_all
from windlass.sdk.definition import Definition
from windlass.store.lockfile import Owner

Result = TypeVar("Result")

#: Largest context, in bytes of JSON: what the owner's settings allow is said by the owner.
_MOST = 2**31


class Remote:
    """The API of the owner; see `Backend`."""

    works_here = False

    def __init__(self, client: Client, project: str, app: str | None = None) -> None:
        """Speak through `client`, which opens a connection for each request.

        `app` is the application that workers of the server must have to run its jobs; None where they find the code as
        this process does, on the same machine.
        """
        self._client = client
        self._app = app
        self._project = project
        self._applied: set[Definition] = set()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._ends: asyncio.Task[None] | None = None
        self.closed = False

    @classmethod
    async def reach(cls, owner: Owner, project: str) -> Self:
        """Return the backend of a store's owner, once that answers. Raises Unavailable."""
        if owner.socket is None:
            raise Unavailable(f"Process {owner.pid} owns the store and listens nowhere: try again, or stop it.")
        found = cls(Client(UnixTransport(owner.socket)), project)
        await found.newest()
        return found

    @classmethod
    async def at(cls, address: str, project: str, app: str) -> Self:
        """Return the backend of the server at an address of the settings, once that answers. Raises Unavailable."""
        found = cls(Client(named_transport(address)), project, app)
        await found.newest()
        return found

    async def submit(
        self, job: Definition | str, contexts: Sequence[Any], options: Options, connection: object = None
    ) -> list[str]:
        """Accept runs in one transaction of the owner; see `Backend.submit`."""
        if connection is not None:
            raise UserError(
                "A transaction of the caller's is joined by a store in PostgreSQL; this one belongs to another process."
            )
        if isinstance(job, Definition):
            parameters = parameters_of_all(job, contexts, _MOST)
            alias = job.alias
            if job not in self._applied:
                await self._ask(self._keep, job)
                self._applied.add(job)
        else:
            parameters, alias = mappings(job, contexts), job
        return await self._ask(self._start, alias, parameters, options)

    def _keep(self, job: Definition) -> None:
        """Apply the manifest of a job, unless a person's own job has its alias."""
        try:
            found = self._client.get("jobs", job.alias, project=self._project)
        except NotFound:
            found = None
        if found is not None and found.get("provenance") is None:
            raise Conflict(
                f'There is a job "{job.alias}" in project {self._project} that was applied from a manifest: '
                "give the Python job another `name`."
            )
        body = {"definitions": [job.manifest(app=self._app)], "provenance": {"source": SOURCE, "path": job.path}}
        try:
            self._client.post("jobdefs", "apply", body=body, project=self._project)
        except InvalidDocument as error:
            wrong = "; ".join(finding.message for finding in error.findings)
            raise UserError(f'Job "{job.alias}": {wrong}') from None

    def _start(self, alias: str, parameters: Sequence[Mapping[str, Any]], options: Options) -> list[str]:
        given = {"idempotency-key": options.idempotency_key, "traceparent": options.traceparent}
        headers = {name: value for name, value in given.items() if value is not None}
        query, said = {"project": self._project}, _said(options)
        if len(parameters) > 1:
            path, body = ("jobs", alias, "runs"), {"parameters": parameters, **said}
            accepted: list[str] = self._client.call("POST", path, query=query, body=body, headers=headers)["ids"]
            return accepted
        path = ("jobs", alias, "run")
        return [
            self._client.call("POST", path, query=query, body={"parameters": one, **said}, headers=headers)["id"]
            for one in parameters
        ]

    async def get(self, run_id: str) -> dict[str, Any]:
        """Return a run; see `Backend.get`."""
        found: dict[str, Any] = await self._ask(self._client.get, "runs", run_id)
        return found

    async def children(self, run_id: str) -> list[dict[str, Any]]:
        """Return the runs that a run started; see `Backend.children`."""
        return (await self._ask(lambda: list(self._client.pages("runs", run_id, "children", most=_MOST))))[::-1]

    async def wait(self, run_id: str) -> End:
        """Return how a run ended; see `Backend.wait`."""
        if self._ends is None:
            after = await self.newest()
            if self._ends is None:
                self._ends = asyncio.create_task(self._watch(after), name="windlass-ends")
        while True:
            ended = self._waiting.get(run_id)
            if ended is None:
                ended = self._waiting[run_id] = asyncio.get_running_loop().create_future()
            run = await self.get(run_id)
            if run["state"] in RUN_FINAL:
                self._waiting.pop(run_id, None)
                return End(run["state"], run["reason"], run["error"], run["outputs"])
            await asyncio.shield(ended)

    async def _watch(self, after: str) -> None:
        """Tell those who wait of each run that ends."""
        error: WindlassError = Unavailable("The owner of the store has ended; what became of the run is not known yet.")
        try:
            async for event in self.events(after, run_id=None, types=RUN_ENDED):
                ended = self._waiting.pop(event["runId"], None)
                if ended is not None and not ended.done():
                    ended.set_result(None)
        except WindlassError as found:
            error = found
        finally:
            self._ends = None
            waiting, self._waiting = self._waiting, {}
            for ended in waiting.values():
                if not ended.done():
                    ended.set_exception(error)
                    ended.exception()  # whoever waits raises it

    async def why(self, run_id: str, step: str | None, key: str | None) -> dict[str, Any]:
        """Return why a run or a step is in its state; see `Backend.why`."""
        found: dict[str, Any] = await self._ask(lambda: self._client.get("runs", run_id, "why", step=step, key=key))
        return found

    async def dead_letters(self, queue: str | None, job: str | None) -> list[dict[str, Any]]:
        """Return tasks that failed for good; see `Backend.dead_letters`."""
        query: dict[str, Any] = {"project": self._project, "queue": queue, "job": job}
        return await self._ask(lambda: list(self._client.pages("dead-letters", **query)))

    async def requeue(self, references: Sequence[str]) -> list[str]:
        """Queue such tasks again; see `Backend.requeue`."""
        if not references:
            return []
        body = {"items": list(references)}
        done = await self._ask(lambda: self._client.post("dead-letters", "requeue", body=body))
        return [one["newRunId"] for one in done["items"]]

    async def cancel(self, run_id: str) -> None:
        """Ask a run to stop; see `Backend.cancel`."""
        await self._ask(self._client.post, "runs", run_id, "cancel")

    async def logs(self, run_id: str, *, follow: bool) -> AsyncIterator[dict[str, Any]]:
        """Yield output; see `Backend.logs`."""
        async for event in self._stream("runs", run_id, "logs", follow=follow, format="events"):
            chunk = event.json()
            raw = chunk.pop("base64", None)
            yield chunk | {"data": chunk["data"].encode() if raw is None else base64.b64decode(raw)}

    async def statistics(self, asked: Figures) -> dict[str, Any]:
        """Return figures of runs; see `Backend.statistics`."""
        path = ("statistics",) if asked.job is None else ("jobs", asked.job, "statistics")
        query: dict[str, Any] = {
            "project": self._project,
            "since": None if asked.since is None else to_text(asked.since),
            "until": None if asked.until is None else to_text(asked.until),
            "state": list(asked.states),
        }
        if asked.labels:
            pairs = asked.labels.items()
            query["label"] = [name if value is None else f"{name}={value}" for name, value in pairs]
            path, query["job"] = ("statistics",), asked.job
        found: dict[str, Any] = await self._ask(lambda: self._client.get(*path, **query))
        return found

    async def health(self) -> dict[str, Any]:
        """Return how each part is; see `Backend.health`."""
        found: dict[str, Any] = await self._ask(self._client.get, "health")
        return found

    async def send_event(self, name: str, data: Mapping[str, Any], source: str) -> int:
        """Tell an event; see `Backend.send_event`."""
        body = {"type": name, "data": dict(data), "source": source}
        told = await self._ask(lambda: self._client.post("events", body=body, project=self._project))
        return int(told["seq"])

    async def newest(self) -> str:
        """Return the newest cursor; see `Backend.newest`."""
        newest = "0"
        async for event in self._stream("events", project="*", last=1, follow=False):
            newest = event.id or newest
        return newest

    async def events(self, after: str, *, run_id: str | None, types: Collection[str]) -> AsyncIterator[dict[str, Any]]:
        """Yield events; see `Backend.events`."""
        async for event in self._stream("events", project="*", after=after, run=run_id, type=sorted(types)):
            yield event.json()

    async def set_workers(self, count: int) -> None:
        """Refuse: see `Backend.set_workers`."""
        raise UserError(
            f"Another process owns this store and does the work, so that {count} workers cannot be set here; "
            "`windlass worker slots` tells that one."
        )

    async def close(self) -> None:
        """Let go; see `Backend.close`."""
        self.closed = True
        if self._ends is not None:
            self._ends.cancel()
            await asyncio.gather(self._ends, return_exceptions=True)
        self._client.close()

    async def _ask(self, call: Callable[..., Result], *args: Any) -> Result:
        if self.closed:
            raise Unavailable("The application is closed.")
        return await asyncio.to_thread(call, *args)

    async def _stream(self, *path: str, **query: Any) -> AsyncIterator[ServerEvent]:
        """Yield server-sent events, read by a thread of their own. Raises the error that ends the stream."""
        reader = _Reader(self._client, path, query)
        try:
            while (event := await reader.next()) is not None:
                if event.type == "problem":
                    document = event.json()
                    raise error_of(int(document.get("status", 500)), document)
                yield event
        finally:
            reader.stop()


class _Reader:
    """Reads one stream in a thread and hands its events to the event loop."""

    def __init__(self, client: Client, path: tuple[str, ...], query: Mapping[str, Any]) -> None:
        self._client = client
        self._path = path
        self._query = query
        self._loop = asyncio.get_running_loop()
        self._found: asyncio.Queue[ServerEvent | Exception | None] = asyncio.Queue()
        #: Noticed at the next thing that comes; the server says something every ten seconds.
        self._stopped = threading.Event()
        threading.Thread(target=self._read, name="windlass-stream", daemon=True).start()

    async def next(self) -> ServerEvent | None:
        """Return the next event, None at the end. Raises what broke the stream."""
        found = await self._found.get()
        if isinstance(found, Exception):
            raise found
        return found

    def stop(self) -> None:
        """Have the thread end."""
        self._stopped.set()

    def _read(self) -> None:
        end: Exception | None = None
        try:
            for event in server_events(self._chunks()):
                self._give(event)
        except Exception as error:  # noqa: BLE001 - it belongs to the one who reads
            end = error
        self._give(end)

    def _chunks(self) -> Iterator[bytes]:
        for chunk in self._client.read(*self._path, **self._query):
            if self._stopped.is_set():
                return
            yield chunk

    def _give(self, found: ServerEvent | Exception | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._found.put_nowait, found)
        except RuntimeError:  # the loop is closed: nobody reads any more
            self._stopped.set()


def _said(options: Options) -> dict[str, Any]:
    """Return options as the body of a start has them."""
    body = {
        "priority": options.priority,
        "scheduledAt": None if options.scheduled_at is None else to_text(options.scheduled_at),
        "delay": options.delay,
        "labels": options.labels,
        "note": options.note,
        "correlationId": options.correlation_id,
        "dependsOn": list(options.depends_on) or None,
        "noCache": options.no_cache or None,
        "parent": options.parent,
        "cascade": None if options.parent is None else options.cascade,
    }
    return {name: value for name, value in body.items() if value is not None}
