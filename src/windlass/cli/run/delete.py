"""`windlass run delete`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.session import Session

_EXAMPLES = """
windlass run delete 01a20241-74c1
"""


@make(name="delete", examples=_EXAMPLES)
@click.argument("runs", nargs=-1, required=True, type=RUN, metavar="RUN...")
def command(session: Session, *, runs: tuple[str, ...]) -> None:
    """Cancel runs that are live, then delete them with the runs that they started, their logs and files."""
    with session.connect() as client:
        for reference in runs:
            run = client.get("runs", reference)
            client.delete("runs", run["id"])
            session.out.done(f"Run {run['id']} of {run['job']} is deleted.")
