"""`windlass queue limit`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.session import Session

#: A number of so many digits is a mistake.
_DIGITS = 7
_EXAMPLES = """
windlass queue limit reports 2
windlass queue limit reports none
"""


@make(name="limit", examples=_EXAMPLES)
@click.argument("queue")
@click.argument("number", metavar="N")
def command(session: Session, *, queue: str, number: str) -> None:
    """Let workers run at most N tasks of a queue at one time, all workers together.

    `none` takes what WINDLASS_QUEUE_LIMITS says. What runs already goes on.
    """
    limit = None if number == "none" else int(number) if number.isdecimal() and len(number) < _DIGITS else 0
    if limit == 0:
        raise click.BadParameter("N is a whole number from 1, or none.")
    with session.connect() as client:
        found = client.call("PUT", ("queues", queue, "limit"), body={"limit": limit})
        found.pop("warnings")
    told = "no limit" if found["limit"] is None else f"at most {found['limit']} at one time"
    session.out.done(f"Queue {queue}: {told}.")
    if session.out.format != "table":
        session.out.value(found, tuple)
