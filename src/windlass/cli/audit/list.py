"""`windlass audit list`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.table import Column
from windlass.cli.text import local_time, plain

_EXAMPLES = """
windlass audit list --action job.apply --since 2026-01-31T12:00:00Z
windlass audit list --actor ann --limit 20
"""
_COLUMNS = (
    Column("SEQ", lambda row: str(row["seq"]), right=True),
    Column("AT", lambda row: local_time(row["at"])),
    Column("WHO", lambda row: plain(row["actor"])),
    Column("ACTION", lambda row: row["action"]),
    Column("WHAT", lambda row: plain(row["object"]), shrinks=True),
    Column("PROJECT", lambda row: plain(row["project"]), drops=True),
    Column("OUTCOME", lambda row: row["outcome"]),
)


@make(name="list", examples=_EXAMPLES)
@click.option("--actor", metavar="NAME", help="Only what this one did.")
@click.option("--action", metavar="ACTION", help="Only this, such as job.apply.")
@click.option("--outcome", type=click.Choice(["done", "refused", "failed"]), help="Only what ended so.")
@click.option("--since", metavar="TIME", help="Not before this time.")
@click.option("--until", metavar="TIME", help="Before this time.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Most entries.")
def command(
    session: Session,
    *,
    actor: str | None,
    action: str | None,
    outcome: str | None,
    since: str | None,
    until: str | None,
    limit: int,
) -> None:
    """List what people and tokens did, newest first; with --project only what was done in it."""
    asked = {"actor": actor, "action": action, "outcome": outcome, "since": since, "until": until}
    project = None if session.project_option == "*" else session.project_option
    with session.connect() as client:
        found = list(client.pages("audit", most=limit, project=project, **asked))
    session.out.rows(found, _COLUMNS, "Nobody did anything yet.")
