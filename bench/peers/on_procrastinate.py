"""The program that measures Procrastinate on PostgreSQL: `python on_procrastinate.py MODE < OPTIONS`."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any, Self

from procrastinate import App, PsycopgConnector

from bench.peers.beginnings import lane, noop_here, numbered_here
from bench.peers.measuring import Queue, main


def application(url: str) -> tuple[App, Any, Any]:
    """Return an application and its two tasks."""
    found = App(connector=PsycopgConnector(conninfo=url))

    return found, found.task(noop_here, name="noop"), found.task(numbered_here, name="numbered")


class OnProcrastinate(Queue):
    """Procrastinate on its pool of psycopg."""

    async def __aenter__(self) -> Self:
        """Connect."""
        self._application, self._noop, self._numbered = application(self.options["url"])
        await self._application.open_async()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._application.close_async()

    async def prepare(self) -> None:
        """Make the tables."""
        await self._application.schema_manager.apply_schema_async()

    async def submit(self) -> None:
        """Defer one."""
        await self._noop.defer_async()

    async def submit_numbered(self, number: int) -> None:
        """Defer one with its number."""
        await self._numbered.defer_async(number=number)

    async def submit_many(self, count: int) -> None:
        """Defer all of them by one statement."""
        await self._noop.batch_defer_async(*({} for _ in range(count)))

    async def left(self) -> bool:
        """Look for any that did not succeed yet."""
        found = await self._application.connector.execute_query_one_async(
            "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing')) AS any"
        )
        return bool(found["any"])


async def work(options: dict[str, Any]) -> None:
    """Work with as many jobs at one time as asked for; what is done stays in the table."""
    lane()
    application_, *_ = application(options["url"])
    async with application_.open_async():
        await application_.run_worker_async(
            concurrency=options["concurrency"], delete_jobs="never", install_signal_handlers=False
        )


if __name__ == "__main__":
    main(OnProcrastinate, lambda options: asyncio.run(work(options)), version("procrastinate"))
