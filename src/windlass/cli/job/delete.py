"""`windlass job delete`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import JOB
from windlass.cli.session import Session


@make(name="delete")
@click.argument("jobs", nargs=-1, required=True, type=JOB, metavar="JOB...")
def command(session: Session, *, jobs: tuple[str, ...]) -> None:
    """Delete jobs. Their runs go on and their history stays; applied again they live again."""
    deleted = []
    with session.connect() as client:
        for job in jobs:
            deleted.append(client.delete("jobs", job, project=session.project))
            session.out.done(f"Deleted {deleted[-1]['alias']}.")
    if session.out.format != "table":
        session.out.value(deleted, tuple)
