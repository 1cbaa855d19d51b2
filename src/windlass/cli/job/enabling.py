"""What `windlass job enable` and `windlass job disable` share."""

from __future__ import annotations

import click

from windlass.cli.command import Command, make
from windlass.cli.options import JOB
from windlass.cli.session import Session
from windlass.cli.several import found_jobs


def enabling(verb: str, meaning: str) -> Command:
    """Return the command that does `verb` (enable or disable) to jobs; `meaning` is its help."""

    @make(name=verb, help=meaning, examples=f"windlass job {verb} orders")
    @click.argument("jobs", nargs=-1, required=True, type=JOB, metavar="JOB...")
    def command(session: Session, *, jobs: tuple[str, ...]) -> None:
        done = []
        with session.connect() as client:
            for job in found_jobs(session, client, jobs):
                done.append(client.post("jobs", job["id"], verb, project=session.project))
                session.out.done(f"{verb.capitalize()}d {done[-1]['alias']}.")
        if session.out.format != "table":
            session.out.value(done, tuple)

    return command
