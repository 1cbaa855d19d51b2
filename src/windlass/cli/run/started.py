"""What the commands that start a run do with it: follow it to its end, or say that it is there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from windlass.errors import WindlassError

if TYPE_CHECKING:
    from windlass.cli.session import Session
    from windlass.client.client import Client


def expect_end(client: Client) -> None:
    """Refuse, before anything is started, to wait where nobody works on runs. Raises NobodyWorks."""
    from windlass.cli.watch.streams import refuse_idle  # noqa: PLC0415 - only for those who wait

    refuse_idle(client)


def follow_to_end(session: Session, client: Client, run: Mapping[str, Any], patience: float) -> int:
    """Show a new run until it is final, through `patience` seconds without a server; return the exit status."""
    from windlass.cli.watch.follow import follow_run, view_of  # noqa: PLC0415 - only for those who wait

    view = view_of(session, run["id"], logs=False)
    return follow_run(session, client, run["id"], view=view, patience=patience)


def tell_of(session: Session, client: Client, run: Mapping[str, Any], more: str = "") -> int:
    """Print a run that was made of another one; return the exit status."""
    told = f"Run {run['id']} is {run['state']}.{more}"
    session.out.value(run, lambda: [run["id"] if session.out.quiet else told])
    note_nobody(session, client)
    return 0


def note_nobody(session: Session, client: Client) -> None:
    """Say that nobody works on runs now, where that is so.

    What was asked for is done when this is told: who cannot say it now says nothing of it.
    """
    from windlass.cli.watch.streams import nobody_works  # noqa: PLC0415 - as above

    told = None
    with suppress(WindlassError):
        told = nobody_works(client)
    if told:
        session.out.note(told)
