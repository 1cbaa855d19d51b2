"""`windlass event tail`."""

from __future__ import annotations

from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.options import JOB, RUN
from windlass.cli.session import Session
from windlass.cli.text import clean, local_time, plain
from windlass.cli.watch.streams import refuse_idle


@make(name="tail")
@click.option("--type", "types", multiple=True, help="Only events of this type, such as run.failed or 'task.*'.")
@click.option("--job", type=JOB, help="Only events of this job's runs.")
@click.option("--run", type=RUN, help="Only events of this run.")
@click.option("-n", "--last", type=click.IntRange(0, 100_000), help="Begin with about so many past events.")
def command(session: Session, *, last: int | None, **which: Any) -> None:
    """Print events as they come, until Ctrl-C. With --json one object on a line."""
    types = which.pop("types")
    with session.connect() as client:
        refuse_idle(client)
        for event in client.events("events", project=session.project, type=types, last=last, **which):
            shown = event.json()
            if session.out.format == "table":
                task = plain(shown["taskId"]).rpartition(".")[2]
                parts = [
                    local_time(shown["at"]),
                    f"{shown['type']:<20}",
                    plain(shown["runId"]),
                    task,
                    plain(shown["data"]),
                ]
                session.out.line(clean("  ".join(filter(None, parts))))
            else:
                session.out.compact(shown)
            session.out.flush()
