"""`windlass archive list`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import JOB, limit_option
from windlass.cli.session import Session
from windlass.cli.states import paint_signed, signed
from windlass.cli.table import Column
from windlass.cli.text import ago, plain, short_id, size
from windlass.model.state import RUN_FINAL

_COLUMNS = (
    Column("RUN", lambda row: row["id"], narrow=lambda row: short_id(row["id"])),
    Column("JOB", lambda row: f"{plain(row['job'])}:{plain(row['revision'])}"),
    Column("STATE", lambda row: signed(row["state"]), paint=paint_signed),
    Column("FINISHED", lambda row: ago(row["finishedAt"])),
    Column("ARCHIVED", lambda row: ago(row["archivedAt"])),
    Column("RESTORED", lambda row: ago(row["restoredAt"]) if row["restoredAt"] else "", drops=True),
    Column("SIZE", lambda row: size(row["size"]), right=True, drops=True),
    Column("RULE", lambda row: row["rule"], shrinks=True, drops=True),
)
_EXAMPLES = """
windlass archive list --job orders
windlass archive list --state failed --json
"""


@make(name="list", examples=_EXAMPLES)
@click.option("--job", type=JOB, help="Only runs of this job.")
@click.option(
    "--state",
    multiple=True,
    type=click.Choice(tuple(sorted(RUN_FINAL))),
    help="Only runs in this state; may be given several times.",
)
@limit_option(20)
def command(session: Session, *, job: str | None, state: tuple[str, ...], limit: int) -> None:
    """List archived runs, newest first. With --project '*' those of all projects."""
    with session.connect() as client:
        runs = list(client.pages("archive", most=limit, project=session.project, job=job, state=state))
    session.out.rows(runs, _COLUMNS, "The archive holds no such run.")
