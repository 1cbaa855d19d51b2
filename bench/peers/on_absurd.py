"""The program that measures absurd on PostgreSQL: `python on_absurd.py MODE < OPTIONS`."""

from __future__ import annotations

import asyncio
import os
from importlib.metadata import version
from typing import Any, Self

import psycopg
from absurd_sdk import AsyncAbsurd
from absurdctl import BUNDLED_SCHEMA_SQL

from bench.peers.beginnings import lane
from bench.peers.measuring import Queue, main


class OnAbsurd(Queue):
    """absurd on one connection, with its usual, unpartitioned queue."""

    in_bulk = False

    async def __aenter__(self) -> Self:
        """Connect."""
        url = self.options["url"]
        self._connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
        self._absurd = AsyncAbsurd(self._connection)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._connection.close()

    async def prepare(self) -> None:
        """Make the tables."""
        await self._connection.execute(BUNDLED_SCHEMA_SQL.encode())
        await self._absurd.create_queue("default")

    async def submit(self) -> None:
        """Spawn one."""
        await self._absurd.spawn("noop", {}, queue="default")

    async def submit_numbered(self, number: int) -> None:
        """Spawn one with its number."""
        await self._absurd.spawn("numbered", {"number": number}, queue="default")

    async def submit_many(self, count: int) -> None:
        """Spawn all of them in one transaction."""
        async with self._connection.transaction():
            for _ in range(count):
                await self.submit()

    async def left(self) -> bool:
        """Look for any that is not completed."""
        found = await self._connection.execute(
            "SELECT EXISTS (SELECT FROM absurd.t_default WHERE state <> 'completed')"
        )
        row = await found.fetchone()
        return row is None or bool(row[0])


async def work(options: dict[str, Any]) -> None:
    """Work with as many tasks at one time, and in a batch, as asked for."""
    lane()
    absurd = AsyncAbsurd(options["url"])

    @absurd.register_task(name="noop")
    async def noop(_: Any, __: Any) -> None:
        lane().begun()

    @absurd.register_task(name="numbered")
    async def numbered(parameters: Any, _: Any) -> None:
        lane().begun_as(parameters["number"])

    await absurd.start_worker(
        worker_id=str(os.getpid()), concurrency=options["concurrency"], poll_interval=options["polling"]
    )


if __name__ == "__main__":
    main(OnAbsurd, lambda options: asyncio.run(work(options)), version("absurd-sdk"))
