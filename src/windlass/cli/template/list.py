"""`windlass template list`."""

from __future__ import annotations

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.table import Column
from windlass.cli.text import local_time

_COLUMNS = (
    Column("TEMPLATE", lambda row: row["name"]),
    Column("PARAMETERS", lambda row: ", ".join(row["parameters"]), shrinks=True),
    Column("STEPS", lambda row: str(len(row["spec"].get("steps", ()))), right=True),
    Column("UPDATED", lambda row: local_time(row["updatedAt"]), drops=True),
)


@make(name="list")
def command(session: Session) -> None:
    """List the templates that jobs are made from. With --project '*' those of all projects."""
    with session.connect() as client:
        found = client.get("templates", project=session.project)["items"]
    session.out.rows(found, _COLUMNS, "There are no templates; `windlass job apply` stores those of files.")
