"""`windlass job delete`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.options import JOB
from windlass.cli.session import Session
from windlass.cli.several import found_jobs

_EXAMPLES = """
windlass job delete orders
"""


@make(name="delete", examples=_EXAMPLES)
@click.argument("jobs", nargs=-1, required=True, type=JOB, metavar="JOB...")
def command(session: Session, *, jobs: tuple[str, ...]) -> None:
    """Delete jobs. Applied again they live again.

    Runs that are scheduled, queued or running go on to their end, and past ones stay: `windlass run list --job JOB`
    lists them. `windlass run cancel RUN` stops one.
    """
    deleted = []
    with session.connect() as client:
        for job in found_jobs(session, client, jobs):
            deleted.append(client.delete("jobs", job["id"], project=session.project))
            session.out.done(_told(deleted[-1]))
    if session.out.format != "table":
        session.out.value(deleted, tuple)


def _told(job: Mapping[str, Any]) -> str:
    count = job["liveRuns"]
    if not count:
        return f"Deleted {job['alias']}."
    runs = "1 run of it that has not ended goes on" if count == 1 else f"{count} runs of it that have not ended go on"
    return f"Deleted {job['alias']}; {runs}, and `windlass run cancel RUN` stops one."
