"""The API of an application in this process, as a client has it: what is counted afterwards comes through it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from windlass import Windlass
from windlass.api.message import local_admin
from windlass.api.routes.all import route_table
from windlass.cli.inprocess import LocalTransport
from windlass.client.client import Client
from windlass.store.transaction import Transaction

Result = TypeVar("Result")

#: Events of a run of one step that completes at its first attempt.
EVENTS = (
    "run.created",
    "run.queued",
    "task.queued",
    "run.started",
    "task.started",
    "task.completed",
    "run.completed",
)
#: Runs of which the attempts are looked at one by one.
_SAMPLE = 200


class _HereLoop:
    """The running event loop, for threads that wait for what it runs."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def client_in(app: Windlass) -> Client:
    """Return a client of an open application that owns its store or shares it; it is to be used in another thread."""
    engine = app._backend._engine  # type: ignore[union-attr]  # noqa: SLF001 - the bench knows the program
    return Client(LocalTransport(_HereLoop(), route_table(), engine, local_admin("bench")))  # type: ignore[arg-type]


async def assert_durable(app: Windlass) -> None:
    """End the program unless every commit on PostgreSQL is flushed to the disk before it is answered."""
    store = app._backend._engine.store  # type: ignore[union-attr]  # noqa: SLF001 - as above
    found = await store.run(_commits)
    if found != {"fsync": "on", "synchronous_commit": "on"}:
        raise SystemExit(f"commits are not flushed: {found}")


def _commits(tx: Transaction) -> dict[str, str]:
    names = ("fsync", "synchronous_commit")
    return {name: tx.cursor.execute(f"SHOW {name}", ()).fetchone()[0] for name in names}


def anything_left(client: Client) -> bool:
    """Say whether any run is not final yet."""
    return any(one["counts"] for one in client.get("queues")["items"])


def check_history(client: Client, count: int) -> None:
    """Count runs, events and attempts through the API; end the program where any is missing."""
    ids = [run["id"] for run in client.pages("runs", state=["completed"])]
    events = Counter(event.type for event in client.events("events", after="0", follow=False, project="*"))
    wrong = {name: events[name] for name in EVENTS if events[name] != count}
    if len(set(ids)) != count or wrong:
        raise SystemExit(f"{len(set(ids))} of {count} runs are there; events that are not {count}: {wrong}")
    for run_id in ids[:: max(1, count // _SAMPLE)]:
        attempts = list(client.pages("runs", run_id, "executions"))
        if [(one["number"], one["outcome"]) for one in attempts] != [(1, "completed")]:
            raise SystemExit(f"run {run_id} has the attempts {attempts}")
