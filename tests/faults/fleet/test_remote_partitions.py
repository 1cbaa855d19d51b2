"""F7, F8, F9, F20, F33: what happens between a worker and its server, in a proxy that both know nothing of.

A short break is seen by nobody. After a long one a step that may start elsewhere has ended before it does, any other
runs on, and what comes of it counts if nobody has taken it away meanwhile.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.fleet.outposts import LEASE, SETTINGS, Outposts
from tests.faults.fleet.weather import DRIP, STALLED, SWALLOWED, Weather
from tests.fixtures.fleet import MakeFleet
from tests.oracle.crash import until
from tests.oracle.scene import step

MakeOutposts = Callable[..., Outposts]
RETRY = {"onWorkerLost": "retry"}


@pytest.fixture
def outposts(make_fleet: MakeFleet, fault_seed: int, request: pytest.FixtureRequest) -> Iterator[MakeOutposts]:
    request.node.user_properties.append(("store", "sqlite"))
    made: list[Outposts] = []

    def make(*, lease: float = LEASE, **said: int) -> Outposts:
        settings = SETTINGS | {"lease": f"{lease}s"}
        made.append(Outposts(make_fleet(None, servers=1, worker_slots="0", **settings), fault_seed, **said))
        return made[-1]

    yield make
    for one in made:
        one.close()


def pass_by(seconds: float) -> None:
    """Return after so many seconds of a fault."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end, "the time of the fault", pace=0.05)


@pytest.mark.fault("F7")
@pytest.mark.parametrize("ways", [("there", "back"), ("there",), ("back",)])
def test_f07_nobody_sees_a_break_that_is_shorter_than_a_lease(outposts: MakeOutposts, ways: tuple[str, ...]) -> None:
    lease = LEASE * 4  # a busy machine delays signs of life as well, and is no part of the break
    scene = outposts(lease=lease)
    scene.define(some=[{"name": "a", **step("sleep 1", **RETRY), "matrix": {"n": [1, 2, 3, 4]}}, after("a")])
    scene.begin(scene.client, "some")
    scene.until_started(4)
    for gate in scene.gates:
        gate.proxy.set(**dict.fromkeys(ways, STALLED))
    pass_by(lease / 3)
    for gate in scene.gates:
        gate.proxy.heal()
    scene.settle(scene.client)
    assert scene.ends(scene.client) == {"some": ("completed", None)}
    assert scene.started() == 5
    scene.finish()


def after(*names: str) -> dict[str, object]:
    """Return a step that runs after others."""
    return {"name": "after", **step(":", **RETRY), "dependsOn": list(names)}


@pytest.mark.fault("F7")
@pytest.mark.parametrize("weather", [STALLED, SWALLOWED], ids=["stalled", "half-open"])
def test_f07_what_may_start_elsewhere_has_ended_before_it_does(outposts: MakeOutposts, weather: Weather) -> None:
    scene = outposts()
    scene.define(long=step('[ "$WINDLASS_ATTEMPT" -ge 2 ] || sleep 98765.$TOKEN', **RETRY))
    scene.begin(scene.client, "long")
    scene.until_started(1)
    number = scene.worker_of(scene.pids_of()[0])
    scene.gates[number].proxy.set(there=weather, back=weather)
    scene.settle(scene.client)  # the oracle asks whether the first one still lived
    assert scene.ends(scene.client) == {"long": ("completed", None)}
    assert scene.started() == 2
    scene.gates[number].proxy.heal()
    until(lambda: len(scene.holders()) >= 2, "the return of the worker")
    scene.finish()


@pytest.mark.fault("F7")
def test_f07_what_starts_nowhere_else_runs_on_and_its_late_end_is_told(outposts: MakeOutposts) -> None:
    scene = outposts()
    scene.define(once=step(f"sleep {LEASE * 3}; echo done"))
    run = scene.begin(scene.client, "once")
    scene.until_started(1)
    number = scene.worker_of(scene.pids_of()[0])
    scene.gates[number].proxy.set(there=STALLED, back=STALLED)
    until(lambda: scene.said("end") == 1, "its end")
    scene.gates[number].proxy.heal()
    scene.settle(scene.client)
    until(lambda: len(scene.holders()) >= 2, "the return of the worker")
    assert scene.client.get("runs", run)["reason"] == "worker_lost"
    assert scene.started() == 1
    scene.finish()


@pytest.mark.fault("F8")
@pytest.mark.timeout(120)
def test_f08_what_was_asked_and_not_heard_is_done_once(outposts: MakeOutposts, fault_seed: int) -> None:
    dice = random.Random(fault_seed)  # noqa: S311 - a game that can be played again
    scene = outposts()
    scene.define(
        many=[{"name": "a", **step("echo here; sleep 0.1", **RETRY), "matrix": {"n": list(range(12))}}, after("a")]
    )
    for _ in range(3):
        scene.begin(scene.client, "many")
    proxies = [gate.proxy for gate in scene.gates]
    for _ in range(25):
        proxy = dice.choice(proxies)
        proxy.set(back=Weather(breaks_after=dice.choice([0, 1, 100, 300, 1000])))
        pass_by(dice.uniform(0.05, 0.3))
        proxy.heal()
        pass_by(dice.uniform(0.0, 0.1))
    scene.settle(scene.client)
    assert set(scene.ends(scene.client).values()) == {("completed", None)}
    assert scene.started() == 39, "something started twice although no lease had ended"
    scene.finish()


@pytest.mark.fault("F9")
@pytest.mark.timeout(180)
def test_f09_links_are_cut_one_by_one_and_heal_in_any_order(outposts: MakeOutposts, fault_seed: int) -> None:
    dice = random.Random(fault_seed)  # noqa: S311 - a game that can be played again
    scene = outposts(workers=3, slots=2)
    scene.define(
        chain=[{"name": name, **step("sleep 0.2", **RETRY)} for name in ("a", "b", "c")],
        once=step("sleep 0.5"),
    )
    for _ in range(2):
        for _ in range(4):
            scene.begin(scene.client, "chain")
            scene.begin(scene.client, "once")
        order = list(range(3))
        for number in dice.sample(order, 3):
            ways = dice.choice([{"there": STALLED}, {"back": SWALLOWED}, {"there": STALLED, "back": STALLED}])
            scene.gates[number].proxy.set(**ways)
            pass_by(dice.uniform(0, LEASE / 2))
        pass_by(dice.choice([0.0, LEASE]))
        for number in dice.sample(order, 3):
            scene.gates[number].proxy.heal()
            pass_by(dice.uniform(0, LEASE / 2))
    scene.settle(scene.client)
    scene.finish()


@pytest.mark.fault("F20")
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "weather", [Weather(delay=0.2, jitter=0.2), Weather(rate=20_000.0, piece=500)], ids=["slow", "narrow"]
)
def test_f20_a_slow_way_costs_no_lease_and_starts_nothing_twice(outposts: MakeOutposts, weather: Weather) -> None:
    scene = outposts()
    scene.define(some=[{"name": "a", **step("echo said; sleep 0.1", **RETRY), "matrix": {"n": [1, 2, 3]}}, after("a")])
    for gate in scene.gates:
        gate.proxy.set(there=weather, back=weather)
    scene.begin(scene.client, "some")
    scene.settle(scene.client)
    assert scene.ends(scene.client) == {"some": ("completed", None)}
    assert scene.started() == 4
    scene.finish()


@pytest.mark.fault("F20")
@pytest.mark.timeout(120)
def test_f20_answers_that_drip_end_in_time(outposts: MakeOutposts) -> None:
    scene = outposts()
    scene.define(long=step('[ "$WINDLASS_ATTEMPT" -ge 2 ] || sleep 98765.$TOKEN', **RETRY))
    scene.begin(scene.client, "long")
    scene.until_started(1)
    first = scene.pids_of()[0]
    number = scene.worker_of(first)
    scene.gates[number].proxy.set(back=DRIP)
    scene.client.post("jobs", "long", "run", body={})
    scene.workers[1 - number].kill("owner", "guard", "supervisor")
    scene.gates[number].proxy.heal()
    scene.workers[1 - number].join()
    for run in list(scene.client.pages("runs")):
        scene.client.post("runs", run["id"], "cancel")
    scene.settle(scene.client)
    scene.finish()


@pytest.mark.fault("F33")
@pytest.mark.parametrize("policy", [{}, RETRY], ids=["once", "retry"])
def test_f33_what_is_cancelled_beside_a_partition_ends_and_starts_nowhere_again(
    outposts: MakeOutposts, policy: dict[str, str]
) -> None:
    scene = outposts()
    scene.define(long=step("exec sleep 98765.$TOKEN", **policy))
    run = scene.begin(scene.client, "long")
    scene.until_started(1)
    first = scene.pids_of()[0]
    number = scene.worker_of(first)
    scene.gates[number].proxy.set(there=STALLED, back=STALLED)
    scene.client.post("runs", run, "cancel")
    scene.settle(scene.client)
    found = scene.client.get("runs", run)
    assert found["state"] == "cancelled", found
    scene.gates[number].proxy.heal()
    scene.until_gone(first)
    until(lambda: len(scene.holders()) >= 2, "the return of the worker")
    assert scene.started() == 1
    scene.finish()
