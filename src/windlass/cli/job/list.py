"""`windlass job list`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import limit_option
from windlass.cli.session import Session
from windlass.cli.table import Column
from windlass.cli.text import ago, plain

_COLUMNS = (
    Column("PROJECT", lambda row: row["project"] if row["project"] != row["_asked"] else ""),
    Column("JOB", lambda row: row["alias"]),
    Column("REV", lambda row: str(row["revision"]), right=True),
    Column("STEPS", lambda row: str(row["steps"]), right=True),
    Column("CHANGED", lambda row: ago(row["updatedAt"])),
    Column("", lambda row: "" if row["enabled"] else "disabled"),
    Column("LABELS", lambda row: plain(row["labels"]), shrinks=True, drops=True),
    Column("TITLE", lambda row: plain(row["title"]), shrinks=True, drops=True),
)

_EXAMPLES = """
windlass job list
windlass job list -l team=data --search report
windlass job list --project '*'
"""


@make(name="list", examples=_EXAMPLES)
@click.option("-l", "--label", multiple=True, metavar="KEY[=VALUE]", help="Only jobs with this label.")
@click.option("--search", "--text", "text", help="Only jobs with this in alias, title, description or category.")
@click.option("--category", help="Only jobs of this category.")
@click.option("--enabled/--disabled", default=None, help="Only jobs that may be started, or may not.")
@limit_option(1000)
def command(
    session: Session,
    *,
    label: tuple[str, ...],
    text: str | None,
    category: str | None,
    enabled: bool | None,
    limit: int,
) -> None:
    """List jobs by alias. With --project '*' those of all projects."""
    with session.connect() as client:
        jobs = list(
            client.pages(
                "jobs",
                most=limit,
                project=session.project,
                label=label,
                text=text,
                category=category,
                enabled=enabled,
            )
        )
    if session.out.format == "table":
        jobs = [job | {"_asked": session.project} for job in jobs]
    asked = label or text or category or enabled is not None
    nothing = "No job fits." if asked else "There are no jobs; `windlass job apply FILE` stores one."
    session.out.rows(jobs, _COLUMNS, nothing)
