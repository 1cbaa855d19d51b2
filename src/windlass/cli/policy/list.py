"""`windlass policy list`."""

from __future__ import annotations

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.table import Column
from windlass.cli.text import duration, plain

_COLUMNS = (
    Column("POLICY", lambda row: row["name"]),
    Column("STATES", lambda row: ", ".join(row["spec"].get("states", ["all"]))),
    Column("JOBS", lambda row: ", ".join(row["spec"].get("jobs", ["*"])), shrinks=True),
    Column("PARTITION", lambda row: plain(row["spec"].get("partition")), drops=True),
    Column("AGE", lambda row: duration(row["spec"]["minAge"]), right=True),
    Column("TO", lambda row: row["spec"].get("to", "archive")),
)


@make(name="list")
def command(session: Session) -> None:
    """List retention policies. With --project '*' those of all projects."""
    with session.connect() as client:
        found = client.get("policies", project=session.project)["items"]
    session.out.rows(found, _COLUMNS, "There are no policies; `windlass job apply` stores those of files.")
