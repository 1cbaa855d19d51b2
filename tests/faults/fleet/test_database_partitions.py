"""F7, F15, F20, F23: servers that reach PostgreSQL late or not at all, or are of another time or version."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.fleet.database import Database
from tests.faults.fleet.fleet import Fleet, FleetScene, Member
from tests.faults.fleet.namespaces import Machine, Machines
from tests.faults.fleet.proxy import Proxy
from tests.faults.fleet.weather import STALLED, SWALLOWED, Weather
from tests.fixtures.fleet import MakeFleet
from tests.oracle.crash import DOOMED, until
from tests.oracle.scene import step
from windlass.store.migrations import FLOOR

pytestmark = [pytest.mark.promise("H04"), pytest.mark.timeout(180)]
#: Seconds without a sign of life after which a worker counts as gone.
LEASE = 6.0
SETTINGS = {"worker_slots": "4", "lease": f"{LEASE}s", "heartbeat": f"{LEASE / 6}s", "cleanup_grace": "5s"}
RETRY = {"onWorkerLost": "retry"}
#: Ends only where it was begun a second time.
AGAIN = step('[ "$WINDLASS_ATTEMPT" -ge 2 ] || exec sleep 98765.$TOKEN', **RETRY)


class Apart:
    """Two servers that reach their database by a proxy each."""

    def __init__(self, fleet: Fleet, pg: Database, seed: int, stack: ExitStack) -> None:
        """Prepare; the servers are not started."""
        assert fleet.url is not None
        name = urlsplit(fleet.url).path[1:]
        self.fleet = fleet
        self.proxies = [stack.enter_context(Proxy(("127.0.0.1", pg.port), seed=seed + number)) for number in range(2)]
        for proxy in self.proxies:
            fleet.add_server(url=pg.url(name, port=proxy.port))
        self.scene = FleetScene(fleet)

    def holder(self) -> int:
        """Return the number of the server that runs the only step, once it has begun."""
        until(lambda: self.scene.started() >= 1, "the start of the step")
        pid = self.scene.ledger.read()[0].pid
        return next(number for number, one in enumerate(self.fleet.servers) if pid in one.below())


#: Leases that are longer than what a slow database, a short break and a busy machine take together.
PATIENT = pytest.mark.parametrize("lease", [15.0])


@pytest.fixture
def lease() -> float:
    return LEASE


@pytest.fixture
def apart(make_fleet: MakeFleet, pg: Database, fault_seed: int, lease: float) -> Iterator[Apart]:
    settings = SETTINGS | {"lease": f"{lease}s", "heartbeat": f"{lease / 5}s"}
    with ExitStack() as stack:
        found = Apart(make_fleet(pg.make(), servers=0, **settings), pg, fault_seed, stack)
        yield found
        found.fleet.close()


@pytest.mark.fault("F7")
@pytest.mark.parametrize("weather", [STALLED, SWALLOWED], ids=["stalled", "half-open"])
def test_f07_a_server_without_its_database_ends_what_may_start_elsewhere_before_it_does(
    apart: Apart, weather: Weather
) -> None:
    scene, clients = apart.scene, apart.fleet.start()
    scene.define(again=AGAIN)
    run = scene.begin(clients[0], "again")
    number = apart.holder()
    apart.proxies[number].set(there=weather, back=weather)
    other = clients[1 - number]
    until(lambda: other.get("runs", run)["finishedAt"] is not None, "the end of the run", pace=0.1)
    assert other.get("runs", run)["state"] == "completed"
    assert scene.started() == 2
    apart.proxies[number].heal()
    apart.fleet.settle(clients[number])
    scene.finish()


@pytest.mark.fault("F7")
@PATIENT
def test_f07_nobody_sees_that_a_database_is_away_for_less_than_a_lease(apart: Apart) -> None:
    scene, clients = apart.scene, apart.fleet.start()
    scene.define(some=[{"name": "a", **step("sleep 5", **RETRY), "matrix": {"n": [1, 2, 3, 4]}}])
    scene.begin(clients[0], "some")
    until(lambda: scene.started() == 4, "the start of the steps")
    for proxy in apart.proxies:
        proxy.reset()
        proxy.refuse()
    until(lambda: scene.said("end") == 4, "the end of the steps")
    for proxy in apart.proxies:
        proxy.accept()
    apart.fleet.settle(clients[1])
    assert scene.ends(clients[1]) == {"some": ("completed", None)}
    assert scene.started() == 4
    scene.finish()


@pytest.mark.fault("F20")
@PATIENT
def test_f20_a_slow_database_costs_no_lease(apart: Apart) -> None:
    scene, clients = apart.scene, apart.fleet.start()
    scene.define(some=[{"name": "a", **step("echo a", **RETRY), "matrix": {"n": [1, 2, 3, 4]}}])
    for proxy in apart.proxies:
        proxy.set(there=Weather(delay=0.1, jitter=0.1), back=Weather(delay=0.05))
    scene.begin(clients[0], "some")
    apart.fleet.settle(clients[1])
    assert scene.ends(clients[1]) == {"some": ("completed", None)}
    assert scene.started() == 4
    for proxy in apart.proxies:
        proxy.heal()
    scene.finish()


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machines() as machines:
        yield machines.make()


@pytest.mark.fault("F7")
@pytest.mark.parametrize("ways", [{}, {"there": False}], ids=["both", "answers"])
def test_f07_a_machine_whose_packets_vanish_loses_its_work_to_another(
    make_fleet: MakeFleet, machine: Machine, ways: dict[str, bool]
) -> None:
    with Database(["127.0.0.1", machine.home]) as pg:
        url = pg.make()
        fleet = make_fleet(url, servers=1, **SETTINGS | {"worker_slots": "1"})
        far = fleet.add_server(
            url=pg.url(urlsplit(url).path[1:], machine.home), before=machine.command, queues="far", worker_slots="2"
        )
        clients = fleet.start()
        scene = FleetScene(fleet)
        go = scene.folder / "go"
        scene.define(
            again={"queue": "far", "steps": [{"name": "a", **AGAIN}]},
            held=step(f"until [ -e {go} ]; do sleep 0.05; done"),
        )
        scene.begin(clients[0], "held")  # the one here takes from all queues, and has one slot
        until(lambda: scene.started() == 1, "the start of what holds the slot here")
        scene.begin(clients[0], "again")
        until(lambda: scene.started() == 2, "the start of the step")
        assert scene.ledger.read()[-1].pid in far.below()
        machine.lose(**ways)
        go.touch()
        fleet.settle(clients[0])
        machine.find()
        assert scene.started() == 3
        assert set(scene.ends(clients[0]).values()) == {("completed", None)}
        found = fleet.disagreements()
        fleet.stop()
        found += fleet.problems(at_rest=True)
        assert found == [], "\n".join(found)
        fleet.close()


@pytest.mark.fault("F15")
@pytest.mark.parametrize("ahead", [3600, -3600, 5 * 365 * 86400])
def test_f15_a_server_whose_clock_is_wrong_costs_nobody_a_lease(
    make_fleet: MakeFleet, pg: Database, ahead: int
) -> None:
    fleet = make_fleet(pg.make(), servers=1, **SETTINGS)
    wrong = fleet.folder / "ahead"
    wrong.write_text(str(ahead))
    settings = fleet.settings | {"database_url": str(fleet.url)}
    command = ["env", f"AHEAD={wrong}", sys.executable, DOOMED, "up"]
    fleet.servers.append(Member(fleet.folder, "skewed", fleet.ledger, command, **settings))
    fleet.share_files(fleet.servers[-1])
    clients = fleet.start()
    scene = FleetScene(fleet)
    scene.define(some=[{"name": "a", **step("sleep 0.3", **RETRY), "matrix": {"n": list(range(12))}}])
    for client in clients:
        scene.begin(client, "some", delay=0.5)
    fleet.settle(clients[0], patience=60)
    assert scene.ends(clients[0]) == {"some": ("completed", None)}
    assert scene.started() == 24
    scene.finish()


@pytest.mark.fault("F23")
def test_f23_servers_of_before_go_on_beside_a_newer_schema_and_start_on_none(
    make_fleet: MakeFleet, pg: Database
) -> None:
    fleet = make_fleet(pg.make(), **SETTINGS)
    name = urlsplit(str(fleet.url)).path[1:]
    clients = fleet.start()
    scene = FleetScene(fleet)
    scene.define(short=step("sleep 0.1", **RETRY))
    scene.begin(clients[0], "short")
    before = pg.execute("SELECT version_num FROM alembic_version", database=name)[0][0]
    # As the migration of a newer server leaves it: a column more, and a number that nobody here knows.
    pg.execute("ALTER TABLE runs ADD COLUMN newer BIGINT DEFAULT 7", database=name)
    pg.execute("UPDATE alembic_version SET version_num = '9999'", database=name)
    for client in clients * 3:
        scene.begin(client, "short")
    fleet.settle(clients[1])
    assert scene.said("end") == 7
    assert fleet.servers[0].stop() == 0
    pg.execute("UPDATE store_info SET value = '9999' WHERE key = 'floor'", database=name)
    refused = begin_and_read(fleet.servers[0], fleet.folder)
    assert "newer" in refused, refused
    scene.begin(clients[1], "short")
    fleet.settle(clients[1])
    pg.execute("ALTER TABLE runs DROP COLUMN newer", database=name)
    pg.execute("UPDATE alembic_version SET version_num = $1", before, database=name)
    pg.execute("UPDATE store_info SET value = $1 WHERE key = 'floor'", FLOOR, database=name)
    fleet.servers[0].start()
    fleet.roll()
    scene.finish()


def begin_and_read(server: Member, folder: Path) -> str:
    """Start a server that has to refuse, and return what it says."""
    process = server.begin("up")
    try:
        return process.communicate(timeout=60)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError(f"it did not refuse, in {folder}") from None
