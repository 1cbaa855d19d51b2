"""F21: a step goes on writing while PostgreSQL is away, and the whole of its log is there once it is back."""

from __future__ import annotations

import time

import pytest

from tests.faults.fleet.database import Database
from tests.faults.fleet.fleet import Fleet, FleetScene
from tests.fixtures.fleet import MakeFleet
from tests.oracle.crash import until
from tests.oracle.scene import step
from windlass.client.client import Client
from windlass.client.unix import UnixTransport

pytestmark = [pytest.mark.promise("H13"), pytest.mark.timeout(240)]
#: Seconds without a sign of life after which a worker counts as gone, and for which the database is away.
LEASE, AWAY = 20.0, 6.0
#: Lines written before the database goes away, before it is back, and in all; the second part is more than waits in
#: memory.
BEFORE, WRITTEN, ALL = 1000, 400_000, 401_000
COUNTS = """\
seq {before}; until [ -e {folder}/away ]; do sleep 0.05; done
seq {after} {written}; touch {folder}/written; until [ -e {folder}/back ]; do echo waiting; sleep 0.2; done
seq {late} {all}"""


@pytest.fixture(params=["server", "database", "http"])
def fleet(make_fleet: MakeFleet, pg: Database, request: pytest.FixtureRequest) -> Fleet:
    """Give a server, and what works: itself, a worker on the database, or one that works through the server."""
    said = {"lease": f"{LEASE}s", "heartbeat": "1s", "worker_slots": "2" if request.param == "server" else "0"}
    found = make_fleet(pg.make(), servers=1, **said)
    server = found.servers[0]
    server.start()
    if request.param == "database":
        found.add_worker_on_database(worker_slots="2").join()
    if request.param == "http":
        found.add_worker(found.folder, url=f"unix://{server.socket}", worker_slots="2").join()
    return found


@pytest.mark.fault("F21")
def test_f21_no_line_is_lost_or_doubled_that_a_step_writes_while_the_database_is_away(
    fleet: Fleet, pg: Database
) -> None:
    client = Client(UnixTransport(fleet.servers[0].socket))
    scene = FleetScene(fleet)
    script = COUNTS.format(
        before=BEFORE, after=BEFORE + 1, written=WRITTEN, late=WRITTEN + 1, all=ALL, folder=scene.folder
    )
    scene.define(counts=step(script))
    run = scene.begin(client, "counts")

    def lines() -> list[str]:
        return b"".join(client.read("runs", run, "logs")).decode().splitlines()

    until(lambda: str(BEFORE) in lines(), "the first lines")
    pg.end("fast")
    gone = time.monotonic()
    (scene.folder / "away").touch()
    until((scene.folder / "written").exists, "a step that nothing holds up")
    until(lambda: time.monotonic() > gone + AWAY, "a part of the lease")
    pg.start()
    (scene.folder / "back").touch()
    fleet.settle(client)
    assert scene.ends(client) == {"counts": ("completed", None)}
    found = lines()
    assert [line for line in found if line != "waiting"] == [str(number) for number in range(1, ALL + 1)]
    assert "waiting" in found
    (attempt,) = client.pages("runs", run, "executions")
    assert attempt["logBytes"] == attempt["bytesOut"] == sum(len(line) + 1 for line in found)
    scene.finish()
