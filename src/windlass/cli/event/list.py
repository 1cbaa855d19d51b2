"""`windlass event list`."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.event.names import StepNames
from windlass.cli.options import JOB, RUN, after_option, limit_option
from windlass.cli.session import Session
from windlass.cli.table import Column
from windlass.cli.text import clock, local_time, plain, short_id

COLUMNS = (
    Column("WHEN", lambda row: local_time(row["at"]), narrow=lambda row: clock(row["at"])),
    Column("EVENT", lambda row: row["type"]),
    Column("RUN", lambda row: plain(row["runId"]), narrow=lambda row: short_id(row["runId"])),
    Column("STEP", lambda row: row["_step"]),
    Column("DATA", lambda row: plain(row["data"]), shrinks=True, drops=True),
)

_EXAMPLES = """
windlass event list --run 01a20241-74c1
windlass event list --type 'run.*' --job orders
windlass event list --after 0 --json
"""


@make(name="list", examples=_EXAMPLES)
@click.option("--type", "types", multiple=True, help="Only events of this type, such as run.failed or 'task.*'.")
@click.option("--job", type=JOB, help="Only events of this job's runs.")
@click.option("--run", type=RUN, help="Only events of this run.")
@after_option()
@limit_option(50)
def command(session: Session, *, limit: int, after: str | None, **which: Any) -> None:
    """List past events, oldest first: the last ones of the project, or with --after the first ones behind that."""
    types = which.pop("types")
    begin = {"after": after or "0"} if after is not None or which["run"] else {"last": max(limit, 1)}
    with session.connect() as client:
        stream = client.events("events", project=session.project, type=types, follow=False, **begin, **which)
        events = (event.json() for event in stream)
        found = list(deque(events, maxlen=limit) if after is None else islice(events, limit))
        if session.out.format == "table":
            names = StepNames()
            found = [event | {"_step": names.of(client, event)} for event in found]
    session.out.rows(found, COLUMNS, "There are no such events.")
