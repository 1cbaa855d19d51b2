"""`windlass archive run`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.table import Column
from windlass.cli.text import counted, plain, size

_COLUMNS = (
    Column("RULE", lambda row: row["rule"]),
    Column("TO", lambda row: row["to"]),
    Column("RUNS", lambda row: plain(row["runs"]), right=True),
)
_COUNTS = ("archived", "deleted", "failed", "held", "size", "ended")
_STAY = frozenset({"failed", "held"})
_EXAMPLES = """
windlass archive run --dry-run
windlass archive run
"""


@make(name="run", examples=_EXAMPLES)
@click.option("--dry-run", is_flag=True, help="Say how many runs would leave, and by which rule.")
def command(session: Session, *, dry_run: bool) -> int:
    """Let every run leave now whose retention is over; a server does so every WINDLASS_CLEANUP_INTERVAL.

    Runs with dead letters stay until somebody has decided about those: `windlass queue dead` lists them.

    Exit status 1: the archive did not give back what it was given of some runs; they stay where they are.
    """
    with session.connect() as client:
        if dry_run:
            rules = client.post("archive", "run", body={"dryRun": True})["rules"]
            session.out.rows(rules, _COLUMNS, "No run would leave.")
            return 0
        total = dict.fromkeys(_COUNTS, 0)
        more = True
        while more:
            swept = client.post("archive", "run", body={})
            # What stays is met by each request again: the last one says how much that is.
            total = {name: swept[name] + (0 if name in _STAY else total[name]) for name in _COUNTS}
            more = swept["more"]
            if more:
                session.out.note(f"{counted(total['archived'] + total['deleted'], 'run')} left so far")
    session.out.value(total, lambda: _told(total))
    return 1 if total["failed"] else 0


def _told(total: Mapping[str, Any]) -> Iterator[str]:
    went, gone = counted(total["archived"], "run"), total["deleted"]
    yield f"{went} went to the archive ({size(total['size'])}), {gone:,} {'was' if gone == 1 else 'were'} deleted."
    if total["ended"]:
        yield f"{counted(total['ended'], 'run')} left the archive for good."
    if total["held"]:
        yield f"{counted(total['held'], 'run')} cannot leave: something still needs that."
    if total["failed"]:
        yield f"{counted(total['failed'], 'run')} cannot leave: the archive did not give back what it was given."
