"""`windlass queue dead`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import JOB, limit_option
from windlass.cli.session import Session
from windlass.cli.table import Column
from windlass.cli.text import ago

_COLUMNS = (
    Column("TASK", lambda row: row["id"]),
    Column("JOB", lambda row: row["job"]),
    Column("STEP", lambda row: row["step"] + (f" [{row['key']}]" if row["key"] else "")),
    Column("QUEUE", lambda row: row["queue"], drops=True),
    Column("REASON", lambda row: row["reason"] or row["state"]),
    Column("ATTEMPTS", lambda row: str(row["attempt"]), right=True, drops=True),
    Column("ENDED", lambda row: ago(row["finishedAt"])),
    Column("ERROR", lambda row: (row["error"] or {}).get("message", ""), shrinks=True, drops=True),
)
_EXAMPLES = """
windlass queue dead --job nightly
windlass queue requeue 01a20241-74c1-70fd-b856-113a803de276.0
"""


@make(name="dead", examples=_EXAMPLES)
@click.option("--queue", metavar="NAME", help="Only those of this queue.")
@click.option("--job", type=JOB, help="Only those of this job.")
@limit_option(50)
def command(session: Session, *, queue: str | None, job: str | None, limit: int) -> None:
    """List dead letters: tasks that failed at their last attempt, or were set aside, and wait for somebody to decide.

    They leave the list when they are queued again, or when their run is retried.
    """
    with session.connect() as client:
        found = list(client.pages("dead-letters", most=limit, project=session.project, queue=queue, job=job))
    session.out.rows(found, _COLUMNS, "There are no dead letters.")
