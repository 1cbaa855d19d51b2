"""Gauges that are read from the store: how much there is, and how long it has been there."""

from __future__ import annotations

from typing import Any, Final

from windlass.model.metric import Figures, limited
from windlass.model.state import RUN_FINAL, RUN_MOVES
from windlass.store import step_cache, tally, workers
from windlass.store.duties import held_duties
from windlass.store.transaction import Transaction

#: Queues and pools that have a label of their own; the rest count together.
MOST_QUEUES: Final = 100
_LIVE: Final = [(state,) for state in RUN_MOVES if state not in RUN_FINAL]
_MICROS: Final = 1_000_000


def standing(tx: Transaction, lease: int) -> Figures:
    """Return the gauges of this moment; `lease` is in microseconds."""
    return {
        "windlass_runs": dict.fromkeys(_LIVE, 0.0) | {(row.state,): float(row.number) for row in tally.live_runs(tx)},
        **_queues(tx),
        **_workers(tx, lease),
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


def _workers(tx: Transaction, lease: int) -> Figures:
    alive = [row for row in workers.live(tx) if row.heartbeat_at > tx.now - lease]
    labels = limited((row.pool for row in alive), MOST_QUEUES)
    found: dict[str, dict[tuple[str, ...], float]] = {
        "windlass_workers": {},
        "windlass_worker_slots": {},
        "windlass_worker_slots_used": {},
    }
    for row in alive:
        for name, value in zip(found, (1, row.slots, row.busy), strict=True):
            key = (labels[row.pool],)
            found[name][key] = found[name].get(key, 0.0) + value
    return dict(found)
