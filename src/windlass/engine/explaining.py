"""Why a run or a step is as it is: the facts read from the store, the answer made of them by `model.why`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from windlass.engine.book import plain_layout
from windlass.engine.compiled import CompiledJob, compiled
from windlass.engine.dependencies import FAILED, NOT_NEEDED
from windlass.engine.engine import Engine
from windlass.engine.event_waits import OUTPUT
from windlass.engine.fan import Fan
from windlass.engine.holding_back import limits_now
from windlass.engine.present import Present, need_of, present, working
from windlass.engine.reading import read_run
from windlass.errors import NotFound
from windlass.ids import id_text, parse_id
from windlass.model.alone import begins_alone, needs_of, room_beside
from windlass.model.cause import SHOWN, Cause, cause, waits_for
from windlass.model.concurrency import SKIPPED
from windlass.model.definition import Step
from windlass.model.dependency import judge
from windlass.model.did_you_mean import suggestion
from windlass.model.printable import printable
from windlass.model.run_time import RunTime, run_time, time_was_up
from windlass.model.state import RUN_FINAL
from windlass.model.why import Place, RunFacts, TaskFacts, explain_run, explain_step
from windlass.model.why_others import event_came, not_needed, other_run, place_was_taken, stopped, told_elsewhere
from windlass.store import places
from windlass.store import runs as stored
from windlass.store.event_waits import waits_of
from windlass.store.losses import held_losses
from windlass.store.places import QueuePlace
from windlass.store.relations import ended_dependencies, last_children
from windlass.store.step_cache import misses
from windlass.store.tasks import TaskRow, tasks_of
from windlass.store.transaction import Transaction

#: Tasks ahead of one that are counted, and queued tasks of a run of which the place is looked up.
_MOST_AHEAD: Final = 10_000
_PLACES: Final = 10
#: How far the causes are followed into other runs, how many of those are read, and tasks of them.
_DEEPEST: Final = 20
_MOST_RUNS: Final = 40
_MOST_TASKS: Final = 20_000
#: Characters of a name that is repeated.
_LONGEST_NAME: Final = 80
_BAD: Final = frozenset({"failed", "timeout"})


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
    trail = _Trail(tx, engine)
    trail.told.add(run_id)
    if step is None:
        return explain_run(trail.facts(row, job, None, _DEEPEST))
    if step not in job.graph.names:
        raise NotFound(f"Run {id_text(run_id)} has no step {_unknown(step, job.graph.names)}")
    number = job.graph.names.index(step)
    found = explain_step(trail.facts(row, job, number, _DEEPEST, key), number, key)
    if found is None:
        keys = [] if row.expansion is None else _keys(engine.fans.get(tx, row.id), number)
        raise NotFound(f'Step "{step}" of run {id_text(run_id)} has no task {_unknown(key or "", keys)}')
    return found


def _keys(fan: Fan, step: int) -> list[str]:
    """Return the keys of the tasks of a step."""
    cells = [fan.cell(task) for task in range(fan.layout.first[step], fan.layout.first[step + 1])]
    return [cell.key for cell in cells if cell is not None]


def _unknown(name: str, known: Sequence[str]) -> str:
    """Return the end of a sentence that there is nothing of a name: what was likely meant, or what there is."""
    said = f'"{printable(name[:_LONGEST_NAME])}"'
    near = suggestion(name, known)
    if near:
        return said + near
    few = ", ".join(known[:SHOWN]) + (f" and {len(known) - SHOWN} more" if len(known) > SHOWN else "")
    return f"{said}; it has {few}." if any(known) else f"{said}."


@dataclass(slots=True)
class _Trail:
    """Goes from a run to those that are behind its state, each of them once and not too many."""

    tx: Transaction
    engine: Engine
    told: set[bytes] = field(default_factory=set)
    _tasks: int = 0

    def behind(self, run_id: bytes, depth: int) -> list[Cause]:
        """Return why another run is as it is; nothing where that is told already."""
        row = stored.run(self.tx, run_id)
        return [] if row is None else self._of(row, depth)

    def _of(self, row: Any, depth: int) -> list[Cause]:
        if row.id in self.told:
            return []
        if depth <= 0 or len(self.told) >= _MOST_RUNS or self._tasks >= _MOST_TASKS:
            return [told_elsewhere(id_text(row.id))]
        self.told.add(row.id)
        job = compiled(self.tx, self.engine.jobs, row.revision_id)
        found: list[Cause] = explain_run(self.facts(row, job, None, depth - 1))["because"]
        return found

    def _child(self, run_id: bytes, depth: int) -> Cause | None:
        row = stored.run(self.tx, run_id)
        return None if row is None else other_run(id_text(run_id), row.job, row.state, self._of(row, depth))

    def facts(self, row: Any, job: CompiledJob, step: int | None, depth: int, key: str | None = None) -> RunFacts:
        """Read what explains a run, or a step of it."""
        tx, engine = self.tx, self.engine
        fan = None if row.expansion is None else engine.fans.get(tx, row.id)
        layout = plain_layout(len(job.rules)) if fan is None else fan.layout
        self._tasks += layout.size
        span = (0, layout.size - 1) if step is None else (layout.first[step], layout.first[step + 1] - 1)
        live = row.state not in RUN_FINAL
        found = _places(tx, engine, row.id, (0, layout.size - 1), span) if live else {}
        rows = tasks_of(tx, row.id)
        before = places.earlier_outcomes(tx, row.id)
        waits = waits_of(tx, row.id) if live else {}
        cached = any(one.cache is not None for one in job.job.steps)
        missed = dict(misses(tx, row.id)) if cached else {}
        held = {one.task for one in rows if one.worker is not None and one.state in {"queued", "running"}}
        there = {worker.name for worker in working(tx, engine)} if held else set()
        tasks = []
        for one in rows:
            number = one.task if fan is None else fan.step_number(one.task)
            cell = None if fan is None else fan.cell(one.task)
            name, place = "" if cell is None else cell.key, found.get(one.task)
            facts = _task(one, number, name, job, before.get(one.task, ()), place, waits.get(one.task))
            if one.task in held and one.worker not in there:
                facts = replace(facts, worker_gone=True)
            tasks.append(replace(facts, cache=missed[one.task]) if missed.get(one.task) else facts)
        error = {} if row.error is None else orjson.loads(row.error)
        return RunFacts(
            id=id_text(row.id),
            job=job.alias,
            state=row.state,
            reason=row.reason,
            message=error.get("message"),
            scheduled_at=row.scheduled_at,
            time=_time_of(row, job),
            asked=None if row.cancel_requested_at is None else self._asked(row, depth),
            beyond=self._beyond(row, job, error, depth),
            waits_for=self._waits_for(row, depth) if row.state == "waiting" else (),
            sla={} if row.sla is None else orjson.loads(row.sla),
            most=job.job.max_parallel_tasks or None,
            graph=job.graph,
            tasks=self._with_children(row, tasks, step, key, depth),
        )

    def _with_children(
        self, row: Any, tasks: list[TaskFacts], step: int | None, key: str | None, depth: int
    ) -> list[TaskFacts]:
        """Add the runs that tasks started, of those that are named: first those that are asked about."""
        started = last_children(self.tx, row.id)
        if not started:
            return tasks
        of = [one for one in tasks if one.task in started and one.state in _BAD | {"waiting"}]
        asked = [one for one in of if one.step == step and key in {None, one.key}]
        named = [*asked[:SHOWN], *[one for one in of if one.state in _BAD][:SHOWN]]
        named += [one for one in of if one.state == "waiting"][:SHOWN]
        children = {number: self._child(started[number], depth) for number in dict.fromkeys(one.task for one in named)}
        return [replace(one, child=children[one.task]) if children.get(one.task) else one for one in tasks]

    def _waits_for(self, row: Any, depth: int) -> list[Cause]:
        """Return what a waiting run waits for, with why the runs among that have not ended."""
        told = read_run(self.tx, self.engine, row.id)["waitingFor"] or {}
        behind: dict[str, list[Cause]] = {}
        for name in [one["id"] for one in told.get("runs", ())][:SHOWN]:
            run_id = parse_id(name)
            other = None if run_id is None else stored.run(self.tx, run_id)
            if other is not None and other.state not in RUN_FINAL:
                behind[name] = self._of(other, depth)
        return waits_for(told, row.reason, behind)

    def _asked(self, row: Any, depth: int) -> Cause:
        """Return who or what asked a run to stop."""
        said = self._told(row.id, "run.cancel_requested")
        parent = parse_id(said["parent"]) if said.get("parent") else None
        above = None if parent is None or depth <= 0 else stored.run(self.tx, parent)
        if above is None:
            return stopped(row.cancel_requested_at, said)
        return stopped(row.cancel_requested_at, said, above.job, self._why_stopped(above, row, depth - 1))

    def _why_stopped(self, above: Any, child: Any, depth: int) -> list[Cause]:
        """Return why a parent stopped its child: it was stopped itself, or the step that waited."""
        if above.cancel_requested_at is not None:
            return [self._asked(above, depth)]
        job = compiled(self.tx, self.engine.jobs, above.revision_id)
        time = _time_of(above, job)
        if time is not None:
            return [time_was_up(time, [])]
        if above.id in self.told or child.parent_task is None:
            return []
        fan = None if above.expansion is None else self.engine.fans.get(self.tx, above.id)
        number = child.parent_task if fan is None else fan.step_number(child.parent_task)
        cell = None if fan is None else fan.cell(child.parent_task)
        self.told |= {above.id, child.id}
        name = "" if cell is None else cell.key
        found = explain_step(self.facts(above, job, number, depth, name), number, name)
        because: list[Cause] = [] if found is None else found["because"]
        return because

    def _beyond(self, row: Any, job: CompiledJob, error: dict[str, Any], depth: int) -> list[Cause]:
        """Return what ended a run that was never begun, where that lies in other runs."""
        if row.reason == FAILED:
            other = parse_id(error["run"]) if error.get("run") else None
            behind = [] if other is None else self.behind(other, depth)
            return [
                cause(FAILED, error.get("message") or "A run that it waited for failed.", behind, run=error.get("run"))
            ]
        if row.reason == NOT_NEEDED:
            for one in ended_dependencies(self.tx, row.id):
                if judge(one.condition, one.state) == "not_needed":
                    behind = self.behind(one.id, depth)
                    return [not_needed(NOT_NEEDED, id_text(one.id), one.job, one.condition, one.state, behind)]
        if row.reason == SKIPPED:
            said = self._told(row.id, "run.cancelled")
            return [place_was_taken(SKIPPED, (job.job.concurrency or {}).get("limit"), said.get("holders", ()))]
        return []

    def _told(self, run_id: bytes, event_type: str) -> dict[str, Any]:
        text = places.first_told(self.tx, run_id, event_type)
        found: dict[str, Any] = {} if text is None else orjson.loads(text)
        return found


def _time_of(row: Any, job: CompiledJob) -> RunTime | None:
    """Return the limit of a run that ran into it, as it was; None where that was before such was kept."""
    if not row.expired or row.up_at is None:
        return None
    begins = max(row.created_at, row.scheduled_at or 0) if row.counted_at is None else row.counted_at
    return run_time(job.job.timeout, begins=begins, up_at=row.up_at, waited=row.queued_at is None)


def _task(
    row: TaskRow,
    step: int,
    key: str,
    job: CompiledJob,
    before: Sequence[str],
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
        lost=before.count("lost"),
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
        last_outcome=before[-1] if before else None,
        came=_came(row, definition),
        kept_from=None if row.kept_from is None else id_text(row.kept_from),
        place=place,
    )


def _came(row: TaskRow, definition: Step) -> Cause | None:
    """Return the event that ended the wait of a step."""
    event = (row.outputs or {}).get(OUTPUT) if definition.type == "wait" else None
    return event_came(event, definition.config.get(OUTPUT)) if isinstance(event, dict) and "type" in event else None


def _places(tx: Transaction, engine: Engine, run_id: bytes, *spans: tuple[int, int]) -> dict[int, Place]:
    """Return where the first queued tasks of some ranges stand."""
    found = {place for span in spans for place in places.places_of(tx, run_id, *span, _PLACES)}
    if not found:
        return {}
    there = present(tx, engine)
    limits = limits_now(tx, engine)
    return {place.task: _place(tx, place, there, limits.of(place.route_id, place.revision_id)) for place in found}


def _place(tx: Transaction, place: QueuePlace, there: Present, held_back: Sequence[Cause]) -> Place:
    serving = there.serving(place.route_id)
    routes = sorted({route for _, found in serving for route in found} or {place.route_id})
    ahead = places.ahead_of(tx, place, routes, _MOST_AHEAD)
    taking = [worker for worker, _ in serving if not worker.draining]
    beside = _held_beside(tx, place, taking)
    need = need_of(place.queue, place.pool, place.labels)
    return Place(
        need=need,
        lack=None if taking else there.lack(place.route_id, need),
        ahead=ahead,
        more=ahead >= _MOST_AHEAD,
        workers=len(taking),
        slots=sum(worker.slots for worker in taking),
        busy=sum(worker.busy for worker in taking),
        held_back=[*held_back, *beside],
    )


def _held_beside(tx: Transaction, place: QueuePlace, taking: Sequence[Any]) -> list[Cause]:
    """Say that a task which was lost with its worker waits for others of that kind, where every worker has some."""
    needed = sum(units for _, units in needs_of(place.losses_in_row))
    if not needed or any(room_beside(held_losses(tx, worker.id)) >= needed for worker in taking):
        return []
    return [begins_alone(place.losses_in_row, worker.name) for worker in taking[:1]]
