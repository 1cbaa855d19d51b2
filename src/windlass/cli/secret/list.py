"""`windlass secret list`."""

from __future__ import annotations

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.table import Column
from windlass.cli.text import local_time, plain

_COLUMNS = (
    Column("SECRET", lambda row: row["name"]),
    Column("VERSION", lambda row: str(row["version"]), right=True),
    Column("NOTE", lambda row: plain(row["note"]), shrinks=True),
    Column("SET", lambda row: local_time(row["updatedAt"])),
    Column("BY", lambda row: plain(row["updatedBy"]), drops=True),
)


@make(name="list")
def command(session: Session) -> None:
    """List the secrets that the store keeps, without their values. With --project '*' those of all projects."""
    with session.connect() as client:
        found = list(client.pages("secrets", project=session.project))
    session.out.rows(found, _COLUMNS, "There are no secrets; `windlass secret set NAME` keeps one.")
