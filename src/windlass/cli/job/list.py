"""`windlass job list`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import limit_option
from windlass.cli.session import Session
from windlass.cli.states import paint
from windlass.cli.table import Column
from windlass.cli.text import ago, percent, plain

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
windlass job list --health
"""
_COLOURS = {"healthy": "green", "degraded": "yellow", "failing": "red", "idle": "bright_black"}
_HEALTH = (
    Column("PROJECT", lambda row: row["project"] if row["project"] != row["_asked"] else ""),
    Column("JOB", lambda row: row["job"]),
    Column("HEALTH", lambda row: row["status"], paint=lambda text, cell: paint(text, _COLOURS.get(cell, ""))),
    Column("IN A ROW", lambda row: str(row["failuresInRow"] or ""), right=True),
    Column("RUNS", lambda row: str(row["runs"]), right=True),
    Column("COMPLETED", lambda row: percent(row["successRate"]), right=True),
    Column("LAST RUN", lambda row: (row["lastRun"] or {}).get("id", ""), drops=True),
    Column("STATE", lambda row: (row["lastRun"] or {}).get("state", ""), drops=True),
)


@make(name="list", examples=_EXAMPLES)
@click.option("-l", "--label", multiple=True, metavar="KEY[=VALUE]", help="Only jobs with this label.")
@click.option("--search", "--text", "text", help="Only jobs with this in alias, title, description or category.")
@click.option("--category", help="Only jobs of this category.")
@click.option("--health", is_flag=True, help="Show how each job is doing instead.")
@click.option("--enabled/--disabled", default=None, help="Only jobs that may be started, or may not.")
@limit_option(1000)
def command(
    session: Session,
    *,
    label: tuple[str, ...],
    text: str | None,
    category: str | None,
    enabled: bool | None,
    health: bool,
    limit: int,
) -> None:
    """List jobs by alias. With --project '*' those of all projects.

    With --health: how each is doing by its last runs - healthy, degraded (one of them ended badly), failing (the last
    one did), idle or disabled - and how many of the last week completed.
    """
    if health:
        if text or category or enabled is not None:
            raise click.UsageError("--health goes with --label alone")
        _show_health(session, label, limit)
        return
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


def _show_health(session: Session, label: tuple[str, ...], limit: int) -> None:
    with session.connect() as client:
        jobs = list(client.pages("jobs", "health", most=limit, project=session.project, label=label))
    if session.out.format == "table":
        jobs = [job | {"_asked": session.project} for job in jobs]
    session.out.rows(jobs, _HEALTH, "There are no jobs; `windlass job apply FILE` stores one.")
