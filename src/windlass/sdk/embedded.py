"""A store that this process owns, with the worker in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import fields, replace
from typing import Any, Final

import orjson

from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.cancellation import cancel
from windlass.engine.dead_letters import list_dead, requeue
from windlass.engine.ends import RunEnds
from windlass.engine.explaining import why
from windlass.engine.health import health, health_shape
from windlass.engine.log_reading import log_chunks
from windlass.engine.manifests import ManifestText
from windlass.engine.node import Node
from windlass.engine.once import earlier_run, request
from windlass.engine.reading import find_run, get_run, list_runs
from windlass.engine.sending import send_event
from windlass.engine.shapes import event_shape
from windlass.engine.starting import checked_each, dependencies, parentage, prepare
from windlass.engine.statistics import Asked, statistics
from windlass.engine.step_cache import NO_CACHE
from windlass.engine.submission import Prepared, Submission, submit_known
from windlass.engine.submission_within import submit_within
from windlass.engine.watching import events, given_cursor, newest_cursor
from windlass.errors import Conflict, InvalidDocument, UserError
from windlass.ids import id_text, parse_id
from windlass.model.apply_plan import Provenance
from windlass.sdk.backend import SOURCE, End, Figures, Options
from windlass.sdk.contexts import mappings, parameters_of_all
from windlass.sdk.definition import Definition
from windlass.store.ends import RunEnd
from windlass.store.jobs import live_job
from windlass.store.runs import RunFilter
from windlass.store.transaction import Transaction

#: Items that one look at a list reads.
_PAGE: Final = 500
_OPTIONS: Final = tuple(field.name for field in fields(Options))


class Embedded:
    """The engine in this process; see `Backend`."""

    works_here = True

    def __init__(self, node: Node, app: str, project: str, author: str, stack: AsyncExitStack) -> None:
        """Take over `stack`, which holds all that is open, the running `node` too; `app` is the application's name."""
        self._engine = engine = node.engine
        self._node = node
        self._worker = node.worker
        self._app = app
        self._project = project
        self._author = author
        self._stack = stack
        self.closed = False
        self._ends = RunEnds(engine)
        self._prepared: dict[Definition, Prepared] = {}
        self._preparing = asyncio.Lock()
        self._trigger = {"type": "manual", "by": author}

    async def submit(
        self, job: Definition | str, contexts: Sequence[Any], options: Options, connection: object = None
    ) -> list[str]:
        """Accept runs in one transaction; see `Backend.submit`."""
        if isinstance(job, Definition):
            limit = self._engine.settings.max_parameters
            parameters = parameters_of_all(job, contexts, limit)
            alias = job.alias
        else:
            parameters, alias = mappings(job, contexts), job
        said = {name: getattr(options, name) for name in _OPTIONS}
        waits, parent = said.pop("depends_on"), said.pop("parent")
        cascade = said.pop("cascade")
        asked = None
        if options.idempotency_key is not None:
            asked = _asked(alias, parameters[0], options)
            earlier = await earlier_run(self._engine, self._project, options.idempotency_key, asked)
            if earlier is not None:
                return [id_text(earlier)]
        if isinstance(job, Definition):
            prepared = self._prepared.get(job) or await self._keep(job)
        else:
            prepared = await self._engine.store.run(prepare, self._engine, self._project, job, None)
            parameters = checked_each(self._engine, prepared.job, parameters)
        if waits:
            said["depends_on"] = await self._engine.store.read(dependencies, waits)
        if parent:
            said["parent_id"], said["root_id"] = await self._engine.store.read(parentage, self._engine, parent)
            said["cascade"] = cascade
        submissions = [Submission(parameters=one, trigger=self._trigger, asked=asked, **said) for one in parameters]
        if connection is not None:
            accepted = await submit_within(self._engine, prepared, submissions, connection)
            return [id_text(one.run_id) for one in accepted]
        # The worker's look at the queue waits behind this submission: they share a commit, with which the run starts.
        # Without a free slot it will look once there is one. Workers of other processes get a hint.
        if self._worker.busy < self._worker.slots:
            self._worker.hint()
        accepted = await submit_known(self._engine, prepared, submissions, told=self._engine.remote is None)
        return [id_text(one.run_id) for one in accepted]

    async def _keep(self, job: Definition) -> Prepared:
        """Store the job as a revision, unless it is there already."""
        async with self._preparing:
            if job in self._prepared:
                return self._prepared[job]
            await self._engine.store.read(_refuse_other, self._project, job.alias)
            text = ManifestText(job.path, orjson.dumps(job.manifest(app=self._app)))
            options = ApplyOptions(
                project=self._project, provenance=Provenance(source=SOURCE, path=job.path), author=self._author
            )
            try:
                applied = await apply(self._engine, [text], options)
            except InvalidDocument as error:
                raise UserError(
                    f'Job "{job.alias}": {"; ".join(finding.message for finding in error.findings)}'
                ) from None
            number = applied.revisions[job.alias]
            prepared = await self._engine.store.run(prepare, self._engine, self._project, job.alias, number)
            self._prepared[job] = prepared
            return prepared

    async def get(self, run_id: str) -> dict[str, Any]:
        """Return a run; see `Backend.get`."""
        return await get_run(self._engine, await self._id(run_id))

    async def children(self, run_id: str) -> list[dict[str, Any]]:
        """Return the runs that a run started; see `Backend.children`."""
        filters = RunFilter(parent_id=await self._id(run_id), limit=_PAGE)
        found, more = await list_runs(self._engine, filters)
        while more is not None:
            following, more = await list_runs(self._engine, replace(filters, before=parse_id(more)))
            found += following
        return found[::-1]

    async def wait(self, run_id: str) -> End:
        """Return how a run ended; see `Backend.wait`."""
        return _end(await self._ends.wait(await self._id(run_id)))

    async def why(self, run_id: str, step: str | None, key: str | None) -> dict[str, Any]:
        """Return why a run or a step is in its state; see `Backend.why`."""
        return await why(self._engine, await self._id(run_id), step, key)

    async def dead_letters(self, queue: str | None, job: str | None) -> list[dict[str, Any]]:
        """Return tasks that failed for good; see `Backend.dead_letters`."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page, cursor = await list_dead(
                self._engine, project=self._project, queue=queue, job=job, cursor=cursor, limit=_PAGE
            )
            found += page
            if cursor is None:
                return found

    async def requeue(self, references: Sequence[str]) -> list[str]:
        """Queue such tasks again; see `Backend.requeue`."""
        done = await requeue(self._engine, references, by=self._author)
        return [id_text(one.new) for one in done if one.new is not None]

    async def cancel(self, run_id: str) -> None:
        """Ask a run to stop; see `Backend.cancel`."""
        await cancel(self._engine, await self._id(run_id), by=self._author)

    async def logs(self, run_id: str, *, follow: bool) -> AsyncIterator[dict[str, Any]]:
        """Yield output; see `Backend.logs`."""
        async for chunk in log_chunks(self._engine, await self._id(run_id), follow=follow):
            yield chunk

    async def statistics(self, asked: Figures) -> dict[str, Any]:
        """Return figures of runs; see `Backend.statistics`."""
        wanted = Asked(
            project=self._project,
            job=asked.job,
            since=asked.since,
            until=asked.until,
            states=asked.states,
            labels=asked.labels or {},
        )
        return await statistics(self._engine, wanted)

    async def health(self) -> dict[str, Any]:
        """Return how each part is; see `Backend.health`."""
        return health_shape(await health(self._engine))

    async def send_event(self, name: str, data: Mapping[str, Any], source: str) -> int:
        """Tell an event; see `Backend.send_event`."""
        told = await send_event(self._engine, self._project, name, data, source=source)
        return int(told["seq"])

    async def newest(self) -> str:
        """Return the newest cursor; see `Backend.newest`."""
        return await newest_cursor(self._engine)

    async def events(self, after: str, *, run_id: str | None, types: Collection[str]) -> AsyncIterator[dict[str, Any]]:
        """Yield events; see `Backend.events`."""
        run = None if run_id is None else await self._id(run_id)
        after = await given_cursor(self._engine, after)
        async for event in events(self._engine, after, run_id=run, types=types):
            yield event_shape(event)

    async def set_workers(self, count: int) -> None:
        """Run so many attempts at one time; see `Backend.set_workers`."""
        await self._node.set_slots(count)

    async def close(self) -> None:
        """Stop working and close the store; see `Backend.close`."""
        self.closed = True
        await self._ends.close()
        await self._stack.aclose()

    async def _id(self, text: str) -> bytes:
        """Return the id behind its text, or behind an unambiguous beginning of it."""
        found = parse_id(text) if len(text) == 36 else None  # noqa: PLR2004 - the usual text of an id
        return await find_run(self._engine, text) if found is None else found


def _asked(alias: str, parameters: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """Return what the key of a submission stands for."""
    said = {name: getattr(options, name) for name in ("priority", "scheduled_at", "delay", "labels", "note")}
    asked = request(alias, parameters=parameters, depends_on=options.depends_on, **said)
    if options.parent:
        asked["parent"] = [options.parent, options.cascade]
    if options.no_cache:
        asked[NO_CACHE] = True
    return asked


def _refuse_other(tx: Transaction, project: str, alias: str) -> None:
    """Raise Conflict where a person's own job has that alias."""
    found = live_job(tx, project, alias)
    if found is not None and found.provenance is None:
        raise Conflict(
            f'There is a job "{alias}" in project {project} that was applied from a manifest: '
            "give the Python job another `name`."
        )


def _end(end: RunEnd) -> End:
    return End(
        end.state,
        end.reason,
        None if end.error is None else orjson.loads(end.error),
        {} if end.outputs is None else orjson.loads(end.outputs),
    )
