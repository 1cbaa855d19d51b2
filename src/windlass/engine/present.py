"""Which workers are there, which work none of them will ever take, and who does what only one should."""

from __future__ import annotations

import shlex
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from windlass.clock import SECOND, micros, to_text
from windlass.engine.duty import KEEPER
from windlass.engine.engine import Engine
from windlass.engine.reading import read_run
from windlass.model.worker_facts import said_and_found, step_types_in
from windlass.store import stuck, workers
from windlass.store.duties import held_duties
from windlass.store.transaction import Transaction
from windlass.supervisor import procfs

#: What a process is late at telling of itself, in microseconds; clocks are set meanwhile too.
_LATE: Final = 2 * SECOND
#: The pool of a worker whose settings name none.
_POOL: Final = "default"


@dataclass(frozen=True, slots=True)
class Need:
    """What a worker must be to take certain tasks."""

    queue: str
    pool: str
    labels: Mapping[str, str]
    #: A step type that not every worker has; None where every worker has what it takes.
    step_type: str | None = None

    @property
    def command(self) -> str:
        """The command that starts such a worker."""
        said = [f"WINDLASS_POOL={shlex.quote(self.pool)}"] if self.pool != _POOL else []
        if self.labels:
            said.append("WINDLASS_LABELS=" + shlex.quote(",".join(f"{key}={one}" for key, one in self.labels.items())))
        return " ".join([*said, "windlass up"])

    def __str__(self) -> str:
        """Return it as the end of a sentence."""
        labels = ", ".join(f"{key}={value}" for key, value in self.labels.items())
        told = f"queue {self.queue}, pool {self.pool}" + (f", labels {labels}" if labels else "")
        return told if self.step_type is None else f"{told}, step type {self.step_type}"


def need_of(queue: str, pool: str, labels: str) -> Need:
    """Return what a worker must be to take tasks on a route; `labels` is JSON text, as the route has it."""
    wanted = orjson.loads(labels)
    return Need(queue, pool, said_and_found(wanted)[0], next(iter(step_types_in(wanted)), None))


def have_type(there: Iterable[Any], step_type: str) -> list[Any]:
    """Return the workers that have a step type."""
    return [worker for worker in there if step_type in step_types_in(orjson.loads(worker.labels))]


def working(tx: Transaction, engine: Engine) -> list[Any]:
    """Return the workers that are there: within their lease, and not known to be dead."""
    since = tx.now - micros(engine.settings.lease)
    return [worker for worker in workers.live(tx) if worker.heartbeat_at > since and not _is_dead(tx, worker)]


def served_by(tx: Transaction, there: Iterable[Any]) -> set[int]:
    """Return the routes that workers take from."""
    return {
        route
        for worker in there
        for route in workers.served_routes(
            tx, pool=worker.pool, labels=orjson.loads(worker.labels), queues=orjson.loads(worker.queues)
        )
    }


def duties_now(tx: Transaction, engine: Engine) -> list[dict[str, Any]]:
    """Return who has each duty and since when; `lapsed` says that its lease has run out and nobody has taken it yet."""
    # Where this process owns the store and does no work, whoever stands there is dead, whatever the lease says.
    dead = engine.alone and KEEPER not in engine.parts
    return [
        {
            "name": duty.name,
            "holder": duty.holder,
            "since": to_text(duty.since),
            "until": to_text(duty.until),
            "lapsed": dead or duty.until <= tx.now,
        }
        for duty in held_duties(tx)
    ]


async def get_run_and_need(engine: Engine, run_id: bytes) -> dict[str, Any]:
    """Return a run; `waitingFor` says which worker it lacks where none that is there will take its tasks.

    Raises NotFound where there is no such run.
    """
    return await engine.store.read(_with_need, engine, run_id)


def _with_need(tx: Transaction, engine: Engine, run_id: bytes) -> dict[str, Any]:
    run = read_run(tx, engine, run_id)
    if run["counts"].get("queued"):
        there = working(tx, engine)
        served = served_by(tx, there)
        for route, queue, pool, labels in stuck.awaited_routes(tx, run_id):
            if route not in served:
                need = need_of(queue, pool, labels)
                worker = {"queue": queue, "pool": pool, "labels": need.labels}
                if need.step_type is not None:
                    worker["stepType"] = need.step_type
                lack = {"worker": worker, "command": need.command, "others": len(there)}
                return run | {"waitingFor": {**(run["waitingFor"] or {}), **lack}}
    return run


def _is_dead(tx: Transaction, worker: Any) -> bool:
    """Say whether the process of a worker on this machine is gone, or another process has its number by now."""
    if worker.host != socket.gethostname():
        return False
    found = procfs.process(worker.pid)
    if found is None or found.state in "ZX":
        return True
    # The store's clock may be another machine's: how long ago something was can be compared, not when.
    age = time.time() - procfs.started_at(found)
    return bool(age * SECOND + _LATE < tx.now - worker.started_at)
