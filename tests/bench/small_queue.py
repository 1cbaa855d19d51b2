"""A queue in a file, with a program that measures it as others are: `python -m tests.bench.small_queue MODE`."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from bench.peers.beginnings import Lane
from bench.peers.measuring import Queue, main


class SmallQueue(Queue):
    """Rows that a worker deletes."""

    def connect(self) -> sqlite3.Connection:
        """Open the file that stands in for a server."""
        return sqlite3.connect(self.options["url"], timeout=30, isolation_level=None)

    async def prepare(self) -> None:
        self.connect().execute("CREATE TABLE job (number INTEGER)")

    async def submit(self) -> None:
        self.connect().execute("INSERT INTO job VALUES (NULL)")

    async def submit_numbered(self, number: int) -> None:
        self.connect().execute("INSERT INTO job VALUES (?)", (number,))

    async def left(self) -> bool:
        (found,) = self.connect().execute("SELECT count(*) FROM job").fetchone()
        return bool(found)

    async def check(self, count: int) -> None:
        Path(self.options["url"]).with_name("checked").write_text(str(count))


def work(options: dict[str, Any]) -> None:
    """Take one job at a time; end where the options want it so."""
    lane = Lane()
    connection = SmallQueue(options).connect()
    while not options.get("ends"):
        row = connection.execute(
            "DELETE FROM job WHERE rowid = (SELECT min(rowid) FROM job) RETURNING number"
        ).fetchone()
        if row is None:
            time.sleep(0.001)
        elif row[0] is None:
            lane.begun()
        else:
            lane.begun_as(row[0])


if __name__ == "__main__":
    main(SmallQueue, work, "7", refusals=(sqlite3.OperationalError,))
