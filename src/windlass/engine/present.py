"""Which workers are there, and which work none of them will ever take."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from windlass.clock import SECOND, micros
from windlass.engine.engine import Engine
from windlass.engine.reading import read_run
from windlass.store import stuck, workers
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
        return f"queue {self.queue}, pool {self.pool}" + (f", labels {labels}" if labels else "")


def working(tx: Transaction, engine: Engine) -> list[Any]:
    """Return the workers that are there: within their lease, and not known to be dead."""
    since = tx.now - micros(engine.settings.lease)
    return [worker for worker in workers.live(tx) if worker.heartbeat_at > since and not _is_dead(worker)]


def served_by(tx: Transaction, there: Iterable[Any]) -> set[int]:
    """Return the routes that workers take from."""
    return {
        route
        for worker in there
        for route in workers.served_routes(
            tx, pool=worker.pool, labels=orjson.loads(worker.labels), queues=orjson.loads(worker.queues)
        )
    }


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
                need = Need(queue, pool, orjson.loads(labels))
                worker = {"queue": queue, "pool": pool, "labels": need.labels}
                lack = {"worker": worker, "command": need.command, "others": len(there)}
                return run | {"waitingFor": {**(run["waitingFor"] or {}), **lack}}
    return run


def _is_dead(worker: Any) -> bool:
    """Say whether the process of a worker on this machine is gone, or another process has its number by now."""
    if worker.host != socket.gethostname():
        return False
    found = procfs.process(worker.pid)
    return found is None or found.state in "ZX" or procfs.started_at(found) * SECOND > worker.started_at + _LATE
