"""What becomes of the work of a worker that is gone."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from windlass.clock import micros
from windlass.engine.completion import end_attempt
from windlass.engine.engine import Engine
from windlass.engine.report import report_of
from windlass.engine.setting_aside import set_aside
from windlass.model.outcome import Failed
from windlass.store import hot, workers
from windlass.store.remote_workers import grant_leases
from windlass.store.rows import Held
from windlass.store.transaction import Transaction, apart


def settle_worker(tx: Transaction, engine: Engine, worker_id: int, name: str) -> int:
    """End a worker: what it only claimed goes back to the queue, what it had started is lost.

    Returns how many attempts were lost.
    """
    lost = 0
    for found in hot.held_by(tx, worker_id):
        row = hot.held(tx, found.id)
        if row is None:
            continue  # one before it stopped the rest of their run
        if row.state == "queued":
            hot.release(tx, row.id)
            continue
        lost += 1
        lose(tx, engine, row, name)
    workers.end(tx, worker_id)
    return lost


def lose(tx: Transaction, engine: Engine, row: Held, name: str) -> None:
    """End the attempt of a running row as lost; `name` is that of its worker."""
    why = f'Its worker "{name}" is gone; what the step had done by then is not known.'
    report = report_of(row, Failed("lost", why), finished_at=tx.now, worker=name)
    failure = apart(tx, partial(end_attempt, tx, engine, row, report))
    if failure is not None:
        set_aside(tx, row.run_id, failure, row.task)


def settle_gone(tx: Transaction, engine: Engine, spared: Collection[int] = ()) -> int:
    """End every worker whose lease has run out; return how many attempts were lost.

    `spared` are the workers of the calling process: after it was stopped for longer than a lease, or its clock was set,
    their heartbeats look old although they are as alive as the caller.
    """
    return sum(settle_worker(tx, engine, worker_id, name) for worker_id, name in _gone(tx, engine, spared))


def any_gone(tx: Transaction, engine: Engine, spared: Collection[int] = ()) -> bool:
    """Say whether the lease of a worker has run out; see `settle_gone`."""
    return bool(_gone(tx, engine, spared))


def _gone(tx: Transaction, engine: Engine, spared: Collection[int]) -> list[tuple[int, str]]:
    """Return the workers whose lease has run out, each with its name."""
    before = tx.now - micros(engine.settings.lease)
    return [(worker_id, name) for worker_id, name in workers.gone(tx, before) if worker_id not in spared]


def settle_all(tx: Transaction, engine: Engine) -> int:
    """End every worker of an earlier owner of an embedded store, without waiting for leases.

    Only for a new owner that knows that all processes of the old one are dead. Workers in processes of their own may
    live: as nobody could renew a lease without an owner, they get a fresh one.
    """
    spared = grant_leases(tx)
    live = [(row.id, row.name) for row in workers.live(tx) if row.id not in spared]
    return sum(settle_worker(tx, engine, worker_id, name) for worker_id, name in live)
