"""`windlass job history`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import JOB, limit_option
from windlass.cli.session import Session
from windlass.cli.table import Column
from windlass.cli.text import local_time, plain

_COLUMNS = (
    Column("REV", lambda row: str(row["revision"]), right=True),
    Column("TAGS", lambda row: ", ".join(row["tags"])),
    Column("WHEN", lambda row: local_time(row["createdAt"])),
    Column("WHO", lambda row: plain(row["author"])),
    Column("DIGEST", lambda row: row["digest"][:12]),
    Column("SOURCE", lambda row: plain(row["provenance"]), shrinks=True),
    Column("WHY", lambda row: plain(row["message"]), shrinks=True),
)

_EXAMPLES = """
windlass job history orders
"""


@make(name="history", examples=_EXAMPLES)
@click.argument("job", type=JOB)
@limit_option(50)
def command(session: Session, *, job: str, limit: int) -> None:
    """List the revisions of a job, newest first."""
    with session.connect() as client:
        revisions = list(client.pages("jobs", job, "revisions", most=limit, project=session.project))
    session.out.rows(revisions, _COLUMNS, "There are no revisions.")
