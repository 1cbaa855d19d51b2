"""`windlass queue requeue`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.options import JOB
from windlass.cli.session import Session

_EXAMPLES = """
windlass queue requeue 01a20241-74c1-70fd-b856-113a803de276.0
windlass queue requeue --all --job nightly
"""


@make(name="requeue", examples=_EXAMPLES)
@click.argument("items", metavar="[TASK|RUN]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All dead letters, or those of --queue and --job.")
@click.option("--queue", metavar="NAME", help="With --all: only those of this queue.")
@click.option("--job", type=JOB, help="With --all: only those of this job.")
def command(session: Session, *, items: Sequence[str], every: bool, queue: str | None, job: str | None) -> int:
    """Queue dead letters again: a new run of the same revision for each old one, linked to it.

    Where a step failed because a run that it waited for failed, it is the step that is queued again: that run is
    started anew by it.

    Exit status 1: some could not be queued again.
    """
    for option, given in (("--queue", queue), ("--job", job)):
        if given is not None and not every:
            raise click.UsageError(f"{option} goes with --all.")
    if bool(items) == every:
        raise click.UsageError("Name tasks or runs to queue again, or give --all, and not both.")
    body = {"items": list(items) or None, "all": every or None, "queue": queue, "job": job}
    said = {name: value for name, value in body.items() if value is not None}
    with session.connect() as client:
        done = client.post("dead-letters", "requeue", body=said, project=session.project)["items"]
    session.out.value(done, lambda: _lines(done))
    return 1 if any(one["error"] for one in done) else 0


def _lines(done: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in done:
        if one["error"]:
            yield f"not queued  {one['error']}"
        else:
            before = "" if one["created"] else " (queued before)"
            yield f"queued      {one['runId']} again as {one['newRunId']}{before}"
    if not done:
        yield "There are no dead letters."
