"""`windlass run retry`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.session import Session
from windlass.cli.watch.reconnect import reconnect_option

_EXAMPLES = """
windlass run retry 01a20241-74c1 --wait
"""


@make(name="retry", examples=_EXAMPLES)
@click.argument("run", type=RUN)
@click.option("--wait", is_flag=True, help="Follow the new run to its end; status 1 where it does not complete.")
@reconnect_option()
def command(session: Session, *, run: str, wait: bool, reconnect: float) -> int:
    """Run a final run again: a new run of the same revision with the same parameters."""
    with session.connect() as client:
        if wait:
            from windlass.cli.watch.streams import refuse_idle  # noqa: PLC0415 - only for those who wait

            refuse_idle(client)
        new = client.post("runs", run, "retry")
        if wait:
            from windlass.cli.watch.follow import follow_run, view_of  # noqa: PLC0415 - only for those who wait

            view = view_of(session, new["id"], logs=False)
            return follow_run(session, client, new["id"], view=view, patience=reconnect)
    told = f"Run {new['id']} is {new['state']}."
    session.out.value(new, lambda: [new["id"] if session.out.quiet else told])
    if client.idle:
        session.out.note("Nobody works on runs now; `windlass up` does.")
    return 0
