"""`windlass maintenance on`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.session import Session


@make(name="on", examples='windlass maintenance on --why "new disks"')
@click.option("--why", metavar="TEXT", help="What for, shown to whoever looks.")
def command(session: Session, *, why: str | None) -> None:
    """Start no task and fire no trigger until `windlass maintenance off`. What runs goes on; new runs wait."""
    with session.connect() as client:
        said = client.call("PUT", ("maintenance",), body={"on": True, "why": why})
    session.out.done("Maintenance is on: nothing is started.")
    if session.out.format != "table":
        session.out.value(said, tuple)
