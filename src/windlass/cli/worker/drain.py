"""`windlass worker drain`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.session import Session


@make(name="drain", examples="windlass worker drain web1-4711")
@click.argument("worker")
def command(session: Session, *, worker: str) -> None:
    """Have a worker take no more; what it runs goes on. `windlass worker slots` lets it take work again."""
    with session.connect() as client:
        found = client.post("workers", worker, "drain")
    session.out.done(f"Worker {worker} takes no more; it runs {found['busy']}.")
    if session.out.format != "table":
        session.out.value(found, tuple)
