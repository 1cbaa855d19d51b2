"""The program that measures Dramatiq on Redis: `python on_dramatiq.py MODE < OPTIONS`."""

from __future__ import annotations

import threading
from importlib.metadata import version
from typing import Any, Self

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.peers.beginnings import lane, noop, numbered
from bench.peers.measuring import Queue, main


def actors(url: str) -> tuple[RedisBroker, Any, Any]:
    """Return a broker without results, and its two actors."""
    broker = RedisBroker(url=url)

    actor = dramatiq.actor
    return broker, actor(noop, broker=broker), actor(numbered, broker=broker)


class OnDramatiq(Queue):
    """Dramatiq on its pool of connections."""

    in_bulk = False

    async def __aenter__(self) -> Self:
        """Prepare; Dramatiq connects when the first is sent."""
        self._broker, self._noop, self._numbered = actors(self.options["url"])
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        self._broker.close()

    async def submit(self) -> None:
        """Send one."""
        self._noop.send()

    async def submit_numbered(self, number: int) -> None:
        """Send one with its number."""
        self._numbered.send(number)


def work(options: dict[str, Any]) -> None:
    """Work with as many threads as asked for, until killed."""
    lane()
    broker, *_ = actors(options["url"])
    dramatiq.Worker(broker, worker_threads=options["threads"], worker_timeout=options["timeout"]).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(OnDramatiq, work, version("dramatiq"))
