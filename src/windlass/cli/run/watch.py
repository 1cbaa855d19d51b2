"""`windlass run watch`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.run.get import note_lacking
from windlass.cli.session import Session
from windlass.cli.watch.reconnect import reconnect_option

_EXAMPLES = """
windlass run watch 01a20241-74c1
windlass run watch 01a20241-74c1 --logs
windlass run watch 01a20241-74c1 --json
"""


@make(name="watch", examples=_EXAMPLES)
@click.argument("run", type=RUN)
@click.option("--logs", is_flag=True, help="Print the output of the steps too.")
@reconnect_option()
def command(session: Session, *, run: str, logs: bool, reconnect: float) -> int:
    """Follow a run to its end: live on a terminal, line by line elsewhere.

    With --json one object on a line: each event of the run from its beginning on, and at the end the run; with --quiet
    that alone. Exit status 1: the run did not complete. Ctrl-C stops watching, not the run.
    """
    from windlass.cli.watch.follow import follow_run, view_of  # noqa: PLC0415 - its imports take longer than most commands

    with session.connect() as client:
        found = client.get("runs", run)
        note_lacking(session, found)
        view = view_of(session, found["id"], logs=logs, events=True)
        return follow_run(session, client, found["id"], view=view, patience=reconnect)
