"""`windlass run retry`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.run.resume import resumed, start_option
from windlass.cli.session import Session
from windlass.cli.watch.reconnect import reconnect_option
from windlass.errors import UserError

_EXAMPLES = """
windlass run retry 01a20241-74c1 --wait
windlass run retry 01a20241-74c1 --from load
"""


@make(name="retry", examples=_EXAMPLES)
@click.argument("run", type=RUN)
@start_option()
@click.option("--dry-run", is_flag=True, help="With --from: show what would be done again, and start nothing.")
@click.option("--wait", is_flag=True, help="Follow the new run to its end; status 1 where it does not complete.")
@reconnect_option()
def command(session: Session, *, run: str, start: tuple[str, ...], dry_run: bool, wait: bool, reconnect: float) -> int:
    """Run a final run again: a new run of the same revision with the same parameters.

    With --from the steps before are not done again, their results are kept.
    """
    if dry_run and not start:
        raise UserError("--dry-run goes with --from STEP: without it every step is done again.")
    with session.connect() as client:
        if start:
            return resumed(session, client, run, {"from": list(start)}, dry_run=dry_run, wait=wait, reconnect=reconnect)
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
