"""`windlass archive restore`."""

from __future__ import annotations

from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.session import Session
from windlass.cli.several import found
from windlass.cli.text import local_time

_EXAMPLES = """
windlass archive restore 01a20241-74c1
"""


@make(name="restore", examples=_EXAMPLES)
@click.argument("runs", nargs=-1, required=True, type=RUN, metavar="RUN...")
def command(session: Session, *, runs: tuple[str, ...]) -> None:
    """Bring runs back from the archive, with their tasks, events, output and files.

    They leave again once their retention, counted from their return, is over; the archive keeps its copy meanwhile.
    """
    restored: list[dict[str, Any]] = []
    with session.connect() as client:
        for one in found(client, "archive", runs):
            run = client.post("archive", one["id"], "restore")
            was_away = run.pop("restored")
            restored.append(run)
            session.out.done(_told(run, was_away=was_away))
    if session.out.format != "table":
        session.out.value(restored, tuple)


def _told(run: dict[str, Any], *, was_away: bool) -> str:
    name = f"{run['id']} of job {run['job']}"
    return f"Restored {name}." if was_away else f"Run {name} is back already, since {local_time(run['restoredAt'])}."
