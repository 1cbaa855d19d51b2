"""`windlass up`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.session import Session

_EXAMPLES = """
windlass up
windlass up --slots 2
WINDLASS_HOME=/srv/windlass windlass up
"""


@make(name="up", examples=_EXAMPLES)
@click.option("--slots", type=click.IntRange(1), help="Attempts that run at one time.  [default: cores x 4]")
def command(session: Session, *, slots: int | None) -> None:
    """Own the store, serve it and run jobs, until stopped.

    Prints a line that begins with `ready` once it takes work. The first SIGTERM, SIGHUP or Ctrl-C lets running steps
    end for WINDLASS_DRAIN_GRACE, a second one stops them. Log records go to standard error.
    """
    from windlass.cli.journal import to_stderr  # noqa: PLC0415 - costs time that only servers have

    if slots is not None:
        session.flags["worker_slots"] = str(slots)
    to_stderr(debug=session.settings.debug)

    def ready(address: str) -> None:
        session.out.line(f"ready {address}")
        session.out.flush()

    session.program.serve(session.settings, ready)
