"""F1, F2, F7, F15, F20, F21, F22: workers that reach PostgreSQL themselves, with no server between.

One server runs nothing itself; what it does not do, its workers do in whatever state they, it and the database are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from tests.faults.fleet.database import Database
from tests.faults.fleet.fleet import Fleet, FleetScene, Member
from tests.faults.fleet.namespaces import Machines
from tests.faults.fleet.proxy import Proxy
from tests.faults.fleet.weather import STALLED, SWALLOWED, Weather
from tests.fixtures.fleet import MakeFleet
from tests.oracle.crash import DOOMED, until
from tests.oracle.scene import step
from windlass.client.client import Client
from windlass.clock import SECOND, from_text

pytestmark = [pytest.mark.promise("H13"), pytest.mark.timeout(240)]
#: Seconds without a sign of life after which a worker counts as gone.
LEASE = 6.0
#: Most microseconds by which a worker's clock is off that follows the database's.
NOISE = SECOND
RETRY = {"onWorkerLost": "retry"}
LONG = "exec sleep 98765.$TOKEN"
#: Ends only where it was begun a second time.
AGAIN = step(f'[ "$WINDLASS_ATTEMPT" -ge 2 ] || {LONG}', **RETRY)


class Plant:
    """A server without slots, and workers that reach the database by a proxy each."""

    def __init__(self, fleet: Fleet, pg: Database, seed: int, stack: ExitStack, *, workers: int) -> None:
        """Start all of them."""
        self.fleet = fleet
        self.proxies: list[Proxy] = []
        self.scene = FleetScene(fleet)
        self.client: Client = fleet.servers[0].start()
        name = urlsplit(str(fleet.url)).path[1:]
        for number in range(workers):
            proxy = stack.enter_context(Proxy(("127.0.0.1", pg.port), seed=seed + number))
            self.proxies.append(proxy)
            fleet.add_worker_on_database(url=pg.url(name, port=proxy.port), worker_slots="4").join()

    def holder(self) -> int:
        """Return the number of the worker that runs the step which began first."""
        until(lambda: self.scene.started() >= 1, "the start of a step")
        pid = self.scene.ledger.read()[0].pid
        return next(number for number, one in enumerate(self.fleet.workers) if one.lives and pid in one.below())

    def working(self) -> int:
        """Return how many workers with slots the server sees alive."""
        return sum(one["state"] == "running" and one["slots"] > 0 for one in self.client.get("workers")["items"])


MakePlant = Callable[..., Plant]


@pytest.fixture
def plant(make_fleet: MakeFleet, pg: Database, fault_seed: int) -> Iterator[MakePlant]:
    with ExitStack() as stack:

        def make(*, workers: int = 2, lease: float = LEASE, **settings: str) -> Plant:
            said = {"lease": f"{lease}s", "heartbeat": f"{lease / 6}s", "cleanup_grace": "5s", "worker_slots": "0"}
            fleet = make_fleet(pg.make(), servers=1, **said | settings)
            stack.callback(fleet.close)
            return Plant(fleet, pg, fault_seed, stack, workers=workers)

        yield make


@pytest.mark.fault("F1")
@pytest.mark.fault("F2")
@pytest.mark.parametrize("names", [("owner",), ("owner", "guard"), ("owner", "supervisor")])
def test_f01_f02_what_a_killed_worker_ran_goes_on_at_another_where_it_may(
    plant: MakePlant, names: tuple[str, ...]
) -> None:
    here = plant()
    scene = here.scene
    scene.define(again=AGAIN)
    scene.begin(here.client, "again")
    number = here.holder()
    here.fleet.workers[number].kill(*names)
    here.fleet.settle(here.client)
    assert scene.ends(here.client) == {"again": ("completed", None)}
    assert scene.started() == 2
    here.fleet.workers[number].join()
    scene.finish()


@pytest.mark.fault("F7")
@pytest.mark.parametrize("weather", [STALLED, SWALLOWED], ids=["stalled", "half-open"])
def test_f07_a_worker_without_its_database_ends_what_may_start_elsewhere_before_it_does(
    plant: MakePlant, weather: Weather
) -> None:
    here = plant()
    scene = here.scene
    scene.define(again=AGAIN)
    scene.begin(here.client, "again")
    number = here.holder()
    here.proxies[number].set(there=weather, back=weather)
    here.fleet.settle(here.client)  # the oracle asks whether the first one still lived
    assert scene.ends(here.client) == {"again": ("completed", None)}
    assert scene.started() == 2
    here.proxies[number].heal()
    until(lambda: here.working() == 2, "the return of the worker", patience=120)
    scene.finish()


@pytest.mark.fault("F20")
def test_f20_a_slow_way_to_the_database_costs_no_lease(plant: MakePlant) -> None:
    here = plant(lease=15.0)
    scene = here.scene
    scene.define(some=[{"name": "a", **step("echo a; sleep 0.1", **RETRY), "matrix": {"n": [1, 2, 3, 4]}}])
    for proxy in here.proxies:
        proxy.set(there=Weather(delay=0.1, jitter=0.1), back=Weather(delay=0.05))
    scene.begin(here.client, "some")
    here.fleet.settle(here.client)
    assert scene.ends(here.client) == {"some": ("completed", None)}
    assert scene.started() == 4
    for proxy in here.proxies:
        proxy.heal()
    scene.finish()


@pytest.mark.fault("F21")
def test_f21_workers_wait_for_a_database_that_is_away_and_lose_nothing(plant: MakePlant, pg: Database) -> None:
    here = plant(lease=30.0)
    scene = here.scene
    scene.define(some=[{"name": "a", **step("sleep 0.5", **RETRY), "matrix": {"n": list(range(8))}}])
    scene.begin(here.client, "some")
    until(lambda: scene.started() >= 4, "the start of some")
    pg.end("kill")
    until(lambda: scene.said("end") >= 4, "the end of those that ran")
    late = here.fleet.add_worker_on_database(worker_slots="2")
    process = late.begin("worker")  # one that begins meanwhile waits as well
    pg.start()
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready ")
    here.fleet.settle(here.client)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert scene.ends(here.client) == {"some": ("completed", None)}
    assert scene.started() == 8
    for one in here.fleet.workers[:2]:
        assert one.log().count("The store cannot be reached") <= 2, one.log()  # told once each time it goes away
    scene.finish()


@pytest.mark.fault("F22")
def test_f22_a_worker_that_is_asked_to_end_lets_its_steps_end_and_gives_the_rest_back(plant: MakePlant) -> None:
    here = plant(workers=1, drain_grace="30s")
    scene, first = here.scene, here.fleet.workers[0]
    go = scene.folder / "go"
    scene.define(hold=step(f"until [ -e {go} ]; do sleep 0.05; done"))
    for _ in range(6):
        scene.begin(here.client, "hold")
    until(lambda: scene.started() == 4, "four slots to be taken")
    first.ask_to_end()
    other = here.fleet.add_worker_on_database(worker_slots="2")
    other.join()
    until(lambda: scene.started() == 6, "what the first one leaves to the other")
    go.touch()
    assert first.wait() == 0
    here.fleet.settle(here.client)
    assert set(scene.ends(here.client).values()) == {("completed", None)}
    assert scene.started() == 6
    scene.finish()


@pytest.mark.fault("F15")
@pytest.mark.parametrize("ahead", [3600, -3600])
def test_f15_a_worker_whose_clock_is_wrong_is_a_worker_like_any_other(plant: MakePlant, ahead: int) -> None:
    here = plant(workers=1)
    scene = here.scene
    wrong = here.fleet.folder / "ahead"
    wrong.write_text(str(ahead))
    command = ["env", f"AHEAD={wrong}", sys.executable, DOOMED, "worker"]
    skewed: Member = here.fleet.add_worker_on_database(command=command, worker_slots="4")
    skewed.join()
    scene.define(some=[{"name": "a", **step("echo a; sleep 0.3", **RETRY), "matrix": {"n": list(range(12))}}])
    run = scene.begin(here.client, "some")
    here.fleet.settle(here.client)
    assert scene.ends(here.client) == {"some": ("completed", None)}
    assert scene.started() == 12
    found = here.client.get("runs", run)
    for one in here.client.pages("runs", run, "executions"):
        ended = from_text(one["finishedAt"])
        assert found["createdAt"] <= one["startedAt"], one
        assert from_text(one["startedAt"]) - NOISE < ended < from_text(found["finishedAt"]) + NOISE, one
    scene.finish()


@pytest.mark.fault("F7")
def test_f07_a_machine_whose_packets_vanish_loses_its_work_to_another_machine(make_fleet: MakeFleet) -> None:
    with Machines() as machines:
        near, far = machines.make(), machines.make()
        with Database(["127.0.0.1", near.home, far.home]) as pg:
            said = {"lease": f"{LEASE}s", "heartbeat": f"{LEASE / 6}s", "cleanup_grace": "5s", "worker_slots": "0"}
            fleet = make_fleet(pg.make(), servers=1, **said)
            name = urlsplit(str(fleet.url)).path[1:]
            client = fleet.servers[0].start()
            for machine in (near, far):
                url = pg.url(name, machine.home)
                fleet.add_worker_on_database(url=url, before=machine.command, worker_slots="1").join()
            scene = FleetScene(fleet)
            scene.define(again=AGAIN)
            scene.begin(client, "again")
            until(lambda: scene.started() == 1, "the start of the step")
            pid = scene.ledger.read()[0].pid
            cut = near if pid in fleet.workers[0].below() else far
            cut.lose()
            fleet.settle(client)
            cut.find()
            assert scene.started() == 2
            assert scene.ends(client) == {"again": ("completed", None)}
            scene.finish()
