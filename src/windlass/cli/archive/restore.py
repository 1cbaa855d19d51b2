"""`windlass archive restore`."""

from __future__ import annotations

from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.session import Session

_EXAMPLES = """
windlass archive restore 01a20241-74c1
"""


@make(name="restore", examples=_EXAMPLES)
@click.argument("runs", nargs=-1, required=True, type=RUN, metavar="RUN...")
def command(session: Session, *, runs: tuple[str, ...]) -> None:
    """Bring runs back from the archive, with their tasks, events, output and files.

    They leave again once their retention, counted from now, is over; the archive keeps its copy meanwhile.
    """
    restored: list[dict[str, Any]] = []
    with session.connect() as client:
        for run in runs:
            restored.append(client.post("archive", run, "restore"))
            session.out.done(f"Restored {restored[-1]['id']} of job {restored[-1]['job']}.")
    if session.out.format != "table":
        session.out.value(restored, tuple)
