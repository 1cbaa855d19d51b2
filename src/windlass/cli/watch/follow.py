"""Follow a run to its end in the way that fits who reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from windlass.cli.watch.plain import follow_plainly
from windlass.cli.watch.streams import ENDS
from windlass.cli.watch.summary import summary_lines

if TYPE_CHECKING:
    from windlass.cli.session import Session
    from windlass.client.client import Client

#: What is done when a person interrupts; True to go on following.
OnInterrupt = Callable[[], bool]


def follow_run(
    session: Session, client: Client, run_id: str, *, logs: bool = False, on_interrupt: OnInterrupt | None = None
) -> int:
    """Follow a run until it is final; return 0 where it completed, else 1.

    With `logs` the output of its steps is printed too where no terminal is. `on_interrupt` is called at Ctrl-C and says
    whether to go on; without it the interrupt is raised.
    """
    out = session.out
    live = out.format == "table" and not out.quiet and out.terminal
    printed = False
    while True:
        try:
            if live:
                from windlass.cli.watch.live import follow_live  # noqa: PLC0415 - rich costs time

                follow_live(out, client, run_id)
            elif out.format == "table" and not out.quiet:
                printed = logs
                follow_plainly(out, client, run_id, logs=logs)
            else:
                wait_for_end(client, run_id)
            break
        except KeyboardInterrupt:
            if on_interrupt is None or not on_interrupt():
                raise
    run = client.get("runs", run_id)
    tasks = client.get("runs", run_id, "steps")["items"] if out.format == "table" else []
    out.value(run, lambda: summary_lines(run, tasks, out, client=None if printed else client))
    return 0 if run["state"] == "completed" else 1


def wait_for_end(client: Client, run_id: str) -> None:
    """Return once a run is final."""
    for event in client.events("events", run=run_id, project="*", after="0"):
        if event.type in ENDS:
            return
