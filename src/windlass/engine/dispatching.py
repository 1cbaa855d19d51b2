"""What an operator says about queues, workers and maintenance while work goes on, each checked and done at once."""

from __future__ import annotations

from typing import Any, Final

from windlass.clock import to_text
from windlass.engine.auditing.noting import note
from windlass.engine.engine import Engine
from windlass.engine.holding_back import limits_now
from windlass.errors import NotFound
from windlass.model.did_you_mean import suggestion
from windlass.model.printable import printable
from windlass.model.queue_name import queue_name
from windlass.store import dispatch, workers
from windlass.store.jobs import is_queue_used
from windlass.store.transaction import Transaction

#: What the changes of queues and workers are called.
_VERBS: Final[dict[Any, str]] = {
    dispatch.pause_queue: "pause",
    dispatch.resume_queue: "resume",
    dispatch.limit_queue: "limit",
    workers.set_slots: "slots",
    workers.drain: "drain",
}
#: The queue of jobs that name none.
_USUAL: Final = "default"


async def pause_queue(engine: Engine, name: str, *, by: str, why: str | None = None) -> dict[str, Any]:
    """Hand out nothing of a queue; what runs goes on. Return the queue, with `warnings`."""
    return await engine.store.run(_said, engine, queue_name(name), dispatch.pause_queue, by, why)


async def resume_queue(engine: Engine, name: str) -> dict[str, Any]:
    """Hand out tasks of a queue again. Return the queue, with `warnings`."""
    return await engine.store.run(_said, engine, queue_name(name), dispatch.resume_queue)


async def limit_queue(engine: Engine, name: str, slots: int | None) -> dict[str, Any]:
    """Let workers hold so many tasks of a queue at one time; None takes what the settings say. Return the queue."""
    return await engine.store.run(_said, engine, queue_name(name), dispatch.limit_queue, slots)


def _said(tx: Transaction, engine: Engine, name: str, change: Any, *more: Any) -> dict[str, Any]:
    before = _queue(tx, engine, name)
    change(tx, name, *more)
    note(tx, f"queue.{_VERBS[change]}", f"Queue/{name}", said=[one for one in more if one is not None] or None)
    warnings = []
    if change is dispatch.resume_queue and before["paused"] is None:
        warnings.append(f"Queue {name} is not paused.")
    if change is not dispatch.limit_queue and name != _USUAL and not is_queue_used(tx, name):
        warnings.append(f"No job or task uses a queue {name} yet.")
    return _queue(tx, engine, name) | {"warnings": warnings}


def _queue(tx: Transaction, engine: Engine, name: str) -> dict[str, Any]:
    """Return a queue, also one of which nobody has said anything."""
    return next((queue for queue in list_queues(tx, engine) if queue["name"] == name), None) or {
        **_unused(engine, name),
        "rateLimits": limits_now(tx, engine).rates_of_queue(name),
    }


def _unused(engine: Engine, name: str) -> dict[str, Any]:
    limit = engine.settings.queue_limits.get(name)
    return {"name": name, "counts": {}, "oldestDueAt": None, "limit": limit, "paused": None}


def list_queues(tx: Transaction, engine: Engine) -> list[dict[str, Any]]:
    """Return every queue that holds tasks, or of which somebody said something."""
    queues: dict[str, dict[str, Any]] = {}

    def queue(name: str) -> dict[str, Any]:
        return queues.setdefault(name, _unused(engine, name))

    for row in workers.queue_depths(tx):
        found = queue(row.queue)
        found["counts"][row.state] = row.tasks
        if row.state == "queued":
            found["oldestDueAt"] = to_text(row.oldest)
    for name, said in dispatch.said_of_queues(tx).items():
        found = queue(name)
        found["limit"] = found["limit"] if said.slots is None else said.slots
        if said.paused_at is not None:
            found["paused"] = {"since": to_text(said.paused_at), "by": said.paused_by, "why": said.paused_why}
    limits = limits_now(tx, engine)
    return [queues[name] | {"rateLimits": limits.rates_of_queue(name)} for name in sorted(queues)]


def maintenance(tx: Transaction) -> dict[str, Any]:
    """Return whether nothing is handed out, and since when, by whom and why."""
    said = dispatch.maintenance(tx)
    if said is None:
        return {"on": False, "since": None, "by": None, "why": None}
    return {"on": True, "since": to_text(said["since"]), "by": said["by"], "why": said["why"]}


async def set_maintenance(engine: Engine, *, on: bool, by: str, why: str | None = None) -> dict[str, Any]:
    """Stop handing tasks out and firing triggers, or do so again; what runs goes on. Return how it is then."""

    def unit(tx: Transaction) -> dict[str, Any]:
        if on:
            dispatch.begin_maintenance(tx, by, why)
        else:
            dispatch.end_maintenance(tx)
        note(tx, "maintenance.on" if on else "maintenance.off", why=why)
        return maintenance(tx)

    return await engine.store.run(unit)


def maintenance_sentence(said: dict[str, Any]) -> str:
    """Return what there is to know while maintenance is on."""
    why = f" ({said['why']})" if said["why"] else ""
    return f"Maintenance is on since {said['since']}, by {said['by']}{why}: nothing is started until it is off"


async def set_slots(engine: Engine, name: str, slots: int) -> None:
    """Let the workers of that name hold so many tasks; a drain ends. Raises NotFound where none is at work."""
    await engine.store.run(_of_worker, name, workers.set_slots, slots)


async def drain_worker(engine: Engine, name: str) -> None:
    """Have the workers of that name take no more; what they run goes on. Raises NotFound where none is at work."""
    await engine.store.run(_of_worker, name, workers.drain)


def _of_worker(tx: Transaction, name: str, change: Any, *more: Any) -> None:
    if not change(tx, name, *more):
        known = [row.name for row in workers.live(tx)]
        raise NotFound(f'No worker "{printable(name)}" is at work{suggestion(name, known) or "."}')
    note(tx, f"worker.{_VERBS[change]}", f"Worker/{name}", said=list(more) or None)
