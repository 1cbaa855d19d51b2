"""F1 and F2 on PostgreSQL: a server dies at every moment that has a name, one after the other.

In the suite at those that every load comes to; `make faults STORE=postgres` goes through all that were met.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from tests.faults.fleet.database import Database
from tests.faults.fleet.fleet import Fleet, Member
from tests.faults.test_f01_f02_moments import F1, F2, MOST, TRIES, live
from tests.fixtures.fleet import MakeFleet
from tests.oracle.crash import open_runs, until
from tests.oracle.load import Crowd, apply_load

#: What there is to settle is found by whoever looks, once the lease of a server that died is over.
MUST = F1 | {name.replace("settle_all", "settle") for name in F2}
#: They come only to the successor of a server that left something.
SETTLED = frozenset({"settle written", "settle committed"})
#: Whether it dies at each moment that was met, not only at those that must be met.
ALL = "TESTS_RESTART_MINUTES" in os.environ


def die(fleet: Fleet, crowd: Crowd, moments: list[str]) -> list[str]:
    """Let one server after the other die at a moment, and ask the oracle each time; return those that never came."""
    missed = []
    (server,) = fleet.servers
    for moment in moments:
        if not _dies(server, crowd, moment):
            missed.append(moment)
        assert not fleet.ledger.living(), moment
        found = fleet.problems()
        assert not found, f"{moment}:\n" + "\n".join(found)
    return missed


def _dies(server: Member, crowd: Crowd, moment: str) -> bool:
    for again in range(TRIES):
        if again and moment in SETTLED:  # the try before ended in good order, and left nothing
            _lives_and_dies(server, crowd, "after the spawn")
        if _lives_and_dies(server, crowd, moment):
            return True
    return False


def _lives_and_dies(server: Member, crowd: Crowd, moment: str) -> bool:
    client = server.start_doomed(DOOM=moment)
    if client is not None:
        live(server, crowd, client)
    return server.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.fault("F1")
@pytest.mark.fault("F2")
@pytest.mark.promise("H07")
@pytest.mark.timeout(1800)
def test_f01_f02_death_at_every_moment_loses_and_doubles_nothing(
    make_fleet: MakeFleet, pg: Database, tmp_path: Path
) -> None:
    fleet = make_fleet(pg.make(), servers=1, worker_slots="6", drain_grace="0s", lease="2s", heartbeat="200ms")
    (server,) = fleet.servers
    crowd = Crowd(random.Random(1))  # noqa: S311 - a game
    fleet.told = crowd.told
    server.run("db", "upgrade")  # what makes no store needs one
    apply_load(server, tmp_path)
    book = tmp_path / "book"
    assert die(fleet, crowd, ["after the spawn"]) == []
    client = server.start_doomed(BOOK=str(book))
    assert client is not None
    live(server, crowd, client)
    met = book.read_text().splitlines()
    assert MUST - set(met) == set()
    moments = [one for one in met if one in MUST or (ALL and not one.startswith(("prepare", "note_archive")))]
    missed = die(fleet, crowd, moments)
    assert not MUST.intersection(missed), missed
    assert len(missed) <= (1 - MOST) * len(moments), missed
    client = server.start()
    crowd.finish(client)
    until(lambda: not open_runs(client), "the end of all runs", patience=120, pace=0.1)
    fleet.finish()
