"""`windlass worker slots`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.settings import MOST_SLOTS


@make(name="slots", examples="windlass worker slots web1-4711 8")
@click.argument("worker")
@click.argument("number", metavar="N", type=click.IntRange(1, MOST_SLOTS))
def command(session: Session, *, worker: str, number: int) -> None:
    """Let a worker run N attempts at one time, until it ends. More than that go on to their end; a drain is over."""
    with session.connect() as client:
        found = client.call("PUT", ("workers", worker, "slots"), body={"slots": number})
    session.out.done(f"Worker {worker} has {number} {'slot' if number == 1 else 'slots'}; it runs {found['busy']}.")
    if session.out.format != "table":
        session.out.value(found, tuple)
