"""`windlass up`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.settings import MOST_SLOTS

_EXAMPLES = """
windlass up
windlass up --slots 2
windlass up --log-format json 2>> windlass.log
WINDLASS_HOME=/srv/windlass windlass up
"""


@make(name="up", examples=_EXAMPLES)
@click.option(
    "--slots",
    type=click.IntRange(0, MOST_SLOTS),
    help="Attempts that run at one time; with 0 only workers of their own work.  [default: cores x 4]",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), help="How log records are written.  [default: text]")
def command(session: Session, *, slots: int | None, log_format: str | None) -> None:
    """Own the store, serve it and run jobs, until stopped.

    Prints a line that begins with `ready` once it takes work. The first SIGTERM, SIGHUP or Ctrl-C lets running steps
    end for WINDLASS_DRAIN_GRACE, a second one stops them. Log records go to standard error,
    or to the file WINDLASS_LOG_FILE, which is rotated.
    """
    from windlass.cli.journal import of_server  # noqa: PLC0415 - costs time that only servers have
    from windlass.engine.subject import subject_ids  # noqa: PLC0415 - with it

    if slots is not None:
        session.flags["worker_slots"] = str(slots)
    if log_format is not None:
        session.flags["log_format"] = log_format
    of_server(session.settings, subject_ids)

    def ready(address: str) -> None:
        session.out.line(f"ready {address}")
        session.out.flush()

    session.program.serve(session.settings, ready)
