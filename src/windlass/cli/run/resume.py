"""`windlass run resume`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.run.started import expect_end, follow_to_end, tell_of
from windlass.cli.session import Session
from windlass.cli.states import paint_signed, signed
from windlass.cli.table import Column, table_lines
from windlass.cli.watch.reconnect import reconnect_option

if TYPE_CHECKING:
    from windlass.cli.output import Output
    from windlass.client.client import Client

Function = TypeVar("Function", bound=Callable[..., Any])

_THEN: Final = {"kept": "is kept", "again": "is done"}
#: Steps that a sentence names.
_MOST: Final = 10
_COLUMNS = (
    Column("STEP", lambda row: row["step"] + (f" [{row['key']}]" if row["key"] else "")),
    Column("WAS", lambda row: signed(row["state"]), paint=paint_signed),
    Column("THEN", lambda row: "is done a second time" if row["repeats"] else _THEN[row["then"]]),
)

_EXAMPLES = """
windlass run resume 01a20241-74c1 --dry-run
windlass run resume 01a20241-74c1 --from load --wait
windlass run resume 01a20241-74c1 --only-failed
"""


def start_option() -> Callable[[Function], Function]:
    """Return the option that names the step to begin at."""
    return click.option(
        "--from", "start", multiple=True, metavar="STEP", help="Do this step and all behind it again; several times."
    )


@make(name="resume", examples=_EXAMPLES)
@click.argument("run", type=RUN)
@start_option()
@click.option("--only-failed", is_flag=True, help="Of a step with several tasks, do only those again that failed.")
@click.option("--dry-run", is_flag=True, help="Show what would be kept and what done again, and start nothing.")
@click.option("--wait", is_flag=True, help="Follow the new run to its end; status 1 where it does not complete.")
@reconnect_option()
def command(
    session: Session,
    *,
    run: str,
    start: tuple[str, ...],
    only_failed: bool,
    dry_run: bool,
    wait: bool,
    reconnect: float,
) -> int:
    """Run what did not end well of a final run, as a new run that keeps the results of the other steps."""
    body = {"from": list(start), "onlyFailed": only_failed}
    with session.connect() as client:
        return resumed(session, client, run, body, dry_run=dry_run, wait=wait, reconnect=reconnect)


def resumed(
    session: Session,
    client: Client,
    run: str,
    body: Mapping[str, Any],
    *,
    dry_run: bool,
    wait: bool,
    reconnect: float,
) -> int:
    """Resume a run, or show what that would do; return the exit status."""
    if wait and not dry_run:
        expect_end(client)
    plan = client.post("runs", run, "resume", body={**body, "dryRun": True})
    if dry_run:
        session.out.value(plan, lambda: [*_table(plan["tasks"], session.out), "", _told(plan)])
        return 0
    new = client.post("runs", run, "resume", body=body)
    if wait:
        session.out.note(f"windlass: {_told(plan)}")
        return follow_to_end(session, client, new, reconnect)
    return tell_of(session, client, new, f" {_told(plan)}")


def _table(tasks: Sequence[Mapping[str, Any]], out: Output) -> Sequence[str]:
    return list(table_lines(_COLUMNS, tasks, width=out.width, colours=out.colours))


def _told(plan: Mapping[str, Any]) -> str:
    """Return what is kept and what is done again, in one sentence."""
    steps = list(dict.fromkeys(task["step"] for task in plan["tasks"] if task["then"] == "again"))
    shown = ", ".join(steps[:_MOST]) + (f" and {len(steps) - _MOST} more" if len(steps) > _MOST else "")
    return f"It keeps {plan['kept']} of {plan['kept'] + plan['again']} tasks and does {shown} again."
