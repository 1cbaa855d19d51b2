"""The program that measures Taskiq on Redis: `python on_taskiq.py MODE < OPTIONS`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Self

import uvloop
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

from bench.peers.beginnings import lane, noop_here, numbered_here
from bench.peers.measuring import Queue, main


def tasks(url: str) -> tuple[RedisStreamBroker, Any, Any]:
    """Return a broker that acknowledges, without results, and its two tasks."""
    broker = RedisStreamBroker(url=url)

    return broker, broker.task("noop")(noop_here), broker.task("numbered")(numbered_here)


class OnTaskiq(Queue):
    """Taskiq on its pool of connections."""

    in_bulk = False

    async def __aenter__(self) -> Self:
        """Connect."""
        self._broker, self._noop, self._numbered = tasks(self.options["url"])
        await self._broker.startup()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._broker.shutdown()

    async def submit(self) -> None:
        """Send one."""
        await self._noop.kiq()

    async def submit_numbered(self, number: int) -> None:
        """Send one with its number."""
        await self._numbered.kiq(number)


async def work(options: dict[str, Any]) -> None:
    """Work with as many tasks at one time, and fetched before, as asked for, until killed."""
    lane()
    broker, *_ = tasks(options["url"])
    await run_receiver_task(
        broker, max_async_tasks=options["tasks"], max_prefetch=options["prefetch"], run_startup=True
    )


if __name__ == "__main__":
    main(OnTaskiq, lambda options: uvloop.run(work(options)), version("taskiq"), run=uvloop.run)
