"""The program that measures awa-pg on PostgreSQL: `python on_awa.py MODE < OPTIONS`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Self

from awa import AsyncClient

from bench.peers.beginnings import lane
from bench.peers.measuring import Queue, main


@dataclass
class Noop:
    """What a no-op is told."""


@dataclass
class Numbered:
    """What a no-op with a number is told."""

    number: int


class OnAwa(Queue):
    """awa-pg with its queue storage."""

    async def __aenter__(self) -> Self:
        """Connect."""
        self._client = AsyncClient(self.options["url"])
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._client.close()

    async def prepare(self) -> None:
        """Make the tables, with the newer storage, which is much the faster one."""
        await self._client.migrate()
        await self._client.install_queue_storage(schema="awa")

    async def submit(self) -> None:
        """Insert one."""
        await self._client.insert(Noop(), queue="default")

    async def submit_numbered(self, number: int) -> None:
        """Insert one with its number."""
        await self._client.insert(Numbered(number), queue="default")

    async def submit_many(self, count: int) -> None:
        """Copy all of them."""
        await self._client.enqueue_many_copy([Noop()] * count, queue="default")


async def work(options: dict[str, Any]) -> None:
    """Work with as many jobs at one time as asked for, until killed."""
    lane()
    client = AsyncClient(options["url"])

    @client.task(Noop, queue="default")
    async def noop(_: Any) -> None:
        lane().begun()

    @client.task(Numbered, queue="default")
    async def numbered(job: Any) -> None:
        lane().begun_as(job.args.number)

    queue = {"name": "default", "max_workers": options["slots"], "claim_batch_size": options["batch"]}
    await client.start([queue], poll_interval_ms=options["polling"])
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    main(OnAwa, lambda options: asyncio.run(work(options)), version("awa-pg"))
