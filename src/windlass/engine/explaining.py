"""Why a run or a step is as it is: the facts read from the store, the answer made of them by `model.why`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from windlass.engine.book import plain_layout
from windlass.engine.compiled import CompiledJob, compiled
from windlass.engine.engine import Engine
from windlass.engine.holding_back import limits_now
from windlass.engine.present import served_by, working
from windlass.engine.reading import read_run
from windlass.errors import NotFound
from windlass.ids import id_text, parse_id
from windlass.model.cause import SHOWN, Cause, waits_for
from windlass.model.did_you_mean import suggestion
from windlass.model.run_time import RunTime, run_time
from windlass.model.state import RUN_FINAL
from windlass.model.why import Place, RunFacts, TaskFacts, explain_run, explain_step
from windlass.store import places
from windlass.store import runs as stored
from windlass.store.event_waits import waits_of
from windlass.store.places import QueuePlace
from windlass.store.step_cache import misses
from windlass.store.tasks import TaskRow, tasks_of
from windlass.store.transaction import Transaction

#: Tasks ahead of one that are counted, and queued tasks of a run of which the place is looked up.
_MOST_AHEAD: Final = 10_000
_PLACES: Final = 10
#: How far runs that wait for runs are followed.
_DEEPEST: Final = 3


async def why(engine: Engine, run_id: bytes, step: str | None = None, key: str | None = None) -> dict[str, Any]:
    """Return why a run is in its state, or a step of it, or of a fanned-out step the task with `key`.

    That is `{subject, state, reason, because}`. Raises NotFound where there is no such run, step or cell.
    """
    return await engine.store.read(_why, engine, run_id, step, key)


def _why(tx: Transaction, engine: Engine, run_id: bytes, step: str | None, key: str | None) -> dict[str, Any]:
    row = stored.run(tx, run_id)
    if row is None:
        raise NotFound(f"There is no run {id_text(run_id)}.")
    job = compiled(tx, engine.jobs, row.revision_id)
    if step is None:
        return explain_run(_facts(tx, engine, row, job, None, _DEEPEST))
    if step not in job.graph.names:
        raise NotFound(f'Run {id_text(run_id)} has no step "{step}"{suggestion(step, job.graph.names)}')
    number = job.graph.names.index(step)
    found = explain_step(_facts(tx, engine, row, job, number, _DEEPEST), number, key)
    if found is None:
        raise NotFound(f'Step "{step}" of run {id_text(run_id)} has no task "{key}".')
    return found


def _facts(tx: Transaction, engine: Engine, row: Any, job: CompiledJob, step: int | None, depth: int) -> RunFacts:
    """Read what explains a run, or a step of it."""
    fan = None if row.expansion is None else engine.fans.get(tx, row.id)
    layout = plain_layout(len(job.rules)) if fan is None else fan.layout
    span = (0, layout.size - 1) if step is None else (layout.first[step], layout.first[step + 1] - 1)
    found = {} if row.state in RUN_FINAL else _places(tx, engine, row.id, (0, layout.size - 1), span)
    last = places.last_outcomes(tx, row.id)
    waits = {} if row.state in RUN_FINAL else waits_of(tx, row.id)
    cached = any(one.cache is not None for one in job.job.steps)
    missed = dict(misses(tx, row.id)) if cached else {}
    tasks = []
    for one in tasks_of(tx, row.id):
        number = one.task if fan is None else fan.step_number(one.task)
        cell = None if fan is None else fan.cell(one.task)
        key, place = "" if cell is None else cell.key, found.get(one.task)
        facts = _task(one, number, key, job, last, place, waits.get(one.task))
        tasks.append(replace(facts, cache=missed[one.task]) if missed.get(one.task) else facts)
    error = {} if row.error is None else orjson.loads(row.error)
    asked = places.cancel_request(tx, row.id) if row.cancel_requested_at is not None else None
    return RunFacts(
        id=id_text(row.id),
        job=job.alias,
        state=row.state,
        reason=row.reason,
        message=error.get("message"),
        scheduled_at=row.scheduled_at,
        time=_time_of(tx, engine, row, job) if row.expired else None,
        cancelled_at=row.cancel_requested_at,
        cancelled_by=None if asked is None else orjson.loads(asked).get("by"),
        waits_for=_waits_for(tx, engine, row, depth) if row.state == "waiting" else (),
        sla={} if row.sla is None else orjson.loads(row.sla),
        graph=job.graph,
        tasks=tasks,
    )


def _time_of(tx: Transaction, engine: Engine, row: Any, job: CompiledJob) -> RunTime:
    return run_time(
        job.job.timeout,
        engine.settings.run_deadline,
        created_at=row.created_at,
        scheduled_at=row.scheduled_at,
        queued_at=row.queued_at,
        seen_at=tx.now if row.finished_at is None else row.finished_at,
    )


def _waits_for(tx: Transaction, engine: Engine, row: Any, depth: int) -> list[Cause]:
    """Return what a waiting run waits for, with why the runs among that have not ended."""
    told = read_run(tx, engine, row.id)["waitingFor"] or {}
    behind: dict[str, list[Cause]] = {}
    for name in [one["id"] for one in told.get("runs", ())][: SHOWN if depth else 0]:
        run_id = parse_id(name)
        other = None if run_id is None else stored.run(tx, run_id)
        if other is not None and other.state not in RUN_FINAL:
            job = compiled(tx, engine.jobs, other.revision_id)
            behind[name] = explain_run(_facts(tx, engine, other, job, None, depth - 1))["because"]
    return waits_for(told, row.reason, behind)


def _task(
    row: TaskRow,
    step: int,
    key: str,
    job: CompiledJob,
    last: dict[int, str],
    place: Place | None,
    event: str | None,
) -> TaskFacts:
    definition = job.job.steps[step]
    return TaskFacts(
        task=row.task,
        step=step,
        key=key,
        state=row.state,
        reason=row.reason,
        attempt=row.attempt,
        max_attempts=definition.retry.attempts,
        exit_code=row.exit_code,
        message=(row.error or {}).get("message"),
        allowed=row.allowed,
        branches=row.branches,
        wake_at=row.wake_at,
        started_at=row.started_at,
        worker=row.worker,
        stop=row.stop,
        on_worker_lost=definition.on_worker_lost,
        retried=definition.retry.on,
        event=None if event is None else orjson.loads(event),
        last_outcome=last.get(row.task),
        kept_from=None if row.kept_from is None else id_text(row.kept_from),
        place=place,
    )


def _places(tx: Transaction, engine: Engine, run_id: bytes, *spans: tuple[int, int]) -> dict[int, Place]:
    """Return where the first queued tasks of some ranges stand."""
    found = {place for span in spans for place in places.places_of(tx, run_id, *span, _PLACES)}
    if not found:
        return {}
    there = [(worker, served_by(tx, [worker])) for worker in working(tx, engine)]
    limits = limits_now(tx, engine)
    return {place.task: _place(tx, place, there, limits.of(place.route_id, place.revision_id)) for place in found}


def _place(
    tx: Transaction, place: QueuePlace, there: Sequence[tuple[Any, set[int]]], held_back: Sequence[Cause]
) -> Place:
    serving = [(worker, routes) for worker, routes in there if place.route_id in routes]
    routes = sorted({route for _, found in serving for route in found} or {place.route_id})
    ahead = places.ahead_of(tx, place, routes, _MOST_AHEAD)
    taking = [worker for worker, _ in serving if not worker.draining]
    return Place(
        queue=place.queue,
        pool=place.pool,
        labels=_read(place.labels),
        ahead=ahead,
        more=ahead >= _MOST_AHEAD,
        workers=len(taking),
        draining=len(serving) - len(taking),
        slots=sum(worker.slots for worker in taking),
        busy=sum(worker.busy for worker in taking),
        held_back=held_back,
    )


def _read(text: str) -> Any:
    return orjson.loads(text)
