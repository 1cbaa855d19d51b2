"""F18: the disk of PostgreSQL is really full: a small file system that nothing else uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from tests.faults.disks import SmallDisk, small_disk
from tests.faults.fleet.database import Database
from tests.faults.fleet.fleet import FleetScene
from tests.fixtures.fleet import MakeFleet
from tests.oracle.crash import until
from tests.oracle.scene import step
from windlass.errors import Unavailable

pytestmark = [pytest.mark.promise("H04"), pytest.mark.promise("H07"), pytest.mark.fault("F18")]
MIB: Final = 1024 * 1024
SIZE: Final = 96 * MIB


@pytest.fixture
def place() -> Iterator[Path]:
    """Give a folder that PostgreSQL's own user may enter, as those of pytest are not."""
    with TemporaryDirectory(prefix="windlass-disk-") as found:
        Path(found).chmod(0o755)
        yield Path(found) / "disk"


@pytest.fixture
def disk(place: Path) -> Iterator[SmallDisk]:
    with small_disk(place, SIZE, mode="777") as found:
        yield found


@pytest.fixture
def small(disk: SmallDisk, place: Path) -> Iterator[Database]:
    data = place / "data", disk.outside / "data"
    with Database(data=data, before=disk.inside, max_wal_size="16MB", min_wal_size="5MB") as found:
        yield found
        print(found.log())  # noqa: T201 - shown where the test fails


@pytest.mark.timeout(240)
def test_f18_a_full_disk_of_the_database_refuses_in_words_and_loses_nothing(
    make_fleet: MakeFleet, small: Database, disk: SmallDisk
) -> None:
    fleet = make_fleet(small.make(), worker_slots="4", lease="20s", heartbeat="2s")
    clients = fleet.start()
    scene = FleetScene(fleet)
    scene.define(short=step(":"), long=[{"name": "a", **step("sleep 1")}, {"name": "b", **step(":")}])
    for client in clients:
        scene.begin(client, "long")
    until(lambda: scene.started() == 2, "the start of the steps")
    disk.fill(0)
    refused = []

    def full() -> bool:
        try:
            scene.begin(clients[len(refused) % 2], "short")
        except Unavailable as error:
            refused.append(str(error))
        return len(refused) >= 3

    until(full, "refusals", pace=0.02)
    assert all(one.lives for one in fleet.servers)
    until(lambda: scene.said("end") >= 2, "the end of the steps")
    disk.empty()
    small.start()  # where it could not write its log it has ended
    fleet.settle(clients[0])
    scene.begin(clients[1], "short")
    fleet.settle(clients[1])
    assert {state for state, _ in scene.ends(clients[0]).values()} == {"completed"}
    assert any("disk of the store is full" in one or "cannot be reached" in one for one in refused), refused
    scene.finish()
