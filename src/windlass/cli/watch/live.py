"""A run as a picture that moves, on a terminal."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from windlass.cli.output import Output
from windlass.cli.watch.loglines import chunk_bytes, shown_line
from windlass.cli.watch.picture import Picture, rows_of
from windlass.cli.watch.streams import ENDS, in_background

if TYPE_CHECKING:
    from windlass.client.client import Client

#: Seconds between two pictures, and the share of time that asking for a new state may take.
_FRAME: Final = 0.125
_SHARE: Final = 10.0
_SOONEST: Final = 0.2
#: Bytes of a line without an end that are kept of a task's output.
_LONGEST: Final = 400


class LiveRun:
    """What the streams say about a run, gathered for the picture."""

    def __init__(self, client: Client, run_id: str) -> None:
        """Ask for the run as it is now."""
        self._client = client
        self._run_id = run_id
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._error: Exception | None = None
        self._next = 0.0
        self._rests: dict[str, bytes] = {}
        run = client.get("runs", run_id)
        graph = client.get("runs", run_id, "graph")
        self.picture = Picture(run, graph, client.get("runs", run_id, "steps")["items"])

    def follow(self) -> None:
        """Read both streams in the background."""
        in_background(self._read_events, "windlass-events")
        in_background(self._read_logs, "windlass-logs")

    def wait(self, seconds: float) -> bool:
        """Wait for a while; return True once the run is final. Raises what the stream of events broke with."""
        ended = self._ended.wait(seconds)
        if self._error is not None:
            raise self._error
        return ended

    def refresh(self) -> None:
        """Ask for the run anew where something changed and the last time is long enough ago."""
        begin = time.monotonic()
        if not self._changed.is_set() or begin < self._next:
            return
        self._changed.clear()
        self.picture.run = self._client.get("runs", self._run_id)
        self.picture.tasks = self._client.get("runs", self._run_id, "steps")["items"]
        took = time.monotonic() - begin
        self._next = begin + max(_SOONEST, took * _SHARE)

    def _read_events(self) -> None:
        try:
            for event in self._client.events("events", run=self._run_id, project="*", after="0"):
                if event.type == "task.progress":
                    data = event.json()
                    self.picture.progress[data["taskId"]] = data["data"]
                self._changed.set()
                if event.type in ENDS:
                    return
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self._error = error
        finally:
            self._ended.set()

    def _read_logs(self) -> None:
        for event in self._client.events("runs", self._run_id, "logs", format="events", follow=True):
            chunk: dict[str, Any] = event.json()
            task = chunk["taskId"]
            *lines, rest = (self._rests.get(task, b"") + chunk_bytes(chunk)).split(b"\n")
            self._rests[task] = rest[-_LONGEST:]
            last = next((line for line in (rest, *reversed(lines)) if line.strip()), b"")
            if last:
                self.picture.last_lines[task] = shown_line(last[-_LONGEST:].decode("utf-8", "replace"))


def follow_live(out: Output, client: Client, run_id: str) -> None:
    """Show a run as it moves until it is final; the last picture stays."""
    live_run = LiveRun(client, run_id)
    console = Console(file=out.stdout, no_color=not out.colours, highlight=False, soft_wrap=True)

    def frame() -> Text:
        width, height = console.size
        rows = rows_of(live_run.picture, now=datetime.now(UTC), width=width - 1, height=height)
        parts = [Text.assemble(*((text, style) for text, style in row)) for row in rows]
        return Text("\n").join(parts)

    live_run.follow()
    with Live(frame(), console=console, auto_refresh=False, transient=False, vertical_overflow="crop") as live:
        while not live_run.wait(_FRAME):
            live_run.refresh()
            live.update(frame(), refresh=True)
        live_run.picture.run = client.get("runs", run_id)
        live_run.picture.tasks = client.get("runs", run_id, "steps")["items"]
        live.update(frame(), refresh=True)
