"""F3, F4: PostgreSQL is restarted under a mixed load again and again, and servers are killed beside that.

Nothing accepted is lost, nothing starts unasked, and no server ends because its database does. In the suite it is half
a minute with a restart every 1 to 4 s; `make faults STORE=postgres MINUTES=10` plays for ten minutes with one every 5
to 20 s.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import pytest

from tests.faults.fleet.database import ENDS, Database
from tests.faults.fleet.fleet import Fleet
from tests.faults.fleet.restarts import Restarts
from tests.faults.fleet.siege import SETTINGS, Siege
from tests.fixtures.fleet import MakeFleet

MINUTES: Final = float(os.environ.get("TESTS_RESTART_MINUTES") or 0.5)
#: Seconds between two restarts, and those that the database is away.
UP: Final = (5.0, 20.0) if MINUTES >= 2 else (1.0, 4.0)
DOWN: Final = (0.0, 5.0) if MINUTES >= 2 else (0.0, 1.5)


@pytest.fixture
def siege_fleet(make_fleet: MakeFleet, pg: Database) -> Fleet:
    return make_fleet(pg.make(), **SETTINGS)


@pytest.mark.fault("F4")
@pytest.mark.promise("H07")
@pytest.mark.timeout(MINUTES * 60 + 600)
@pytest.mark.parametrize("kills", [False, True], ids=["restarts", "restarts-and-kills"])
def test_f03_f04_a_database_that_comes_and_goes_costs_nothing(
    siege_fleet: Fleet, pg: Database, fault_seed: int, tmp_path: Path, *, kills: bool
) -> None:
    siege = Siege(siege_fleet, fault_seed, kills=kills)
    pids = [one.pids()["owner"] for one in siege_fleet.servers]
    end = time.monotonic() + MINUTES * 60
    with Restarts(pg, ENDS, seed=fault_seed, up=UP, down=DOWN) as restarts:
        while time.monotonic() < end:
            siege.act()
    print(f"{len(restarts.done)} restarts: {restarts.done}")  # noqa: T201 - shown where the test fails
    assert restarts.done
    assert all(one.lives for one in siege_fleet.servers)
    if not kills:
        assert [one.pids()["owner"] for one in siege_fleet.servers] == pids
    siege.end()
    assert siege.crowd.accepted
    assert not (tmp_path / "copy").exists()
