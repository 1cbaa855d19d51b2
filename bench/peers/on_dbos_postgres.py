"""The program that measures the queues of DBOS on PostgreSQL: `python on_dbos_postgres.py MODE < OPTIONS`."""

from __future__ import annotations

import threading
from importlib.metadata import version
from typing import Any, Self

import sqlalchemy
from dbos import DBOS, DBOSClient

from bench.peers.beginnings import lane
from bench.peers.measuring import Queue, main
from bench.peers.on_dbos import start

#: Workflows that are enqueued in one transaction.
_BATCH = 500


@DBOS.workflow()
def noted() -> None:
    """Do nothing but note the time."""
    lane().begun()


@DBOS.workflow()
def numbered(number: int) -> None:
    """Do nothing but note the time by a number."""
    lane().begun_as(number)


class OnDbos(Queue):
    """A client of DBOS, which submits from outside as its users do."""

    async def __aenter__(self) -> Self:
        """Connect."""
        self._client = DBOSClient(system_database_url=self.options["url"], lazy=True)
        self._engine = sqlalchemy.create_engine(self.options["url"].replace("postgresql:", "postgresql+psycopg:"))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        self._engine.dispose()
        self._client.destroy()

    async def prepare(self) -> None:
        """Make the tables, and the queue."""
        start(self.options["url"], ())
        DBOS.destroy()
        self._client.register_queue("work", polling_interval_sec=self.options.get("polling", 1.0))

    async def submit(self) -> None:
        """Enqueue one."""
        self._client.enqueue({"queue_name": "work", "workflow_name": "noted"})

    async def submit_numbered(self, number: int) -> None:
        """Enqueue one with its number."""
        self._client.enqueue({"queue_name": "work", "workflow_name": "numbered"}, number)

    async def submit_many(self, count: int) -> None:
        """Enqueue many in a transaction."""
        for first in range(0, count, _BATCH):
            with self._engine.begin() as connection:
                for _ in range(min(_BATCH, count - first)):
                    self._client.enqueue_in_transaction(connection, {"queue_name": "work", "workflow_name": "noted"})

    async def left(self) -> bool:
        """Look for any that did not succeed yet."""
        with self._engine.connect() as connection:
            found = connection.execute(
                sqlalchemy.text("SELECT EXISTS (SELECT FROM dbos.workflow_status WHERE status <> 'SUCCESS')")
            )
            return bool(found.scalar())


def work(options: dict[str, Any]) -> None:
    """Work without a limit of its own, until killed."""
    lane()
    start(options["url"], ["work"])
    threading.Event().wait()


if __name__ == "__main__":
    main(OnDbos, work, version("dbos"))
