"""Which workers are there, which work none of them will ever take, and who does what only one should."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from windlass.clock import SECOND, micros, to_text
from windlass.engine.duty import KEEPER
from windlass.engine.engine import Engine
from windlass.engine.reading import read_run
from windlass.model.lack import Lack, Need, nobody_works
from windlass.model.worker_facts import apps_in, said_and_found, step_types_in
from windlass.model.worker_state import WorkerState, worker_state
from windlass.store import stuck, workers
from windlass.store.duties import held_duties
from windlass.store.transaction import Transaction
from windlass.supervisor import procfs

#: What a process is late at telling of itself, in microseconds; clocks are set meanwhile too.
_LATE: Final = 2 * SECOND


@dataclass(frozen=True, slots=True)
class Present:
    """The workers that are there, each with the routes that it takes from."""

    workers: Sequence[tuple[Any, frozenset[int]]]
    #: Whether somebody does the duties of the store.
    served: bool

    def serving(self, route: int) -> list[tuple[Any, frozenset[int]]]:
        """Return those that serve a route, whether they take more or not."""
        return [(worker, routes) for worker, routes in self.workers if route in routes]

    def taking(self, route: int) -> bool:
        """Say whether one of them takes what becomes ready on a route."""
        return any(not worker.draining for worker, _ in self.serving(route))

    @property
    def nobody(self) -> str | None:
        """What there is to say where no worker takes work, as a clause; None where one does."""
        if any(not worker.draining for worker, _ in self.workers):
            return None
        return nobody_works(served=self.served, draining=len(self.workers))

    def lack(self, route: int, need: Need) -> Lack:
        """Return what there is to say of a route from which nobody takes."""
        said = [orjson.loads(worker.labels) for worker, _ in self.workers]
        return Lack(
            need=need,
            served=self.served,
            others=len(said),
            draining=len(self.serving(route)),
            without_type=bool(said)
            and need.step_type is not None
            and not any(need.step_type in step_types_in(one) for one in said),
            without_app=need.app is not None and not any(need.app in apps_in(one) for one in said),
        )


def need_of(queue: str, pool: str, labels: str) -> Need:
    """Return what a worker must be to take tasks on a route; `labels` is JSON text, as the route has it."""
    wanted = orjson.loads(labels)
    return Need(
        queue=queue,
        pool=pool,
        labels=said_and_found(wanted)[0],
        step_type=next(iter(step_types_in(wanted)), None),
        app=next(iter(apps_in(wanted)), None),
    )


def working(tx: Transaction, engine: Engine) -> list[Any]:
    """Return the workers that are there: within their lease, and not known to be dead."""
    since = tx.now - micros(engine.settings.lease)
    return [worker for worker in workers.live(tx) if worker.heartbeat_at > since and not _is_dead(tx, worker)]


def present(tx: Transaction, engine: Engine, there: Iterable[Any] | None = None) -> Present:
    """Return who is there; `there` are the workers, where they are known already."""
    found = [
        (
            worker,
            frozenset(
                workers.served_routes(
                    tx, pool=worker.pool, labels=orjson.loads(worker.labels), queues=orjson.loads(worker.queues)
                )
            ),
        )
        for worker in (working(tx, engine) if there is None else there)
    ]
    return Present(found, is_served(tx, engine))


def states(tx: Transaction, engine: Engine) -> list[tuple[Any, WorkerState]]:
    """Return every worker that has not ended, with its state."""
    heartbeat, lease = micros(engine.settings.heartbeat), micros(engine.settings.lease)
    found: list[tuple[Any, WorkerState]] = []
    for row in workers.live(tx):
        unheard, dead = tx.now - row.heartbeat_at, _is_dead(tx, row)
        state = worker_state(said=row.draining, unheard=unheard, heartbeat=heartbeat, lease=lease, dead=dead)
        found.append((row, state))
    return found


def is_served(tx: Transaction, engine: Engine) -> bool:
    """Say whether somebody does the duties of the store: a server, or an application that works."""
    if KEEPER in engine.parts:
        return True
    return not engine.alone and any(duty.until > tx.now for duty in held_duties(tx))


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
        there = present(tx, engine)
        for route, queue, pool, labels in stuck.awaited_routes(tx, run_id):
            if not there.taking(route):
                lack = there.lack(route, need_of(queue, pool, labels)).to_json()
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
