"""Servers and workers that reach PostgreSQL only through a real PgBouncer, in its mode `transaction`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.faults.fleet.database import Database
from tests.faults.fleet.fleet import Fleet, FleetScene
from tests.faults.fleet.restarts import Restarts
from tests.faults.fleet.siege import SETTINGS, Siege
from tests.fixtures.fleet import MakeFleet
from tests.fixtures.pgbouncer import ENDS, Bouncer
from tests.oracle.crash import until
from tests.oracle.scene import step

pytestmark = [pytest.mark.promise("H04"), pytest.mark.timeout(240)]
#: Seconds of load while PgBouncer comes and goes.
SECONDS = 20.0


class Behind:
    """A fleet behind PgBouncer."""

    def __init__(self, make_fleet: MakeFleet, pg: Database, bouncer: Bouncer, **more: object) -> None:
        """Prepare two servers; `more` are parameters of their URL."""
        self.pg, self.bouncer = pg, bouncer
        url = pg.make()
        self.name = urlsplit(url).path[1:]
        # The oracle reads past it: what it looks at must not be in the way of what it looks at.
        self.fleet: Fleet = make_fleet(url, servers=0, **SETTINGS)
        for _ in range(2):
            self.fleet.add_server(url=bouncer.url(self.name, **more))

    def sessions(self) -> list[Any]:
        """Return the addresses from which sessions of the database came, and what is prepared in none of them."""
        said = "SELECT application_name, query FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"
        return self.pg.execute(said, self.name)


@pytest.fixture
def bouncer(pg: Database) -> Iterator[Bouncer]:
    with Bouncer("127.0.0.1", pg.port, "postgres", pool=3) as found:
        yield found
        print(found.log())  # noqa: T201 - shown where the test fails


@pytest.mark.parametrize("listens", [False, True], ids=["polling", "listening"])
def test_a_fleet_works_through_three_connections(
    make_fleet: MakeFleet, pg: Database, bouncer: Bouncer, *, listens: bool
) -> None:
    behind = Behind(make_fleet, pg, bouncer, **({"listen": f"127.0.0.1:{pg.port}"} if listens else {}))
    fleet, scene = behind.fleet, FleetScene(behind.fleet)
    clients = fleet.start()
    scene.define(
        short=step("echo one"),
        chain=[{"name": name, **step(f"echo {name}")} for name in ("a", "b", "c")],
        endless=step("exec sleep 98765.$TOKEN"),
    )
    for number in range(12):
        scene.begin(clients[number % 2], "chain" if number % 3 else "short")
    doomed = scene.begin(clients[0], "endless")
    until(lambda: clients[0].get("runs", doomed)["state"] == "running", "the start of what has no end", pace=0.05)
    clients[1].post("runs", doomed, "cancel")
    fleet.settle(clients[1])
    assert scene.ends(clients[1]) == {
        "short": ("completed", None),
        "chain": ("completed", None),
        "endless": ("cancelled", "cancelled"),
    }
    direct = [said for said in behind.sessions() if said["query"].startswith("LISTEN")]
    assert len(direct) == (2 if listens else 0)
    assert len(behind.sessions()) <= 3 + len(direct)
    scene.finish()


@pytest.mark.fault("F4")
@pytest.mark.parametrize("kills", [False, True], ids=["restarts", "restarts-and-kills"])
def test_f04_a_pooler_that_comes_and_goes_costs_nothing(
    make_fleet: MakeFleet, pg: Database, bouncer: Bouncer, fault_seed: int, *, kills: bool
) -> None:
    behind = Behind(make_fleet, pg, bouncer)
    siege = Siege(behind.fleet, fault_seed, kills=kills)
    pids = [one.pids()["owner"] for one in behind.fleet.servers]
    end = time.monotonic() + SECONDS
    with Restarts(bouncer, ENDS, seed=fault_seed, up=(0.5, 3.0), down=(0.0, 1.0)) as restarts:
        while time.monotonic() < end:
            siege.act()
    print(f"{len(restarts.done)} restarts: {restarts.done}")  # noqa: T201 - shown where the test fails
    assert set(restarts.done) == set(ENDS)
    if not kills:
        assert [one.pids()["owner"] for one in behind.fleet.servers] == pids
    siege.end()
    assert siege.crowd.accepted
