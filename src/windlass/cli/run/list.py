"""`windlass run list`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.options import JOB, limit_option
from windlass.cli.run.start import past
from windlass.cli.session import Session
from windlass.cli.states import paint_signed, signed
from windlass.cli.table import Column
from windlass.cli.text import ago, between, duration, minute, plain, short_id
from windlass.model.state import RUN_MOVES


def _reason(run: Mapping[str, Any]) -> str:
    """Return what is to be said beside the state of a run."""
    reason = "" if run["reason"] == run["state"] else plain(run["reason"])
    late = "sla missed" if any(one["missedAt"] for one in (run["sla"] or {}).values()) else ""
    return ", ".join(filter(None, (reason, late)))


_COLUMNS = (
    Column("RUN", lambda row: row["id"], narrow=lambda row: short_id(row["id"])),
    Column("JOB", lambda row: f"{row['job']}:{row['revision']}"),
    Column("STATE", lambda row: signed(row["state"]), paint=paint_signed),
    Column(
        "DUE",
        lambda row: minute(row["scheduledAt"]) if row["state"] == "scheduled" else "",
        narrow=lambda row: ago(row["scheduledAt"]) if row["state"] == "scheduled" else "",
    ),
    Column("CREATED", lambda row: ago(row["createdAt"])),
    Column("TOOK", lambda row: duration(between(row["startedAt"], row["finishedAt"])), right=True, drops=True),
    Column(
        "DONE",
        lambda row: "" if row["finishedAt"] else f"{row['progress']['percent']:.0f}%",
        right=True,
        drops=True,
    ),
    Column("REASON", _reason, shrinks=True, drops=True),
    Column("PARAMETERS", lambda row: plain(row["parameters"]), shrinks=True, drops=True),
)

_EXAMPLES = """
windlass run list --job orders --state failed --since 1d
windlass run list --state running --state queued
windlass run list -l team=data --json
windlass run list --sla-missed --since 7d
"""


@make(name="list", examples=_EXAMPLES)
@click.option("--job", type=JOB, help="Only runs of this job.")
@click.option(
    "--state",
    multiple=True,
    type=click.Choice(tuple(RUN_MOVES)),
    help="Only runs in this state; may be given several times.",
)
@click.option(
    "--since",
    metavar="TIME",
    help="Only runs created at this time or later; a duration such as 2h counts back from now.",
)
@click.option("--until", metavar="TIME", help="Only runs created before this time, or longer ago than this.")
@click.option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="Only runs with this label.")
@click.option("--sla-missed", is_flag=True, help="Only runs that did not end when the sla of their job promises.")
@limit_option(20)
def command(
    session: Session,
    *,
    job: str | None,
    state: tuple[str, ...],
    since: str | None,
    until: str | None,
    label: tuple[str, ...],
    sla_missed: bool,
    limit: int,
) -> None:
    """List runs, newest first. With --project '*' those of all projects."""
    with session.connect() as client:
        runs = list(
            client.pages(
                "runs",
                most=limit,
                project=session.project,
                job=job,
                state=state,
                since=past(since, "--since"),
                until=past(until, "--until"),
                label=label,
                slaMissed="true" if sla_missed else None,
            )
        )
    asked = any((job, state, since, until, label, sla_missed))
    nothing = "No run fits." if asked else "There are no runs; `windlass run start JOB` starts one."
    session.out.rows(runs, _COLUMNS, nothing)
