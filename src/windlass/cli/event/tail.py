"""`windlass event tail`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from windlass.cli.command import make
from windlass.cli.event.names import StepNames
from windlass.cli.options import JOB, RUN, after_option
from windlass.cli.session import Session
from windlass.cli.text import clean, local_time, plain
from windlass.cli.watch.reconnect import Lifeline, reconnect_option
from windlass.cli.watch.streams import refuse_idle
from windlass.errors import UserError

if TYPE_CHECKING:
    from windlass.client.client import Client

_EXAMPLES = """
windlass event tail
windlass event tail --type run.failed --type run.timeout --json
windlass event tail --after 0 --json
"""


@make(name="tail", examples=_EXAMPLES)
@click.option("--type", "types", multiple=True, help="Only events of this type, such as run.failed or 'task.*'.")
@click.option("--job", type=JOB, help="Only events of this job's runs.")
@click.option("--run", type=RUN, help="Only events of this run.")
@click.option("-n", "--last", type=click.IntRange(0, 100_000), help="Begin with about so many past events.")
@after_option()
@reconnect_option()
def command(session: Session, *, last: int | None, after: str | None, reconnect: float, **which: Any) -> None:
    """Print events as they come, until Ctrl-C. With --json one object on a line.

    Each has its `cursor`: --after goes on behind it, with no event missed or told twice.
    """
    if after is not None and last is not None:
        raise UserError("--after and --last: give one of them.")
    types = which.pop("types")
    with session.connect() as client, Lifeline(session, client, reconnect) as line:
        if client.idle:  # nobody else can come while the store is ours; where others share it, they may
            refuse_idle(client)
        #: Behind what the next stream goes on; None where `--last` says where the first one begins.
        seen = after if after is not None or last is not None else _newest(client)
        names = StepNames()

        def show(client: Client) -> None:
            nonlocal seen
            query = which | {"project": session.project, "type": types}
            if seen is None:
                query["last"] = last
            for event in client.events("events", last_event_id=seen, **query):
                shown = event.json()
                if session.out.format == "table":
                    session.out.line(_line(shown, names.of(client, shown)))
                else:
                    session.out.compact(shown)
                session.out.flush()
                seen = event.id

        line.through(show)


def _newest(client: Client) -> str:
    """Return the cursor that only events of the future follow."""
    newest = [event.id for event in client.events("events", project="*", last=1, follow=False)]
    return (newest[-1] if newest else None) or "0"


def _line(event: Mapping[str, Any], step: str) -> str:
    parts = [
        local_time(event["at"]),
        f"{event['type']:<20}",
        plain(event["runId"]),
        step,
        plain(event["data"]),
    ]
    return clean("  ".join(filter(None, parts)))
