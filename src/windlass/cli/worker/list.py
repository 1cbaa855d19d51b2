"""`windlass worker list`."""

from __future__ import annotations

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.states import paint_signed, signed
from windlass.cli.table import Column
from windlass.cli.text import ago, plain

_COLUMNS = (
    Column("WORKER", lambda row: row["name"]),
    Column("STATE", lambda row: signed(row["state"]), paint=paint_signed),
    Column("BUSY", lambda row: f"{row['busy']}/{row['slots']}", right=True),
    Column("POOL", lambda row: row["pool"]),
    Column("QUEUES", lambda row: plain(row["queues"]), shrinks=True),
    Column("LABELS", lambda row: plain(row["labels"]), shrinks=True),
    Column("APP", lambda row: plain(row.get("apps")), shrinks=True, drops=True),
    Column("ADDED TYPES", lambda row: plain(row.get("addedTypes")), shrinks=True, drops=True),
    Column("SEEN", lambda row: ago(row["heartbeatAt"])),
    Column("STARTED", lambda row: ago(row["startedAt"]), drops=True),
    Column("VERSION", lambda row: row["version"], drops=True),
)


@make(name="list")
def command(session: Session) -> None:
    """List the workers, each with its state.

    One that is draining or ending takes no more; one that is silent was not heard of when it should have been, since
    when SEEN tells, and one that is lost is gone without a word. What a lost worker had begun is settled by the next
    server, or after WINDLASS_LEASE by the one that runs.
    """
    with session.connect() as client:
        workers = client.get("workers")["items"]
        if client.idle:  # the store is ours for this moment: nobody works, whatever the last heartbeat says
            workers = [worker | {"state": "lost"} for worker in workers]
    session.out.rows(
        workers, _COLUMNS, "No worker runs; `windlass up` starts one, beside a server `windlass worker` does."
    )
