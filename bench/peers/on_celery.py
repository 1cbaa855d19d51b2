"""The program that measures Celery on Redis: `python on_celery.py MODE < OPTIONS`."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import Any, Self

from celery import Celery
from celery.signals import worker_process_init

from bench.peers.beginnings import lane, noop, numbered
from bench.peers.measuring import Queue, main


def application(options: dict[str, Any]) -> tuple[Celery, Any, Any]:
    """Return an application that keeps no results, and its two tasks."""
    found = Celery("bench", broker=options["url"])
    found.conf.update(
        task_ignore_result=True,
        task_acks_late=False,
        worker_prefetch_multiplier=options.get("prefetch", 1),
        worker_hijack_root_logger=False,
    )

    return found, found.task(name="noop")(noop), found.task(name="numbered")(numbered)


class OnCelery(Queue):
    """Celery on its pool of connections."""

    in_bulk = False

    async def __aenter__(self) -> Self:
        """Prepare; Celery connects when the first is sent."""
        self._application, self._noop, self._numbered = application(self.options)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        self._application.close()

    async def submit(self) -> None:
        """Send one."""
        self._noop.delay()

    async def submit_numbered(self, number: int) -> None:
        """Send one with its number."""
        self._numbered.delay(number)


def work(options: dict[str, Any]) -> None:
    """Work with one forked process, until killed."""
    warnings.simplefilter("ignore")  # about who it runs as
    worker_process_init.connect(lambda **_: lane(), weak=False)
    found, *_ = application(options)
    quiet = ["--loglevel=ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    found.worker_main(["--quiet", "worker", "--pool=prefork", "--concurrency=1", *quiet])


if __name__ == "__main__":
    main(OnCelery, work, version("celery"))
