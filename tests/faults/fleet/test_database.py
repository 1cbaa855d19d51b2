"""The PostgreSQL of these tests comes back with what it has answered for, however it ended."""

from __future__ import annotations

import asyncio
import os
import random
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.faults.fleet.database import ENDS, Database, End
from tests.faults.fleet.restarts import Restarts
from tests.oracle.crash import until

SEED = int(os.environ.get("TESTS_FAULT_SEED") or random.SystemRandom().randrange(2**32))


@pytest.mark.parametrize("how", ENDS)
def test_what_was_committed_is_there_after_each_kind_of_end(pg: Database, how: End) -> None:
    name = urlsplit(pg.make()).path[1:]
    pg.execute("CREATE TABLE kept (n int)", database=name)
    pg.execute("INSERT INTO kept SELECT generate_series(1, 1000)", database=name)
    pg.restart(how)
    assert pg.execute("SELECT count(*) FROM kept", database=name)[0][0] == 1000


@pytest.mark.timeout(120)
def test_it_is_restarted_again_and_again_and_loses_nothing(pg: Database) -> None:
    print(f"TESTS_FAULT_SEED={SEED}")  # noqa: T201 - shown where the test fails
    url = pg.make()
    pg.execute("CREATE TABLE kept (n int PRIMARY KEY)", database=urlsplit(url).path[1:])
    answered: list[int] = []

    async def write() -> None:
        connection: asyncpg.Connection | None = None
        number = 0
        while number < 10**6 and len(restarts.done) < 5:
            try:
                connection = connection or await asyncpg.connect(url, timeout=20)
                number += 1
                await connection.execute("INSERT INTO kept VALUES ($1)", number)
                answered.append(number)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                if connection is not None:
                    connection.terminate()
                connection = None
                await asyncio.to_thread(restarts.up.wait, 60)
        if connection is not None:
            connection.terminate()
            await asyncio.sleep(0)  # the loop lets go of it in its next turn

    with Restarts(pg, ENDS, seed=SEED, up=(0.1, 1.0), down=(0.0, 0.2)) as restarts:
        asyncio.run(write())
        until(lambda: len(restarts.done) >= 5, "five restarts")
    kept = {row[0] for row in pg.execute("SELECT n FROM kept", database=urlsplit(url).path[1:])}
    assert len(answered) > 5
    assert set(answered) <= kept
