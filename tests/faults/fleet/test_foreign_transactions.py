"""A foreign transaction stays open for long beside servers on one PostgreSQL: nobody waits for it, or misses anything.

In the suite for some seconds; `make faults STORE=postgres MINUTES=10` leaves it open for ten minutes.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.faults.fleet.database import Database
from tests.faults.fleet.fleet import Fleet, FleetScene
from tests.fixtures.fleet import MakeFleet
from tests.oracle.crash import until
from tests.oracle.scene import step
from windlass.client.client import Client
from windlass.client.unix import UnixTransport

pytestmark = [pytest.mark.promise("H04"), pytest.mark.promise("H08")]
#: Seconds for which the foreign transaction stays open.
SECONDS = float(os.environ.get("TESTS_RESTART_MINUTES") or 0.15) * 60


class Foreign:
    """A session of another program in the database of a fleet."""

    def __init__(self, url: str) -> None:
        """Connect."""
        self._loop = asyncio.new_event_loop()
        self._connection = self._do(asyncpg.connect(url))

    def _do(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Do a statement and return its rows."""
        return list(self._do(self._connection.fetch(statement, *values)))

    def close(self) -> None:
        """Leave, and let go of whatever is open."""
        self._do(self._connection.close())
        self._loop.close()


class Follower:
    """Reads the stream of events of a server on a thread of its own."""

    def __init__(self, server: Client, after: str) -> None:
        """Follow everything behind a cursor."""
        self._client = server
        self._after = after
        self.seen: list[Any] = []
        self.cursors: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop with the next event."""
        self._over.set()

    def _follow(self) -> None:
        with suppress(Exception):  # the server ends first
            for event in self._client.events("events", last_event_id=self._after, project="*"):
                self.seen.append(event.json())
                self.cursors.append(event.id)
                if self._over.is_set():
                    return

    def told_of(self, kind: str, run: str) -> bool:
        """Say whether an event of a run has come."""
        return any(one["type"] == kind and one["runId"] == run for one in list(self.seen))


@pytest.fixture
def fleet(make_fleet: MakeFleet, pg: Database) -> Fleet:
    return make_fleet(pg.make(), worker_slots="4", lease="20s", heartbeat="2s")


@contextmanager
def foreign(pg: Database, fleet: Fleet) -> Iterator[Foreign]:
    found = Foreign(pg.url(urlsplit(str(fleet.url)).path[1:]))
    try:
        yield found
    finally:
        found.close()


@pytest.mark.fault("F42")
@pytest.mark.timeout(SECONDS + 240)
def test_f42_who_follows_events_neither_waits_for_a_foreign_transaction_nor_misses_what_it_tells(
    fleet: Fleet, pg: Database
) -> None:
    clients = fleet.start()
    scene = FleetScene(fleet)
    gate = {"name": "w", "type": "wait", "config": {"event": {"type": "go.on"}}}
    scene.define(short=step(":"), gated={"steps": [gate, {"name": "a", **step(":"), "dependsOn": "w"}]})
    with foreign(pg, fleet) as other:
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        # It holds back what vacuum may remove, has a number below all that follow, and tells something late.
        other.execute("SELECT pg_current_xact_id(), count(*) FROM events")
        (low,) = other.execute("INSERT INTO events (types, at, data) VALUES ('x.late', 0, '{}') RETURNING seq")
        followers = [Follower(Client(UnixTransport(one.socket)), "0") for one in fleet.servers]
        with followers[0], followers[1]:
            end = time.monotonic() + SECONDS
            rounds = 0
            while rounds < 3 or time.monotonic() < end:
                rounds += 1
                runs = [scene.begin(client, "short") for client in clients]
                runs.append(scene.begin(clients[rounds % 2], "gated"))
                until(lambda runs=runs: _waits(clients[0], runs[-1]), "the wait for an event", pace=0.05)  # type: ignore[misc]
                clients[1 - rounds % 2].post("events", body={"type": "go.on", "data": {"round": rounds}})
                for one in followers:
                    until(
                        lambda one=one, runs=runs: all(one.told_of("run.completed", run) for run in runs),  # type: ignore[misc]
                        "news of all that was done meanwhile",
                        pace=0.02,
                    )
            assert not any(one["type"] == "x.late" for one in followers[0].seen)
            other.execute("COMMIT")
            clients[0].post("events", body={"type": "x.last", "data": {}})
            for one in followers:
                until(lambda one=one: {"x.late", "x.last"} <= {e["type"] for e in list(one.seen)}, "what came late")  # type: ignore[misc]
            fleet.settle(clients[0])
    assert scene.started() == 3 * rounds
    kept = Counter(
        (event["seq"], event["type"])
        for event in (one.json() for one in clients[1].events("events", last_event_id="0", follow=False, project="*"))
    )
    assert low["seq"] < min(seq for seq, kind in kept if kind == "x.last")
    for one in followers:
        assert len(one.cursors) == len(set(one.cursors))
        seen = Counter((event["seq"], event["type"]) for event in one.seen)
        assert set(seen.values()) == {1}
        assert {key for key in kept if key not in seen} == set()
    scene.finish()


def _waits(client: Client, run: str) -> bool:
    return any(task["state"] == "waiting" for task in client.get("runs", run, "steps")["items"])


@pytest.mark.fault("F21")
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "lock",
    ["LOCK TABLE runs IN ACCESS EXCLUSIVE MODE", "SELECT 1 FROM runs FOR UPDATE", "SELECT 1 FROM queue FOR UPDATE"],
    ids=["table", "runs", "queue"],
)
def test_f21_what_a_foreign_transaction_has_locked_goes_on_once_it_is_over(
    fleet: Fleet, pg: Database, lock: str
) -> None:
    clients = fleet.start()
    scene = FleetScene(fleet)
    scene.define(slow=[{"name": "a", **step("sleep 0.5")}, {"name": "b", **step(":")}], short=step(":"))
    scene.begin(clients[0], "slow")
    until(lambda: scene.started() == 1, "the start of the step")
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = $1"
    with foreign(pg, fleet) as other:
        other.execute("BEGIN")
        other.execute(lock)
        until(lambda: scene.said("end") >= 1, "the end of the step")
        until(lambda: pg.execute(waits, urlsplit(str(fleet.url)).path[1:])[0][0] > 0, "somebody who waits")
        assert not _ended(clients[1]) if lock.startswith("SELECT") else True
        other.execute("ROLLBACK")
    scene.begin(clients[1], "short")
    fleet.settle(clients[0])
    assert scene.ends(clients[1]) == {"slow": ("completed", None), "short": ("completed", None)}
    assert scene.started() == 3
    scene.finish()


def _ended(client: Client) -> bool:
    return any(run["finishedAt"] is not None for run in client.get("runs")["items"])
