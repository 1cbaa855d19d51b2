"""More workers than the database has connections for: they take turns, wait, and lose nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.faults.fleet.database import Database
from tests.faults.fleet.fleet import FleetScene
from tests.fixtures.fleet import MakeFleet
from tests.oracle.crash import until
from tests.oracle.scene import step

pytestmark = [pytest.mark.promise("H13"), pytest.mark.timeout(300)]
#: Connections that the database has, three of them for its superuser; and workers, each of which would take three.
ROOM = 16
WORKERS = 10
#: Loops of a worker that ask the database by themselves: worker, heartbeat, custodian, courier, purser.
LOOPS = 5
#: Most of these that a server takes.
SERVERS = 6


def test_workers_share_the_few_connections_that_there_are(
    make_fleet: MakeFleet, request: pytest.FixtureRequest
) -> None:
    request.node.user_properties.append(("store", "postgres"))
    with Database(max_connections=str(ROOM)) as pg:
        # The role of the tests is a superuser: it would take what is kept for them as well.
        pg.execute("CREATE ROLE windlass LOGIN")
        url = pg.make()
        name = url.rpartition("/")[2]
        pg.execute(f'ALTER DATABASE "{name}" OWNER TO windlass')
        url = url.replace("postgres@", "windlass@")
        fleet = make_fleet(url, servers=1, worker_slots="0", lease="20s", heartbeat="4s", cleanup_grace="5s")
        scene = FleetScene(fleet)
        client = fleet.servers[0].start()
        for _ in range(WORKERS):
            fleet.add_worker_on_database(worker_slots="2")
        with ThreadPoolExecutor(WORKERS) as hands:
            list(hands.map(lambda one: one.join(), fleet.workers))
        scene.define(short=step("echo said; sleep 0.2"))
        for _ in range(40):
            scene.begin(client, "short")
        fleet.settle(client)
        assert scene.started() == 40
        assert set(scene.ends(client).values()) == {("completed", None)}
        living = [one for one in client.get("workers")["items"] if one["state"] == "running" and one["slots"]]
        assert len(living) == WORKERS
        # Idle workers leave room for others: a person's connection, and a server that starts.
        until(lambda: connections(pg, name) <= ROOM - 3 - SERVERS, "room for another server", patience=120)
        with closing(fleet.add_server()) as other:
            assert len(other.start().get("workers")["items"]) >= WORKERS
            assert other.stop() == 0
        fleet.servers.pop()
        for one in fleet.workers:
            assert one.log().count("has no connection left") <= LOOPS, one.log()  # each of its loops says so once
        fleet.url = pg.url(name)  # the oracle looks at what only a superuser may
        scene.finish()


def connections(pg: Database, name: str) -> int:
    """Return how many connections to a database there are."""
    found = pg.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", name)
    return int(found[0][0])
