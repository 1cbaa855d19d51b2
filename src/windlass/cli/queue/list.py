"""`windlass queue list`."""

from __future__ import annotations

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.table import Column
from windlass.cli.text import ago


def _of(state: str) -> Column:
    return Column(state.upper(), lambda row: str(row["counts"].get(state, "")), right=True)


_COLUMNS = (
    Column("QUEUE", lambda row: row["name"]),
    *map(_of, ("queued", "running", "pending", "scheduled", "waiting")),
    Column("OLDEST", lambda row: ago(row["oldestDueAt"])),
)


@make(name="list")
def command(session: Session) -> None:
    """List the queues in which tasks wait or run."""
    with session.connect() as client:
        queues = client.get("queues")["items"]
    session.out.rows(queues, _COLUMNS, "No task waits or runs.")
