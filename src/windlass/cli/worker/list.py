"""`windlass worker list`."""

from __future__ import annotations

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.table import Column
from windlass.cli.text import ago, plain

_COLUMNS = (
    Column("WORKER", lambda row: row["name"]),
    Column("BUSY", lambda row: f"{row['busy']}/{row['slots']}", right=True),
    Column("POOL", lambda row: row["pool"]),
    Column("QUEUES", lambda row: plain(row["queues"]), shrinks=True),
    Column("LABELS", lambda row: plain(row["labels"]), shrinks=True),
    Column("SEEN", lambda row: ago(row["heartbeatAt"])),
    Column("STARTED", lambda row: ago(row["startedAt"])),
    Column("VERSION", lambda row: row["version"]),
)


@make(name="list")
def command(session: Session) -> None:
    """List the workers that live."""
    with session.connect() as client:
        workers = client.get("workers")["items"]
    session.out.rows(workers, _COLUMNS, "No worker runs; `windlass up` starts one.")
