"""`windlass worker`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.settings import MOST_SLOTS

_EXAMPLES = """
windlass worker
windlass worker --slots 8 --pool batch
windlass worker --queues reports,mail --labels disk=fast
windlass worker --app shop.jobs:app
"""


@make(name="worker", examples=_EXAMPLES)
@click.option(
    "--app", metavar="MODULE:NAME", help="An application of Python, whose jobs run in this process without delay."
)
@click.option("--slots", type=click.IntRange(1, MOST_SLOTS), help="Attempts at one time.  [default: cores x 4]")
@click.option("--queues", metavar="NAMES", help="Queues that it takes from, with commas.  [default: all]")
@click.option("--pool", metavar="NAME", help="Pool that it belongs to.  [default: default]")
@click.option("--labels", metavar="NAME=VALUE,...", help="Labels that jobs may require.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="How log records are written.  [default: text]")
def command(session: Session, *, app: str | None, slots: int | None, **said: str | None) -> None:
    """Run tasks until stopped; without a verb.

    On PostgreSQL it works on the database itself, on any machine. On SQLite it works for the server that owns the
    store, which has to run on the same machine. WINDLASS_URL names a server to work for. What is away is waited for.
    Prints a line that begins with `ready` once it takes work. The first SIGTERM, SIGHUP or Ctrl-C lets running steps
    end for WINDLASS_DRAIN_GRACE and gives back what was not begun, a second one stops them.
    """
    from windlass.cli.journal import of_server  # noqa: PLC0415 - costs time that only servers have
    from windlass.engine.subject import subject_ids  # noqa: PLC0415 - with it

    if slots is not None:
        session.flags["worker_slots"] = str(slots)
    session.flags.update({name: text for name, text in said.items() if text is not None})
    of_server(session.settings, subject_ids)

    def ready(name: str) -> None:
        session.out.line(f"ready {name}")
        session.out.flush()

    session.program.work(session.settings, app, ready)
