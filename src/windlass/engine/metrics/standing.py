"""Gauges that are read from the store: how much there is, and how long it has been there."""

from __future__ import annotations

from typing import Any, Final

from windlass.model.metric import Figures, limited
from windlass.model.state import RUN_FINAL, RUN_MOVES
from windlass.model.worker_state import worker_state
from windlass.store import step_cache, tally, workers
from windlass.store.duties import held_duties
from windlass.store.transaction import Transaction

#: Queues and pools that have a label of their own; the rest count together.
MOST_QUEUES: Final = 100
_LIVE: Final = [(state,) for state in RUN_MOVES if state not in RUN_FINAL]
_MICROS: Final = 1_000_000


def standing(tx: Transaction, heartbeat: int, lease: int) -> Figures:
    """Return the gauges of this moment; `heartbeat` and `lease` are in microseconds."""
    return {
        "windlass_runs": dict.fromkeys(_LIVE, 0.0) | {(row.state,): float(row.number) for row in tally.live_runs(tx)},
        **_queues(tx),
        **_workers(tx, heartbeat, lease),
        **_duties(tx),
        **_cache(tx),
    }


def _duties(tx: Transaction) -> Figures:
    held: dict[tuple[str, ...], float] = {
        (duty.name,): duty.since / _MICROS for duty in held_duties(tx) if duty.until > tx.now
    }
    return {"windlass_duty_since_timestamp_seconds": held}


def _cache(tx: Transaction) -> Figures:
    entries, size = step_cache.figures(tx)
    return {"windlass_cache_entries": {(): float(entries)}, "windlass_cache_bytes": {(): float(size)}}


def _queues(tx: Transaction) -> Figures:
    rows = tally.standing_tasks(tx)
    labels = limited((row.queue for row in rows), MOST_QUEUES)
    counts: dict[tuple[str, ...], float] = {}
    oldest: dict[tuple[str, ...], float] = {}
    for row in rows:
        key = (labels[row.queue], row.state)
        counts[key] = counts.get(key, 0.0) + row.number
        since = _since(row)
        if since is not None:
            oldest[key] = max(oldest.get(key, 0.0), (tx.now - since) / _MICROS)
    return {"windlass_queue_tasks": counts, "windlass_queue_oldest_seconds": oldest}


def _since(row: Any) -> int | None:
    """Return since when the first task of a queue and state has been there, in microseconds."""
    by_state = {"queued": row.due, "running": row.started_at, "scheduled": row.wake_at, "waiting": row.wake_at}
    found: int | None = by_state.get(row.state)
    return found


def _workers(tx: Transaction, heartbeat: int, lease: int) -> Figures:
    """Return the workers by state, and the slots of those that take work."""
    states = [
        (row, worker_state(said=row.draining, unheard=tx.now - row.heartbeat_at, heartbeat=heartbeat, lease=lease))
        for row in workers.live(tx)
    ]
    alive = [(row, state) for row, state in states if state != "lost"]
    labels = limited((row.pool for row, _ in alive), MOST_QUEUES)
    counts: dict[tuple[str, ...], float] = {}
    slots: dict[tuple[str, ...], float] = {}
    used: dict[tuple[str, ...], float] = {}
    for row, state in alive:
        key = (labels[row.pool],)
        counts[*key, state] = counts.get((*key, state), 0.0) + 1
        if state == "running":
            slots[key] = slots.get(key, 0.0) + row.slots
            used[key] = used.get(key, 0.0) + row.busy
    return {"windlass_workers": counts, "windlass_worker_slots": slots, "windlass_worker_slots_used": used}
