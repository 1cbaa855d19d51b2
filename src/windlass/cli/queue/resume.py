"""`windlass queue resume`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.model.queue_name import queue_name


@make(name="resume", examples="windlass queue resume reports")
@click.argument("queues", nargs=-1, required=True, metavar="QUEUE...")
def command(session: Session, *, queues: tuple[str, ...]) -> None:
    """Hand out tasks of queues again."""
    done = []
    with session.connect() as client:
        for queue in [queue_name(queue) for queue in queues]:
            done.append(client.post("queues", queue, "resume"))
            warnings = done[-1].pop("warnings")
            for warning in warnings:
                session.out.warn(warning)
            if not warnings:
                session.out.done(f"Resumed queue {queue}.")
    if session.out.format != "table":
        session.out.value(done[0] if len(done) == 1 else done, tuple)
