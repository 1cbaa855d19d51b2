"""`windlass run retry`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.run.resume import resumed, start_option
from windlass.cli.run.started import expect_end, follow_to_end, tell_of
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
            expect_end(client)
        new = client.post("runs", run, "retry")
        return follow_to_end(session, client, new, reconnect) if wait else tell_of(session, client, new)
