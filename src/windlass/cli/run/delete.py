"""`windlass run delete`."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.session import Session
from windlass.cli.watch.reconnect import Lifeline, reconnect_option
from windlass.cli.watch.streams import nobody_moves, refuse_idle
from windlass.errors import Conflict, NotFound, WindlassError

if TYPE_CHECKING:
    from windlass.client.client import Client

_EXAMPLES = """
windlass run delete 01a20241-74c1
windlass run delete 01a20241-74c1 01a20241-8a02 --no-wait
"""
#: Seconds between two looks whether a run is gone.
_PACE: Final = 0.2


@make(name="delete", examples=_EXAMPLES)
@click.argument("runs", nargs=-1, required=True, type=RUN, metavar="RUN...")
@click.option("--wait/--no-wait", default=True, help="Wait until live runs have ended and are deleted.")
@reconnect_option()
def command(session: Session, *, runs: tuple[str, ...], wait: bool, reconnect: float) -> None:
    """Delete runs with the runs that they started, their logs and files, from the archive too.

    Live ones are cancelled, and deleted once they have ended: the server sees to that, whether this command waits or
    not; where only workers run, this command does. Runs that were started to go on without their parent
    (`cascade: false`) stay, and have none then. With --json a list says of each run whether it is gone.
    """
    told: list[dict[str, Any]] = []
    with session.connect() as client:
        try:
            named = [client.get("runs", reference, archived=True) for reference in runs]
            for run in {one["id"]: one for one in named}.values():
                _delete(session, client, run, told)
        except WindlassError:  # the others are not touched; what was begun goes on, and is told of
            for one in told:
                if not one["deleted"]:
                    _later(session, client, one, wait=False, reconnect=reconnect)
            raise
        for one in told:
            if not one["deleted"]:
                _later(session, client, one, wait=wait and not nobody_moves(client), reconnect=reconnect)
    if session.out.format != "table":
        session.out.value(told, tuple)


def _delete(session: Session, client: Client, run: dict[str, Any], told: list[dict[str, Any]]) -> None:
    left = client.delete("runs", run["id"])
    told.append({"id": run["id"], "job": run["job"], "deleted": left is None})
    if left is None:
        session.out.done(f"Run {run['id']} of {run['job']} is deleted.")


def _later(session: Session, client: Client, one: dict[str, Any], *, wait: bool, reconnect: float) -> None:
    """Wait until a run that is being stopped is gone, or say who goes on with it."""
    asked = f"Run {one['id']} of {one['job']} is asked to stop, and deleted once it has ended"
    if not wait:
        nobody = nobody_moves(client)
        session.out.done(f"{asked}.{f' {nobody}' if nobody else ''}")
        return
    try:
        session.out.note(f"windlass: {asked}; Ctrl-C stops waiting, not that.")
        with Lifeline(session, client, reconnect) as line:
            line.through(lambda client: _until_gone(session, client, one["id"]))
    except KeyboardInterrupt:
        session.out.note("windlass: The deletion goes on without this command.")
        raise
    one["deleted"] = True
    session.out.done(f"Run {one['id']} of {one['job']} is deleted.")


def _until_gone(session: Session, client: Client, run_id: str) -> None:
    """Return once a run is gone; say meanwhile what of it still runs, each time that changes.

    Where no server runs, nobody deletes it but us. Raises NobodyWorks where nobody is left who could end it.
    """
    shown = None
    while True:
        try:
            run = client.get("runs", run_id)
            if run["finishedAt"] is not None:
                with suppress(Conflict):  # another run needs it, for as long as that goes on
                    client.delete("runs", run_id)
            refuse_idle(client, run_id)
        except NotFound:
            return
        running = run["counts"].get("running", 0)
        if running != shown and running:
            tasks = "1 task of it still runs" if running == 1 else f"{running} tasks of it still run"
            session.out.note(f"windlass: {tasks}.")
        shown = running
        time.sleep(_PACE)
