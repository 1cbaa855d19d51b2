"""Follow a run to its end in the way that fits who reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from windlass.cli.watch.plain import PlainView
from windlass.cli.watch.reconnect import PATIENCE, Lifeline
from windlass.cli.watch.streams import follow_events
from windlass.cli.watch.summary import summary_lines

if TYPE_CHECKING:
    from windlass.cli.output import Output
    from windlass.cli.session import Session
    from windlass.client.client import Client


class View(Protocol):
    """Shows a run while it moves."""

    def follow(self, line: Lifeline) -> None:
        """Show the run until it is final; called again, it goes on where it broke off.

        Raises Unavailable where what `line` speaks to goes away and does not come back.
        """
        ...

    @property
    def shows_output(self) -> bool:
        """True where the output of the steps was shown as it came."""
        ...

    @property
    def is_stream(self) -> bool:
        """True where values for programs were printed on the way: the run is then one more of them."""
        ...


class EventView:
    """Prints each event as it comes, for programs: JSON objects on lines of their own, or YAML documents."""

    shows_output = True
    is_stream = True

    def __init__(self, out: Output, run_id: str) -> None:
        """Print the events of the run with this id to `out`."""
        self._out = out
        self._run_id = run_id
        self._last_event: str | None = None

    def follow(self, line: Lifeline) -> None:
        """Print events until the run is final, each once; see `View.follow`."""
        line.through(self._show)

    def _show(self, client: Client) -> None:
        for event in follow_events(client, self._run_id, self._last_event, whole=True):
            self._out.compact(event.json())
            self._out.flush()
            self._last_event = event.id


class SilentView:
    """Shows nothing: a machine reads, or nobody."""

    shows_output = True
    is_stream = False

    def __init__(self, run_id: str) -> None:
        """Wait for the run with this id."""
        self._run_id = run_id
        self._last_event: str | None = None

    def follow(self, line: Lifeline) -> None:
        """Return once the run is final; see `View.follow`."""
        line.through(self._wait)

    def _wait(self, client: Client) -> None:
        for event in follow_events(client, self._run_id, self._last_event):
            self._last_event = event.id


def view_of(session: Session, run_id: str, *, logs: bool, live_logs: bool | None = None, events: bool = False) -> View:
    """Return the view that fits: moving on a terminal, line by line elsewhere, with `logs` the output of steps too.

    `live_logs` says whether they stand above the moving picture, where that is another matter; `events`, whether a
    program gets all events.
    """
    out = session.out
    if events and out.format != "table" and not out.quiet:
        return EventView(out, run_id)
    if out.format != "table" or out.quiet:
        return SilentView(run_id)
    if out.terminal:
        from windlass.cli.watch.live import LiveView  # noqa: PLC0415 - costs time that lines do not

        return LiveView(out, run_id, logs=logs if live_logs is None else live_logs)
    return PlainView(out, run_id, logs=logs)


def follow_run(session: Session, client: Client, run_id: str, *, view: View, patience: float | None = None) -> int:
    """Follow a run until it is final, and tell how it ended; return 0 where it completed, else 1.

    A server or a store that goes away is waited for: `patience` seconds; None leaves servers to the caller, and the
    store is waited for as long as it usually is. Raises Unavailable.
    """
    moves = patience is not None
    with Lifeline(session, client, PATIENCE if patience is None else patience, moves=moves) as line:
        try:
            return _follow(session, line, run_id, view)
        except KeyboardInterrupt:
            if moves:
                text = f"`windlass run watch {run_id}` follows it, `windlass run cancel {run_id}` stops it."
                session.out.note(f"windlass: Run {run_id} goes on: {text}")
            raise


def _follow(session: Session, line: Lifeline, run_id: str, view: View) -> int:
    view.follow(line)
    out = session.out
    run = line.get("runs", run_id)
    if view.is_stream:
        out.compact(run)
        out.flush()
        return 0 if run["state"] == "completed" else 1
    tasks = line.pages("runs", run_id, "steps") if out.format == "table" else []

    def summary(client: Client) -> list[str]:
        return list(summary_lines(run, tasks, out, client=None if view.shows_output else client))

    out.value(run, lambda: line.through(summary))
    return 0 if run["state"] == "completed" else 1


def follow_silently(session: Session, client: Client, run_id: str) -> None:
    """Wait until a run is final, with nothing said. Raises Unavailable."""
    with Lifeline(session, client, PATIENCE, moves=False) as line:
        SilentView(run_id).follow(line)
