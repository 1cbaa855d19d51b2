"""A server and a worker whose URL names two servers of PostgreSQL, of which the first one dies."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.stage import HEAD, accepted, apply, ended, line_of
from tests.fixtures.postgres import ROLE, VERSION, PostgresServer, in_a_loop, replica_of, started
from tests.fixtures.program import Windlass

pytestmark = [pytest.mark.fault("F4"), pytest.mark.timeout(180)]


@pytest.fixture
def pair() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """Yield a server and its replica."""
    with started(VERSION) as first, replica_of(first) as second:
        yield first, second


async def received(first: PostgresServer, second: PostgresServer) -> None:
    """Return once the replica has everything that its server has committed."""
    here, there = await first.connect("postgres"), await second.connect("postgres")
    end = await here.fetchval("SELECT pg_current_wal_flush_lsn()::text")
    while not await there.fetchval("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", end):
        pass
    for one in (here, there):
        await one.close()


def test_servers_and_workers_go_on_with_the_one_that_took_over(
    windlass: Windlass, pair: tuple[PostgresServer, PostgresServer]
) -> None:
    first, second = pair
    name = in_a_loop(first.empty())
    windlass.env["WINDLASS_DATABASE_URL"] = f"postgresql://{ROLE}@/{name}?host={second.folder},{first.folder}"
    server = windlass.start("up", "--slots", "0")
    line_of(server.stdout, "ready")
    worker = windlass.start("worker", "--slots", "2")
    line_of(worker.stdout, "ready")
    apply(windlass, HEAD % "plain" + 'steps: [{name: a, run: "echo told"}]\n')
    before = accepted(windlass, "plain")
    assert ended(windlass, before)["state"] == "completed"
    asyncio.run(received(first, second))
    first.end(signal.SIGQUIT)
    in_a_loop(second.execute("SELECT pg_promote()"))
    after = accepted(windlass, "plain")
    assert ended(windlass, after)["state"] == "completed"
    assert {run["id"] for run in windlass("--json", "run", "list").json()} == {before, after}
    for one in (server, worker):
        one.send_signal(signal.SIGTERM)
        assert one.wait(40) == 0
