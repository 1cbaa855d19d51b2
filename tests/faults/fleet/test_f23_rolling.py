"""F23: servers and workers of two versions work on one database while one after the other is replaced, and back."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.fleet.database import Database
from tests.faults.fleet.fleet import Fleet, FleetScene, Member
from tests.fixtures.fleet import MakeFleet
from tests.fixtures.program import PROGRAM
from tests.fixtures.releases import BEFORE, run_by, version_after_this, version_before_this
from tests.oracle.crash import until
from tests.oracle.scene import step
from windlass.client.client import Client
from windlass.store.migrations import HEAD
from windlass.store.place import node_path, store_place

pytestmark = [pytest.mark.fault("F23"), pytest.mark.promise("H07"), pytest.mark.timeout(300)]
SETTINGS = {"worker_slots": "4", "lease": "4s", "heartbeat": "0.8s", "cleanup_grace": "5s"}
RETRY = {"onWorkerLost": "retry"}
NEXT = f"{int(HEAD) + 1:04}"


def after(*names: str) -> dict[str, object]:
    """Return a step that runs after others."""
    return {"name": "after", **step(":", **RETRY), "dependsOn": list(names)}


def become(member: Member, before: Sequence[str], verb: str = "up") -> None:
    """Let a member be of another version from its next start on."""
    member.run_by([*before, PROGRAM, verb])


def schema_of(pg: Database, fleet: Fleet) -> str:
    """Return the version of the schema that the database has."""
    name = str(fleet.url).rpartition("/")[2]
    return str(pg.execute("SELECT version_num FROM alembic_version", database=name)[0][0])


def worker_beside(fleet: Fleet, server: Member, before: Sequence[str]) -> Member:
    """Prepare a worker that reaches the queue through a server, over HTTP."""
    path = node_path(store_place(str(fleet.url)), server.home)
    assert path is not None
    return fleet.add_worker(path, before=before, worker_slots="2")


def work(scene: FleetScene, clients: Sequence[Client], count: int) -> None:
    """Begin runs at each of some servers."""
    for number in range(count):
        for client in clients:
            scene.begin(client, ("short", "graph")[number % 2])


def replace(scene: FleetScene, clients: list[Client], before: Sequence[str]) -> None:
    """Bring one server after the other to another version, while the others work and runs are accepted."""
    for number, server in enumerate(scene.fleet.servers):
        others = [client for at, client in enumerate(clients) if at != number]
        work(scene, clients, 2)
        assert server.stop() == 0, server.log()
        become(server, before)
        work(scene, others, 2)
        clients[number] = server.start()
        work(scene, clients, 2)


def worker_on(fleet: Fleet, before: Sequence[str]) -> Member:
    """Prepare a worker that speaks to the database itself."""
    return fleet.add_worker(fleet.folder, before=before, worker_slots="2", database_url=str(fleet.url))


def roll(
    scene: FleetScene,
    older: Sequence[str],
    newer: Sequence[str],
    pg: Database,
    schemas: tuple[str, str],
) -> list[Client]:
    """Go from one version to the next and back, servers first and workers last; return the clients of the servers.

    Some of the workers reach the queue over HTTP, some speak to the database; of either one is newer at the end.
    """
    fleet = scene.fleet
    for server in fleet.servers:
        become(server, older)
    clients = fleet.start()
    scene.define(
        short=step("sleep 0.2; echo kept > kept.txt", artifacts=["kept.txt"], **RETRY),
        graph=[{"name": "a", **step("sleep 0.1", **RETRY), "matrix": {"n": [1, 2, 3]}}, after("a")],
    )
    workers = [
        worker_beside(fleet, fleet.servers[0], older),
        worker_beside(fleet, fleet.servers[1], newer),
        worker_on(fleet, older),
        worker_on(fleet, older),
    ]
    for one in workers:
        one.join()
    assert schema_of(pg, fleet) == schemas[0]
    replace(scene, clients, newer)
    assert schema_of(pg, fleet) == schemas[1]
    fleet.settle(clients[0])
    replace(scene, clients, older)  # the schema stays where it is: nothing of it is in the way of the older one
    assert schema_of(pg, fleet) == schemas[1]
    for worker, before in zip(workers, (newer, older) * (len(workers) // 2), strict=True):
        assert worker.stop() == 0, worker.log()
        become(worker, before, "worker")
        worker.join()
        work(scene, clients, 1)
    fleet.settle(clients[1])
    assert {run["state"] for run in clients[0].pages("runs")} == {"completed"}
    return clients


def test_f23_the_next_version_comes_one_server_after_the_other_and_goes_again(
    make_fleet: MakeFleet, pg: Database, tmp_path: Path
) -> None:
    later = version_after_this(tmp_path / "later")
    scene = FleetScene(make_fleet(pg.make(), **SETTINGS))
    roll(scene, (), run_by(later), pg, (HEAD, NEXT))
    scene.finish()


def test_f23_the_version_before_works_beside_this_one_until_all_are_of_this_one(
    make_fleet: MakeFleet, pg: Database, tmp_path: Path
) -> None:
    before = run_by(version_before_this(tmp_path / "before"))
    scene = FleetScene(make_fleet(pg.make(), **SETTINGS))
    fleet = scene.fleet
    clients = roll(scene, before, (), pg, (BEFORE, HEAD))
    replace(scene, clients, ())
    for worker in fleet.workers:
        assert worker.stop() == 0, worker.log()
        become(worker, (), "worker")
        worker.join()
        work(scene, clients, 1)
    fleet.settle(clients[0])
    runs = list(clients[0].pages("runs"))
    assert {run["state"] for run in runs} == {"completed"}
    # What either version kept, whoever of the fleet did, one of its homes has and says so.
    short = [run["id"] for run in runs if run["job"] == "short"]
    until(lambda: all(homes_of(clients[0], run) for run in short), "the homes of all files")
    name = str(fleet.url).rpartition("/")[2]
    known = {row[0] for row in pg.execute("SELECT id FROM file_homes", database=name)}
    assert {home for run in short for home in homes_of(clients[0], run)} <= known
    scene.finish()


def homes_of(client: Client, run: str) -> list[str]:
    """Return the homes in which the files of a run lie, as far as that is known."""
    return [file["home"] for file in client.get("runs", run, "artifacts")["items"] if file["home"] is not None]


def test_f23_what_an_upgrade_takes_away_it_takes_from_nobody_who_uses_it(
    make_fleet: MakeFleet, pg: Database, tmp_path: Path
) -> None:
    fleet = make_fleet(pg.make(), **SETTINGS)
    scene = FleetScene(fleet)
    clients = fleet.start()
    scene.define(short=step("sleep 0.1", **RETRY))
    scene.begin(clients[0], "short")
    later = version_after_this(tmp_path / "later", contracts=True)

    def upgrade() -> subprocess.CompletedProcess[str]:
        server = fleet.servers[0]
        command = [*run_by(later), str(PROGRAM), "db", "upgrade"]
        return server.run_apart(command, home=fleet.folder / "another")

    refused = upgrade()
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert re.search(
        r"takes away what older programs use .*\(Windlass .*\(Windlass .*nothing was changed", refused.stderr
    )
    assert schema_of(pg, fleet) == HEAD
    work_goes_on = scene.begin(clients[1], "short")
    fleet.settle(clients[0])
    assert clients[0].get("runs", work_goes_on)["state"] == "completed"
    fleet.stop()
    done = upgrade()
    assert done.returncode == 0, done.stderr
    assert schema_of(pg, fleet) == NEXT
    for server in fleet.servers:
        said = server.run_apart([str(PROGRAM), "job", "list"], home=server.home)
        assert said.returncode == 3
        assert "written by a newer Windlass" in said.stderr
