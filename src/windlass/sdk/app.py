"""Windlass inside an application: a store, a worker, and runs."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from inspect import signature
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, overload

from windlass.errors import Unavailable, UserError
from windlass.model.did_you_mean import suggestion
from windlass.model.durations import LONGEST
from windlass.model.event_types import read_event_types
from windlass.model.idempotency_key import WHAT_IT_HAS, is_key
from windlass.model.state import RUN_MOVES
from windlass.sdk.absences import RECONNECT, checked
from windlass.sdk.naming import application_name, caller_module
from windlass.sdk.opening import open_backend, read_settings
from windlass.sdk.registry import Registry
from windlass.sdk.run import Family, Run
from windlass.sdk.subscription import Subscription
from windlass.settings import MOST_SLOTS, PROJECT_NAME, is_project

if TYPE_CHECKING:
    from types import TracebackType

    from windlass.model.trace_context import TraceContext
    from windlass.sdk.backend import Backend, Options
    from windlass.sdk.definition import Definition
    from windlass.sdk.job import Job

Res = TypeVar("Res")

#: Not before: a time (without a zone it is UTC), or how long from now, in seconds or as a `timedelta`.
When = datetime | timedelta | float

#: Runs that `submit_many` accepts in one transaction.
BATCH: Final = 1000


class Windlass:
    """A store with a worker in the application's own process; an async context manager.

    `async with Windlass("sqlite:///jobs.db", workers=4) as app` takes the store as its own, and what it runs there goes
    on where an earlier process left off. Where another process owns the store already, the application works through
    that one: it submits and follows runs, and the owner does the work. `memory://` keeps everything in memory.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        name: str | None = None,
        workers: int | None = None,
        jobs: Iterable[Any] = (),
        queues: Sequence[str] | None = None,
        pool: str | None = None,
        labels: Mapping[str, str] | None = None,
        project: str | None = None,
        home: str | PathLike[str] | None = None,
        settings: Mapping[str, str] | None = None,
        wait: float = 10.0,
    ) -> None:
        """Prepare; nothing is opened before `async with`.

        Without `url` the store is that of the settings. `name` is what the application is called: only processes of
        that name take its jobs; without it that is the package, or the script, that makes it. `workers` is how many
        attempts run at one time: with 0 the application only submits, and its runs wait until `set_workers`, or until
        another process of that name works. `jobs` are those whose runs may be waiting in the store already and cannot
        be imported. `queues`, `pool` and `labels` say what the worker takes, `settings` are further ones by name, as
        text. `wait` is how many seconds to wait for a store whose owner does not answer.
        Raises UserError where anything of that is wrong.
        """
        if project is not None and not (isinstance(project, str) and is_project(project)):
            raise UserError(f"project: {project!r:.80} is no name of a project: {PROJECT_NAME}.")
        #: What the application is called.
        self.name = application_name(name, caller_module(1))
        self._workers = None if workers is None else _slots(workers)
        said = {
            "queues": None if queues is None else ",".join(queues),
            "pool": pool,
            "labels": None if labels is None else ",".join(f"{name}={value}" for name, value in labels.items()),
            "project": project,
            "home": None if home is None else fspath(home),
            **(settings or {}),
        }
        self._settings = read_settings(url, {name: text for name, text in said.items() if text is not None})
        self._wait = wait
        self._registry = Registry()
        self._backend: Backend | None = None
        #: Subscriptions of which it is not known yet where they begin.
        self._beginning: set[Any] = set()
        self.register(*jobs)

    async def __aenter__(self) -> Self:
        """Open the store and begin to work. Raises Unavailable where it cannot be had."""
        if self._backend is not None:
            raise UserError("This application is open already.")
        self._backend = await open_backend(
            self._settings, self._registry, app=self.name, wait=self._wait, workers=self._workers
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no more work, give what runs the drain grace of the settings to end, and close the store."""
        backend, self._backend = self._backend, None
        if backend is not None:
            await backend.close()

    async def set_workers(self, count: int) -> None:
        """Run so many attempts at one time from now on; with 0 none is begun, and what runs goes on.

        Raises UserError where that is no such number, or where another process owns the store and does the work.
        """
        await self._open().set_workers(_slots(count))

    def register(self, *jobs: Any) -> None:
        """Make jobs known that were not submitted yet, so that runs of an earlier process find their code.

        Only needed for code that cannot be imported. Raises UserError where one is no job, Conflict where two have the
        same alias.
        """
        for job in jobs:
            self._registry.add(job)

    @overload
    async def submit(self, job: type[Job[Any, Res]], context: Any = None, **options: Any) -> Run[Res]: ...

    @overload
    async def submit(self, job: Callable[..., Any] | str, context: Any = None, **options: Any) -> Run[Any]: ...

    async def submit(self, job: Any, context: Any = None, *, connection: Any = None, **options: Any) -> Run[Any]:
        """Accept a run; it is durable when this returns.

        `job` is a Job class, a function, or the alias of an applied job. `context` is what the job takes: an object of
        its annotation or a mapping of its fields; of functions with several parameters, and of applied jobs, a mapping
        of the parameters by name. Options: see `options`. With `connection` the run is accepted in the transaction
        that this connection, or session, is in: it is queued by the caller's commit, and never was if he rolls back.
        Raises UserError where the context or an option does not fit, NotFound where there is no such job, Conflict
        where it is disabled, Unavailable where the store cannot take it.
        """
        return (await self._submit(job, [context], options_of(**options), connection))[0]

    @overload
    async def submit_many(
        self, job: type[Job[Any, Res]], contexts: Iterable[Any], **options: Any
    ) -> list[Run[Res]]: ...

    @overload
    async def submit_many(
        self, job: Callable[..., Any] | str, contexts: Iterable[Any], **options: Any
    ) -> list[Run[Any]]: ...

    async def submit_many(
        self, job: Any, contexts: Iterable[Any], *, connection: Any = None, **options: Any
    ) -> list[Run[Any]]:
        """Accept a run for each context, a thousand in one transaction; return them in order.

        With `connection` all of them are accepted in the caller's transaction; see `submit`.

        Options are those of `submit`, but for `key`. Raises as `submit` does: of the batch that it was about nothing
        was accepted then, batches before it stay.
        """
        if options.get("key") is not None:
            raise UserError("A key stands for one run: submit_many takes none.")
        said = options_of(**options)
        runs: list[Run[Any]] = []
        left = iter(contexts)
        while batch := list(itertools.islice(left, BATCH)):
            runs += await self._submit(job, batch, said, connection)
        return runs

    async def get(self, run_id: str) -> Run[Any]:
        """Return a run that was accepted before, by its id or the beginning of it. Raises NotFound, UserError."""
        return self._run(await self._open().get(run_id))

    def step_types(self) -> Any:
        """Return the step types of a worker that runs this application's jobs in its own process."""
        from windlass.sdk.steps import ApplicationSteps  # noqa: PLC0415 - brings in the step types

        return ApplicationSteps(self._registry)

    def _run(self, found: Mapping[str, Any]) -> Run[Any]:
        known = self._registry.named(found["job"])
        return Run(self._family(), found["id"], found["job"], dict if known is None else known.result)

    async def dead_letters(self, *, queue: str | None = None, job: str | None = None) -> list[dict[str, Any]]:
        """Return the tasks that failed for good and were not queued again, those of the newest runs first.

        `queue` and `job`, the alias of a job, leave out others. Each is as REST has it. Raises NotFound where there is
        no such job.
        """
        return await self._open().dead_letters(queue, job)

    async def requeue(self, *references: str) -> list[Run[Any]]:
        """Queue dead letters again, by the ids of tasks or of runs; return the new runs, one for each old one.

        What of an old run ended well is kept. Those that were queued again before give the run that was made then.
        Raises NotFound, with nothing done, where one is no dead letter.
        """
        return [await self.get(run_id) for run_id in await self._open().requeue(references)]

    def subscribe(
        self,
        types: Iterable[str] = (),
        *,
        run: Run[Any] | str | None = None,
        after: str | None = None,
        reconnect: float = RECONNECT,
    ) -> Subscription:
        """Return the events from now on, to be gone over with `async for`.

        `types` are names or globs such as `run.*`, none for all; `run` is the only run to follow; `after` is the
        `cursor` of the last event seen, to go on behind it, or "0" to begin with the first event there is. A store that
        goes away is waited for, up to `reconnect` seconds each time.
        Raises UserError where there can be no such type, and, with the first event, where `after` is no cursor of the
        store.
        """
        if after is not None and not isinstance(after, str):
            raise UserError(f'after is the `cursor` of an event, a text, or "0" for all events, not {after!r:.80}.')
        wanted = read_event_types([types] if isinstance(types, str) else types)
        run_id = run.id if isinstance(run, Run) else run
        found = Subscription(self._open(), wanted, run_id, after, checked(reconnect))
        self._beginning.add(found.begun)
        found.begun.add_done_callback(self._beginning.discard)
        return found

    async def send_event(self, name: str, /, data: Mapping[str, Any] | None = None, *, source: str = "") -> int:
        """Tell an event, such as `deploy.done`, with what it says; steps that wait for one like it go on.

        Return its `seq`. Raises UserError where `name` or `source` cannot be one, LimitExceeded where it says too much.
        """
        await self._until_subscribed()
        return await self._open().send_event(name, {} if data is None else data, source)

    async def statistics(
        self,
        *,
        since: When | None = None,
        until: When | None = None,
        job: Any = None,
        states: Sequence[str] = (),
        labels: Mapping[str, str | None] | None = None,
    ) -> dict[str, Any]:
        """Return figures of the runs that ended: how many, how they ended, how long they took and waited.

        `since` and `until` are times, or how long ago, as a `timedelta` or in seconds; without `since` it is a day, of
        one job a week. `job` is a Job class, a function or an alias, `states` are those of the runs, `labels` those of
        the jobs. Figures are of whole hours; `durations` and `waits` are in seconds, right to 5 %.
        Raises UserError where an option makes no sense, NotFound where there is no such job.
        """
        from windlass.sdk.backend import Figures  # noqa: PLC0415 - brings in the engine

        if isinstance(states, str):
            states = (states,)
        if wrong := [state for state in states if state not in RUN_MOVES]:
            raise UserError(f'"{wrong[0]}" is no state of a run; those are {", ".join(RUN_MOVES)}.')
        alias = job if job is None or isinstance(job, str) else self._registry.add(job).alias
        asked = Figures(job=alias, since=_past(since), until=_past(until), states=tuple(states), labels=labels)
        return await self._open().statistics(asked)

    async def health(self) -> dict[str, Any]:
        """Return how each part is: `{status, parts: [{name, status, message}]}`; ok, degraded or down."""
        return await self._open().health()

    async def _submit(
        self, job: Any, contexts: Sequence[Any], options: Options, connection: Any = None
    ) -> list[Run[Any]]:
        backend, family = self._open(), self._family()
        await self._until_subscribed()
        known = self._registry.named(job) if isinstance(job, str) else self._registry.add(job)
        wanted: Definition | str = job if known is None else known
        ids = await backend.submit(wanted, contexts, options, connection)
        if isinstance(wanted, str):
            return [Run(family, run_id, wanted, dict) for run_id in ids]
        return [Run(family, run_id, wanted.alias, wanted.result) for run_id in ids]

    async def _until_subscribed(self) -> None:
        """Return once whoever subscribed before this sees what comes of it."""
        if self._beginning:
            await asyncio.wait(set(self._beginning))

    def _family(self) -> Family:
        return Family(self._open(), self._run, self._submit)

    def _open(self) -> Backend:
        if self._backend is None:
            raise Unavailable("The application is not open: use `async with Windlass(...) as app`.")
        return self._backend


def _slots(count: Any) -> int:
    """Return how many attempts run at one time. Raises UserError where that is no such number."""
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MOST_SLOTS:
        raise UserError(f"workers is how many attempts run at one time, from 0 to {MOST_SLOTS}; it is {count!r}.")
    return count


def options_of(
    *,
    priority: str | int | None = None,
    scheduled_at: When | None = None,
    start_after: When | None = None,
    key: str | None = None,
    labels: Mapping[str, str] | None = None,
    note: str | None = None,
    correlation_id: str | None = None,
    depends_on: Iterable[Run[Any] | str | tuple[Run[Any] | str, str]] = (),
    no_cache: bool = False,
    **unknown: Any,
) -> Options:
    """Return the options of a submission.

    `priority` is critical, high, normal, low or 1 to 15; `scheduled_at` and `start_after`, which mean the same, say not
    before when, as a time or as how long from now; `key`, of 1 to 200 printable characters, makes a second submission
    with the same content return the first one's run, for a day; `correlation_id` is the current OpenTelemetry trace
    unless given; `depends_on` are runs, or their ids, that must end before it begins: with success, or on the condition
    of a pair such as `(run, "always")` or `(run, "failure")`; `no_cache` takes no results of the step cache.
    Raises UserError where one makes no sense.
    """
    from windlass.engine.starting import points  # noqa: PLC0415 - brings in the engine
    from windlass.sdk.backend import Options  # noqa: PLC0415 - with it

    for name in unknown:
        known = [one for one, what in signature(options_of).parameters.items() if what.kind is what.KEYWORD_ONLY]
        near = suggestion(name, known) or f"; there are {', '.join(known)}."
        raise UserError(f'There is no option "{name}" of a submission{near}')
    if labels is not None and not all(isinstance(text, str) for pair in labels.items() for text in pair):
        raise UserError(f"labels are texts by name, not {dict(labels)!r}.")
    if scheduled_at is not None and start_after is not None:
        raise UserError("scheduled_at and start_after are the same option: give one of them.")
    if key is not None and not is_key(key):
        raise UserError(f"key: an idempotency key {WHAT_IT_HAS}.")
    when = start_after if scheduled_at is None else scheduled_at
    trace = _current_trace()
    return Options(
        priority=None if priority is None else points(priority),
        scheduled_at=_instant(when) if isinstance(when, datetime) else None,
        delay=None if when is None or isinstance(when, datetime) else _delay(when),
        idempotency_key=key,
        labels=labels,
        note=note,
        depends_on=tuple(_dependency(one) for one in depends_on),
        no_cache=no_cache,
        correlation_id=trace.trace_id if trace is not None and correlation_id is None else correlation_id,
        traceparent=None if trace is None else str(trace),
    )


def _dependency(said: Run[Any] | str | tuple[Run[Any] | str, str]) -> str:
    """Return a run to wait for, with its condition where one is given, as text."""
    run, condition = said if isinstance(said, tuple) else (said, None)
    run_id = run.id if isinstance(run, Run) else run
    if not isinstance(run_id, str) or not isinstance(condition, str | None):
        raise UserError(f"depends_on takes runs, ids of runs, or pairs of one and a condition, not {said!r}.")
    return run_id if condition is None else f"{run_id}:{condition}"


def _instant(when: datetime) -> int:
    """Return a time in microseconds."""
    aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return round((aware - datetime.fromtimestamp(0, UTC)) / timedelta(microseconds=1))


def _past(when: When | None) -> int | None:
    """Return a time in microseconds: one that is given, or so long ago."""
    if when is None or isinstance(when, datetime):
        return None if when is None else _instant(when)
    return _instant(datetime.now(UTC) - timedelta(seconds=_delay(when)))


def _delay(when: timedelta | float) -> float:
    """Return a length of time in seconds."""
    if isinstance(when, timedelta):
        when = when.total_seconds()
    if isinstance(when, bool) or not isinstance(when, int | float):
        raise UserError(f"Not before is a datetime, a timedelta or a number of seconds from now, not {when!r}.")
    if not 0 <= when <= LONGEST:
        raise UserError(f"{when!r} seconds is no length of time from 0 to a hundred years.")
    return when


def _current_trace() -> TraceContext | None:
    """Return the OpenTelemetry span that the caller is in, where the application uses that."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    current = trace.get_current_span().get_span_context()
    if not current.is_valid:
        return None
    from windlass.model.trace_context import TraceContext  # noqa: PLC0415 - for those who trace

    return TraceContext(f"{current.trace_id:032x}", f"{current.span_id:016x}", current.trace_flags.sampled)
