"""`windlass queue pause`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.model.queue_name import queue_name


@make(name="pause", examples="windlass queue pause reports")
@click.argument("queues", nargs=-1, required=True, metavar="QUEUE...")
@click.option("--why", metavar="TEXT", help="What for, shown to whoever looks.")
def command(session: Session, *, queues: tuple[str, ...], why: str | None) -> None:
    """Hand out nothing of queues until they are resumed. What runs goes on; new runs are accepted and wait."""
    done = []
    with session.connect() as client:
        for queue in [queue_name(queue) for queue in queues]:
            done.append(client.post("queues", queue, "pause", body={"why": why}))
            for warning in done[-1].pop("warnings"):
                session.out.warn(warning)
            session.out.done(f"Paused queue {queue}.")
    if session.out.format != "table":
        session.out.value(done[0] if len(done) == 1 else done, tuple)
