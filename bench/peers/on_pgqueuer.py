"""The program that measures PgQueuer on PostgreSQL: `python on_pgqueuer.py MODE < OPTIONS`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Self

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.peers.beginnings import Lane
from bench.peers.measuring import Queue, main


class OnPgQueuer(Queue):
    """PgQueuer on one connection, as it is made for."""

    async def __aenter__(self) -> Self:
        """Connect."""
        self._connection = await asyncpg.connect(self.options["url"])
        self._queries = Queries(AsyncpgDriver(self._connection))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._connection.close()

    async def prepare(self) -> None:
        """Make the tables, all of which are logged by default."""
        await self._queries.install()

    async def submit(self) -> None:
        """Enqueue one."""
        await self._queries.enqueue("noop", None)

    async def submit_numbered(self, number: int) -> None:
        """Enqueue one with its number."""
        await self._queries.enqueue("numbered", str(number).encode())

    async def submit_many(self, count: int) -> None:
        """Enqueue all of them by one statement."""
        await self._queries.enqueue(["noop"] * count, [None] * count, [0] * count)

    async def left(self) -> bool:
        """Look for any that is not in the log instead."""
        found: bool = await self._connection.fetchval("SELECT EXISTS (SELECT FROM pgqueuer)")
        return found


async def work(options: dict[str, Any]) -> None:
    """Work with batches as large as asked for."""
    lane = Lane()
    application = PgQueuer(AsyncpgDriver(await asyncpg.connect(options["url"])))

    @application.entrypoint("noop")
    async def noop(_: Job) -> None:
        lane.begun()

    @application.entrypoint("numbered")
    async def numbered(job: Job) -> None:
        lane.begun_as(int(job.payload or b""))

    await application.run(batch_size=options["batch"])


if __name__ == "__main__":
    main(OnPgQueuer, lambda options: uvloop.run(work(options)), version("pgqueuer"), run=uvloop.run)
