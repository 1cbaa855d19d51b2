"""`windlass worker get`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.output import detail_lines
from windlass.cli.session import Session
from windlass.cli.states import paint_signed, signed
from windlass.cli.text import ago, local_time, plain


@make(name="get", examples="windlass worker get web1-4711")
@click.argument("worker")
def command(session: Session, *, worker: str) -> None:
    """Show a worker: what it serves, what its machine is, and the step types that it has."""
    with session.connect() as client:
        found = client.get("workers", worker)
        if client.idle:  # the store is ours for this moment: nobody works, whatever the last heartbeat says
            found = found | {"state": "lost"}
    session.out.value(found, lambda: _told(found, colours=session.out.colours))


def _told(worker: dict[str, Any], *, colours: bool) -> Iterator[str]:
    state = signed(worker["state"])
    shipped = [name for name in worker["stepTypes"] if name not in worker["addedTypes"]]
    yield from detail_lines(
        [
            ("worker", plain(worker["name"])),
            ("state", paint_signed(state) if colours else state),
            ("process", f"{worker['pid']} on {plain(worker['host'])}"),
            ("busy", f"{worker['busy']} of {worker['slots']} slots"),
            ("pool", plain(worker["pool"])),
            ("queues", plain(worker["queues"])),
            ("labels", plain(worker["labels"])),
            ("application", plain(worker["apps"])),
            ("machine", plain(worker["facts"])),
            ("step types", plain(shipped)),
            ("added types", plain(worker["addedTypes"])),
            ("version", plain(worker["version"])),
            ("started", local_time(worker["startedAt"])),
            ("seen", ago(worker["heartbeatAt"])),
        ]
    )
