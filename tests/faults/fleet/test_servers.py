"""Several servers on one PostgreSQL that are killed, stopped, restarted and cut off beside each other."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.faults.fleet.database import Database
from tests.faults.fleet.fleet import Fleet, FleetScene, Member
from tests.fixtures.fleet import MakeFleet
from tests.fixtures.program import PROGRAM
from tests.oracle.crash import DOOMED, open_runs, until
from tests.oracle.scene import step
from windlass.errors import Conflict

pytestmark = [pytest.mark.promise("H04"), pytest.mark.timeout(180)]
#: Seconds without a sign of life after which a worker counts as gone.
LEASE = 4.0
RETRY = {"onWorkerLost": "retry"}
#: How many instants servers race over.
_INSTANTS = 1000
LONG = "exec sleep 98765.$TOKEN"


@pytest.fixture
def fleet(make_fleet: MakeFleet, pg: Database) -> Fleet:
    return make_fleet(pg.make(), worker_slots="4", lease=f"{LEASE}s", heartbeat=f"{LEASE / 5}s", cleanup_grace="5s")


class Scene(FleetScene):
    """A scene with a look into its database."""

    def __init__(self, fleet: Fleet, pg: Database) -> None:
        """Take a fleet of which nothing runs."""
        super().__init__(fleet)
        self.pg = pg
        self.name = urlsplit(str(fleet.url)).path[1:]


@pytest.fixture
def scene(fleet: Fleet, pg: Database) -> Scene:
    return Scene(fleet, pg)


def holder_of(scene: FleetScene, pid: int) -> int:
    """Return the number of the server below which a step runs."""
    return next(number for number, one in enumerate(scene.fleet.servers) if one.lives and pid in one.below())


def begun(scene: FleetScene, count: int) -> list[int]:
    """Return the pids of steps in the order of their start, once there are so many."""
    until(lambda: scene.started() >= count, f"the start of {count} steps")
    return [one.pid for one in scene.ledger.read() if one.phase == "start"]


@pytest.mark.fault("F1")
@pytest.mark.fault("F2")
@pytest.mark.parametrize("names", [("owner",), ("owner", "guard"), ("owner", "supervisor")])
def test_f01_f02_what_a_killed_server_ran_goes_on_at_another_where_it_may(scene: Scene, names: tuple[str, ...]) -> None:
    clients = scene.fleet.start()
    scene.define(
        once=step(LONG), again=step(f'[ "$WINDLASS_ATTEMPT" -ge 2 ] || {LONG}', **RETRY), short=step("sleep 0.3")
    )
    runs = {job: scene.begin(clients[0], job) for job in ("once", "again", "short")}
    pids = begun(scene, 3)
    doomed = {holder_of(scene, pid) for pid in pids if pid in {one for one, _ in scene.ledger.living()}}
    for number in doomed:
        scene.fleet.servers[number].kill(*names)
    living = [number for number in range(2) if number not in doomed]
    client = clients[living[0]] if living else scene.fleet.servers[0].start()
    scene.fleet.settle(client)
    ends = {job: client.get("runs", run)["reason"] for job, run in runs.items()}
    assert ends["once"] == "worker_lost"
    assert ends["again"] is None
    for number in doomed:
        if not scene.fleet.servers[number].lives:
            scene.fleet.servers[number].start()
    scene.finish()


@pytest.mark.fault("F10")
def test_f10_the_end_that_a_server_reports_after_its_lease_changes_nothing(scene: Scene) -> None:
    """It ended while its server stood still, and is reported while the attempt that followed it is at work."""
    clients = scene.fleet.start()
    go = {name: scene.folder / name for name in ("first", "second")}
    wait = "while [ ! -e {} ]; do sleep 0.05; done"
    script = (
        f'if [ "$WINDLASS_ATTEMPT" = 1 ]; then {wait.format(go["first"])}; echo stale; else '
        f'{wait.format(go["second"])}; echo fresh; fi; echo "{{\\"n\\": $WINDLASS_ATTEMPT}}" > "$WINDLASS_OUTPUT"'
    )
    scene.define(again=step(script, **RETRY))
    run = scene.begin(clients[0], "again")
    (pid,) = begun(scene, 1)
    number = holder_of(scene, pid)
    still, other = scene.fleet.servers[number], clients[1 - number]
    with still.standing_still("owner"):
        begun(scene, 2)
        go["first"].touch()
        until(lambda: scene.said("end") == 1, "the end of the first attempt")
    told = lambda: [one["type"] for one in other.get("runs", run, "events")["items"]]  # noqa: E731 - one line of a test
    until(lambda: "task.late" in told(), "the report of the server that stood still")
    assert other.get("runs", run)["state"] == "running"
    assert "task.completed" not in told()
    go["second"].touch()
    scene.fleet.settle(other)
    assert scene.ends(other) == {"again": ("completed", None)}
    assert told().count("task.completed") == 1
    attempts = other.get("runs", run, "executions")["items"]
    assert [(one["number"], one["outcome"]) for one in attempts] == [(1, "lost"), (2, "completed")]
    (task,) = other.get("runs", run, "steps")["items"]
    assert task["outputs"]["n"] == 2
    found = scene.fleet.disagreements()
    scene.fleet.stop()
    found += [one for one in scene.fleet.problems(at_rest=True) if not one.startswith("O4")]
    assert found == [], "\n".join(found)


@pytest.mark.fault("F14")
def test_f14_a_leader_that_stood_still_has_lost_its_duties_and_does_nothing_again(scene: Scene) -> None:
    clients = scene.fleet.start()
    scene.define(due={"steps": [{"name": "w", "type": "wait", "config": {"duration": "1s"}}]})
    rounds = 2
    for _ in range(rounds):
        until(lambda: _leader(scene) is not None, "somebody with the duty")
        number = _leader(scene)
        assert number is not None
        other = clients[1 - number]
        with ThreadPoolExecutor(4) as users:
            list(users.map(lambda at: scene.begin(clients[at % 2], "due", delay=1 + at % 3), range(40)))
        # Anywhere in a turn, with whatever lock it holds: whoever does nothing in a transaction is cut off.
        with scene.fleet.servers[number].standing_still():
            until(lambda number=number: _leader(scene) == 1 - number, "the change of duties")  # type: ignore[misc]
            until(lambda other=other: not open_runs(other), "what was due meanwhile", pace=0.1)  # type: ignore[misc]
    scene.fleet.settle(clients[0])
    runs = list(clients[1].pages("runs"))
    assert len(runs) == rounds * 40
    for run in runs:
        told = [one["type"] for one in clients[0].get("runs", run["id"], "events")["items"]]
        assert told.count("run.completed") == 1, told
        assert max(Counter(told).values()) == 1, told
    scene.finish()


def _leader(scene: Scene) -> int | None:
    """Return the number of the server that wakes what is due; None where nobody does now."""
    said = "SELECT holder FROM duties WHERE name = 'timer' AND until > extract(epoch FROM clock_timestamp()) * 1000000"
    found = scene.pg.execute(said, database=scene.name)
    pids = {f"-{one.pids()['owner']}-": number for number, one in enumerate(scene.fleet.servers)}
    return next((number for row in found for pid, number in pids.items() if pid in row["holder"]), None)


@pytest.mark.fault("F12")
def test_f12_a_wish_that_all_servers_get_at_once_is_one_run(scene: Scene) -> None:
    clients = scene.fleet.start()
    scene.define(short=step(":"))

    def ask(number: int) -> str:
        client = clients[number % 2]
        return str(
            client.call("POST", ("jobs", "short", "run"), body={}, headers={"Idempotency-Key": f"k{number // 4}"})["id"]
        )

    with ThreadPoolExecutor(8) as users:
        answers = list(users.map(ask, range(40)))
    assert [len(set(answers[start : start + 4])) for start in range(0, 40, 4)] == [1] * 10
    scene.fleet.settle(clients[1])
    assert scene.started() == 10
    scene.finish()


@pytest.mark.fault("F13")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("leaders", [1, 2])
def test_f13_servers_that_race_over_a_thousand_instants_meet_each_once(
    make_fleet: MakeFleet, pg: Database, leaders: int
) -> None:
    """Duties keep them apart; where two have each of them at the same time, no harm is done either."""
    fleet = make_fleet(pg.make(), servers=0, worker_slots="4", lease="20s", heartbeat="2s")
    for number in range(2):
        before = ["env", "LEADS=1", sys.executable, DOOMED] if leaders == 2 else [PROGRAM]
        settings = fleet.settings | {"database_url": str(fleet.url)}
        fleet.servers.append(Member(fleet.folder, f"server{number}", fleet.ledger, [*before, "up"], **settings))
        fleet.share_files(fleet.servers[-1])
    scene = Scene(fleet, pg)
    clients = fleet.start()
    scene.define(due={"steps": [{"name": "w", "type": "wait", "config": {"duration": "2s"}}]})
    end = time.monotonic() + 10  # then most of them are due at once
    with ThreadPoolExecutor(4) as users:
        list(
            users.map(
                lambda number: scene.begin(clients[number % 2], "due", delay=max(0.5, end - time.monotonic())),
                range(_INSTANTS),
            )
        )
    fleet.settle(clients[0])
    runs = list(clients[1].pages("runs"))
    assert len(runs) == _INSTANTS
    assert {run["state"] for run in runs} == {"completed"}
    twice = "SELECT types FROM events WHERE run_id IS NOT NULL GROUP BY run_id, task, types HAVING count(*) > 1"
    assert pg.execute(twice, database=scene.name) == []
    assert "unique" not in fleet.log().lower()
    scene.finish()


@pytest.mark.fault("F22")
def test_f22_while_one_server_drains_the_other_takes_over(scene: Scene) -> None:
    clients = scene.fleet.start()
    scene.define(short=step("sleep 0.2", **RETRY))
    accepted = 0
    for turn in range(2):
        for _ in range(10):
            scene.begin(clients[1 - turn], "short")
            accepted += 1
        assert scene.fleet.servers[turn].stop() == 0
        for _ in range(3):
            scene.begin(clients[1 - turn], "short")
            accepted += 1
        clients[turn] = scene.fleet.servers[turn].start()
    scene.fleet.settle(clients[0])
    assert set(scene.ends(clients[0]).values()) == {("completed", None)}
    assert scene.said("end") == accepted
    scene.finish()


@pytest.mark.fault("F28")
def test_f28_what_ends_each_server_that_runs_it_is_set_aside(scene: Scene) -> None:
    clients = scene.fleet.start()
    owners = scene.folder / "owners"
    script = (  # looks again: who is to die is written down while it is there already
        "while :; do pid=$$; while [ $pid -gt 1 ]; do grep -qx $pid " + str(owners) + " && kill -9 $pid; "
        "read -r _ _ _ pid _ < /proc/$pid/stat; done; sleep 0.1; done"
    )
    scene.define(poison=step(script, **RETRY), good=step(":"))
    owners.write_text("".join(f"{one.pids()['owner']}\n" for one in scene.fleet.servers))
    run = scene.begin(clients[0], "poison", delay=0.5)  # else it ends who answers before that is answered
    for number in (1, 2, 3):
        until(lambda number=number: scene.started() >= number, f"start {number}")  # type: ignore[misc]
        until(lambda: any(not one.lives for one in scene.fleet.servers), "the end of its server")
        for at, one in enumerate(scene.fleet.servers):
            if not one.lives:
                one.wait()
                clients[at] = one.start()
        owners.write_text("".join(f"{one.pids()['owner']}\n" for one in scene.fleet.servers))
    scene.begin(clients[1], "good")
    scene.fleet.settle(clients[0])
    assert clients[0].get("runs", run)["reason"] == "quarantined"
    assert scene.started() == 4
    scene.finish()


@pytest.mark.fault("F33")
def test_f33_any_server_cancels_what_another_one_runs(scene: Scene) -> None:
    clients = scene.fleet.start()
    scene.define(
        long=step(LONG, **RETRY), deaf=step(f"trap '' TERM INT; while :; do {LONG.removeprefix('exec ')}; done")
    )
    runs = [scene.begin(clients[number % 2], job) for number, job in enumerate(["long", "deaf"] * 2)]
    begun(scene, 4)

    def cancel(number: int) -> None:
        try:
            clients[number % 2].post("runs", runs[number // 2], "cancel")
        except Conflict:
            return  # it has ended

    with ThreadPoolExecutor(8) as users:
        list(users.map(cancel, range(8)))
    scene.fleet.settle(clients[0])
    assert {clients[1].get("runs", run)["state"] for run in runs} == {"cancelled"}
    assert scene.started() == 4
    for run in runs:
        told = [event["type"] for event in clients[1].get("runs", run, "events")["items"]]
        assert told.count("run.cancelled") == 1
    scene.finish()


@pytest.mark.fault("F24")
def test_f24_servers_that_start_at_once_on_an_empty_database_make_one_store(
    make_fleet: MakeFleet, pg: Database, fault_seed: int
) -> None:
    dice = random.Random(fault_seed)  # noqa: S311 - a game that can be played again
    fleet = make_fleet(pg.make(), servers=4, worker_slots="1")
    doomed: list[Any] = [one.begin("db", "upgrade") for one in fleet.servers]
    for one in doomed[:2]:
        until(lambda: dice.random() < 0.05, "its moment")
        one.kill()
    for one in doomed:
        one.communicate(timeout=60)
    clients = fleet.start()
    scene = FleetScene(fleet)
    scene.define(short=step(":"))
    for client in clients:
        scene.begin(client, "short")
    fleet.settle(clients[0])
    scene.finish()
