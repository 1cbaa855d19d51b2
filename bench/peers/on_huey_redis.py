"""The program that measures Huey on Redis: `python on_huey_redis.py MODE < OPTIONS`."""

from __future__ import annotations

import threading
from importlib.metadata import version
from typing import Any, Self

import huey

from bench.peers.beginnings import lane, noop, numbered
from bench.peers.measuring import Queue, main


def tasks(url: str) -> tuple[Any, Any, Any]:
    """Return a Huey without results, and its two tasks."""
    found = huey.RedisHuey("bench", url=url, results=False)

    return found, found.task(name="noop")(noop), found.task(name="numbered")(numbered)


class OnHuey(Queue):
    """Huey on its pool of connections."""

    in_bulk = False

    async def __aenter__(self) -> Self:
        """Prepare; Huey connects when the first is sent."""
        self._huey, self._noop, self._numbered = tasks(self.options["url"])
        return self

    async def submit(self) -> None:
        """Send one."""
        self._noop()

    async def submit_numbered(self, number: int) -> None:
        """Send one with its number."""
        self._numbered(number)


def work(options: dict[str, Any]) -> None:
    """Work with as many threads as asked for, which wait at Redis, until killed."""
    lane()
    found, *_ = tasks(options["url"])
    found.create_consumer(workers=options["threads"], periodic=False).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(OnHuey, work, version("huey"))
