"""Follow a run to its end in the way that fits who reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from windlass.cli.watch.plain import PlainView
from windlass.cli.watch.reconnect import follow_through
from windlass.cli.watch.streams import follow_events
from windlass.cli.watch.summary import summary_lines

if TYPE_CHECKING:
    from windlass.cli.session import Session
    from windlass.client.client import Client


class View(Protocol):
    """Shows a run while it moves."""

    def follow(self, client: Client) -> None:
        """Show the run until it is final; called again, it goes on where it broke off.

        Raises ServerGone where whom `client` speaks to ends before.
        """
        ...

    @property
    def shows_output(self) -> bool:
        """True where the output of the steps was shown as it came."""
        ...


class SilentView:
    """Shows nothing: a machine reads, or nobody."""

    shows_output = True

    def __init__(self, run_id: str) -> None:
        """Wait for the run with this id."""
        self._run_id = run_id
        self._last_event: str | None = None

    def follow(self, client: Client) -> None:
        """Return once the run is final; see `View.follow`."""
        for event in follow_events(client, self._run_id, self._last_event):
            self._last_event = event.id


def view_of(session: Session, run_id: str, *, logs: bool, live_logs: bool | None = None) -> View:
    """Return the view that fits: moving on a terminal, line by line elsewhere, with `logs` the output of steps too.

    `live_logs` says whether they stand above the moving picture, where that is another matter.
    """
    out = session.out
    if out.format != "table" or out.quiet:
        return SilentView(run_id)
    if out.terminal:
        from windlass.cli.watch.live import LiveView  # noqa: PLC0415 - costs time that lines do not

        return LiveView(out, run_id, logs=logs if live_logs is None else live_logs)
    return PlainView(out, run_id, logs=logs)


def follow_run(session: Session, client: Client, run_id: str, *, view: View, patience: float | None = None) -> int:
    """Follow a run until it is final, and tell how it ended; return 0 where it completed, else 1.

    A server that goes away is waited for: `patience` seconds; None leaves that to the caller. Raises ServerGone.
    """
    if patience is None:
        return _follow(session, client, run_id, view)
    try:
        return follow_through(session, client, lambda one: _follow(session, one, run_id, view), patience=patience)
    except KeyboardInterrupt:
        goes_on = (
            f"Run {run_id} goes on: `windlass run watch {run_id}` follows it, `windlass run cancel {run_id}` stops it."
        )
        session.out.note(f"windlass: {goes_on}")
        raise


def _follow(session: Session, client: Client, run_id: str, view: View) -> int:
    view.follow(client)
    out = session.out
    run = client.get("runs", run_id)
    tasks = list(client.pages("runs", run_id, "steps")) if out.format == "table" else []
    out.value(run, lambda: summary_lines(run, tasks, out, client=None if view.shows_output else client))
    return 0 if run["state"] == "completed" else 1


def follow_silently(client: Client, run_id: str) -> None:
    """Wait until a run is final, with nothing said."""
    SilentView(run_id).follow(client)
