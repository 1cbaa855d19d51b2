"""What a store says, in the form in which the model says it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, Final

from tests.machine.rows import JOINED
from windlass.engine.dispatching import list_queues
from windlass.engine.engine import Engine
from windlass.model.event import Event
from windlass.store import workers
from windlass.store.events import events_after
from windlass.store.tables import metadata
from windlass.store.transaction import Transaction

_RUNS: Final = (
    "SELECT id, state, reason, priority, created_at, scheduled_at, queued_at, started_at, finished_at, deadline, "
    "cancels, expired, parent_id, parent_task, cascades, awaited, restored_at, counts, allowed_failures FROM runs"
)
_LIVE: Final = (
    "SELECT run_id, task, state, due, rank, wake_at, attempt, losses, losses_in_row, fence, worker_id, started_at, "
    "stop FROM queue"
)
_FINAL: Final = "SELECT run_id, task, state, reason, attempt, outcome, allowed, ended_at FROM tasks"
_EARLIER: Final = "SELECT run_id, task, number, outcome FROM attempts ORDER BY run_id, task, number"
_READY: Final = (
    "SELECT run_id, task FROM queue INDEXED BY ix_queue_ready WHERE state = 'queued' AND worker_id IS NULL "
    "ORDER BY rank, id"
)
#: Tables that speak of runs which have left: the catalogue of the archive and what it holds.
_ABOUT_OTHERS: Final = {"archived_runs", "archive_parts"}
_NO_RUN: Final = "NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = t.{column})"


@dataclass(frozen=True)
class Reading:
    """Everything that is compared."""

    runs: dict[bytes, tuple[Any, ...]]
    tasks: dict[tuple[bytes, int], tuple[Any, ...]]
    earlier: dict[tuple[bytes, int], list[tuple[int, str]]]
    ready: list[tuple[bytes, int]]
    #: Tasks by state, of each queue; how many each worker holds; which runs the archive has.
    queues: dict[str, dict[str, int]]
    busy: dict[int, int]
    archived: set[bytes]
    events: list[Event]
    orphans: list[str]

    @property
    def told(self) -> Counter[tuple[bytes | None, str, int | None]]:
        """How often each event was told."""
        return Counter((event.run_id, event.type, event.task) for event in self.events)


def read(tx: Transaction, engine: Engine, after: str) -> Reading:
    """Read all rows, and the events that follow a cursor."""
    return Reading(
        runs={row[0]: _run(row) for row in tx.cursor.execute(_RUNS).fetchall()},
        tasks=_tasks(tx),
        earlier=_earlier(tx),
        ready=tx.cursor.execute(_READY).fetchall(),
        queues={queue["name"]: queue["counts"] for queue in list_queues(tx, engine) if queue["counts"]},
        busy={row.id: row.busy for row in workers.live(tx)},
        archived={row[0] for row in tx.cursor.execute("SELECT run_id FROM archived_runs WHERE archive <> ''")},
        events=_events(tx, after),
        orphans=list(_orphans(tx)),
    )


def _run(row: tuple[Any, ...]) -> tuple[Any, ...]:
    *others, counts, allowed = row[1:]
    return *others, None if counts is None else json.loads(counts), allowed


def _tasks(tx: Transaction) -> dict[tuple[bytes, int], tuple[Any, ...]]:
    live = {(row[0], row[1]): row[2:] for row in tx.cursor.execute(_LIVE).fetchall()}
    final = {(row[0], row[1]): _joined(row[2:]) for row in tx.cursor.execute(_FINAL).fetchall()}
    assert not live.keys() & final.keys(), "a task is final and in the queue"
    return live | final


def _joined(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (row[0], JOINED, *row[2:]) if str(row[1]).startswith("trigger rule") else row


def _earlier(tx: Transaction) -> dict[tuple[bytes, int], list[tuple[int, str]]]:
    found: dict[tuple[bytes, int], list[tuple[int, str]]] = defaultdict(list)
    for run_id, task, number, outcome in tx.cursor.execute(_EARLIER):
        found[run_id, task].append((number, outcome))
    return dict(found)


def _events(tx: Transaction, after: str) -> list[Event]:
    found: list[Event] = []
    while more := events_after(tx, after):
        found += more
        after = more[-1].cursor
    return found


def _orphans(tx: Transaction) -> list[str]:
    """Name the tables that speak of runs which are gone."""
    found = []
    for table in metadata.sorted_tables:
        column = next((name for name in ("run_id", "on_id") if name in table.c), None)
        if column is None or table.name in _ABOUT_OTHERS:
            continue
        where = f"t.{column} IS NOT NULL AND {_NO_RUN.format(column=column)}"
        if table.name == "idempotency_keys":
            where += f" AND t.expires_at > {tx.now}"
        count = tx.cursor.execute(f"SELECT count(*) FROM {table.name} t WHERE {where}").fetchone()[0]  # noqa: S608 - our own names
        found += [f"{count} rows of {table.name}"] if count else []
    others = tx.cursor.execute(
        "SELECT count(*) FROM archive_parts WHERE run_id NOT IN (SELECT run_id FROM archived_runs)"
    ).fetchone()[0]
    unsettled = tx.cursor.execute(
        f"SELECT count(*) FROM run_dependencies t WHERE settled = 0 AND {_NO_RUN.format(column='on_id')}"  # noqa: S608 - constants only
    ).fetchone()[0]
    found += [f"{others} rows of archive_parts"] if others else []
    return found + ([f"{unsettled} dependencies on nothing"] if unsettled else [])
