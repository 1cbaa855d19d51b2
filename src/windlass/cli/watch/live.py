"""A run as a picture that moves, on a terminal."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from windlass.cli.output import Output
from windlass.cli.watch.chunks import Chunks
from windlass.cli.watch.loglines import LogLines, chunk_bytes, shown_line
from windlass.cli.watch.picture import Picture, rows_of
from windlass.cli.watch.screen import Screen
from windlass.cli.watch.streams import follow_events, in_background

if TYPE_CHECKING:
    from windlass.cli.watch.reconnect import Lifeline
    from windlass.client.client import Client

#: Seconds between two pictures, and the share of time that asking for a new state may take.
_FRAME: Final = 0.125
_SHARE: Final = 10.0
_SOONEST: Final = 0.2
#: Bytes of a line without an end that are kept of a task's output.
_LONGEST: Final = 400
#: Seconds that the rest of the output may take after the run has ended.
_PATIENCE: Final = 10.0


class LiveRun:
    """What the streams say about a run, gathered for the picture."""

    def __init__(self, line: Lifeline, run_id: str) -> None:
        """Ask for the run as it is now."""
        self._line = line
        self._last_event: str | None = None
        self._run_id = run_id
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._error: Exception | None = None
        self._next = 0.0
        self._rests: dict[str, bytes] = {}
        run = line.get("runs", run_id)
        graph = line.get("runs", run_id, "graph")
        self.picture = Picture(run, graph, line.pages("runs", run_id, "steps"))

    def follow(self, chunks: Chunks, lines: LogLines | None) -> threading.Thread:
        """Read both streams in the background; return who reads the output, which goes to `lines` too."""
        in_background(self._watch_events, "windlass-events")
        read = lambda client: self._read_logs(client, chunks, lines)  # noqa: E731 - as elsewhere here
        return in_background(lambda: self._line.through(read), "windlass-logs")

    def wait(self, seconds: float) -> bool:
        """Wait for a while; return True once the run is final. Raises what the stream of events broke with."""
        ended = self._ended.wait(seconds)
        if self._error is not None:
            raise self._error
        return ended

    def refresh(self, *, now: bool = False) -> None:
        """Ask for the run anew where something changed and the last time is long enough ago, or `now`."""
        begin = time.monotonic()
        if not now and (not self._changed.is_set() or begin < self._next):
            return
        self._changed.clear()
        self.picture.run = self._line.get("runs", self._run_id)
        self.picture.tasks = self._line.pages("runs", self._run_id, "steps")
        took = time.monotonic() - begin
        self._next = begin + max(_SOONEST, took * _SHARE)

    def _watch_events(self) -> None:
        try:
            self._line.through(self._read_events)
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self._error = error
        finally:
            self._ended.set()

    def _read_events(self, client: Client) -> None:
        for event in follow_events(client, self._run_id, self._last_event):
            if event.type == "task.progress":
                data = event.json()
                self.picture.progress[data["taskId"]] = data["data"]
            self._changed.set()
            self._last_event = event.id

    def _read_logs(self, client: Client, chunks: Chunks, lines: LogLines | None) -> None:
        for chunk in chunks.read(client, follow=True):
            if lines is not None:
                lines.take(chunk)
            self._note_last(chunk)

    def _note_last(self, chunk: dict[str, Any]) -> None:
        task = chunk["taskId"]
        *lines, rest = (self._rests.get(task, b"") + chunk_bytes(chunk)).split(b"\n")
        self._rests[task] = rest[-_LONGEST:]
        last = next((line for line in (rest, *reversed(lines)) if line.strip()), b"")
        if last:
            self.picture.last_lines[task] = shown_line(last[-_LONGEST:].decode("utf-8", "replace"))


class LiveView:
    """Shows a run as it moves; the last picture stays. With `logs` the output of its steps stands above it."""

    is_stream = False

    def __init__(self, out: Output, run_id: str, *, logs: bool) -> None:
        """Show the run with this id on the terminal of `out`."""
        self.shows_output = logs
        self._out = out
        self._screen = Screen(out)
        self._run_id = run_id
        self._chunks = Chunks(run_id)
        self._lines = LogLines(write=self._screen.above, colours=out.colours) if logs else None
        self._reader: threading.Thread | None = None

    def follow(self, line: Lifeline) -> None:
        """Show the run until it is final; see `View.follow`."""
        if self._reader is not None:
            self._reader.join()  # its stream broke as the other one did
        run = LiveRun(line, self._run_id)
        with self._screen:
            self._reader = run.follow(self._chunks, self._lines)
            self._paint(run.picture)
            while not run.wait(_FRAME):
                run.refresh()
                self._paint(run.picture)
            if self._lines is not None:
                self._reader.join(_PATIENCE)
                self._lines.close()
            run.refresh(now=True)
            self._paint(run.picture)

    def _paint(self, picture: Picture) -> None:
        width, height = self._screen.size
        self._screen.paint(rows_of(picture, now=datetime.now(UTC), width=width - 1, height=height))
