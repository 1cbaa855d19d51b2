"""A run line by line, for pipes, files and build servers."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from windlass.cli.interrupts import LOOK
from windlass.cli.obstacles import obstacle
from windlass.cli.output import Output
from windlass.cli.reasons import reason_text
from windlass.cli.text import between, clean, duration, instant, local_time, one_line
from windlass.cli.watch.chunks import Chunks
from windlass.cli.watch.loglines import LogLines
from windlass.cli.watch.streams import follow_events, in_background, task_names
from windlass.errors import OutputLost

if TYPE_CHECKING:
    from windlass.cli.watch.reconnect import Lifeline
    from windlass.client.client import Client

#: Seconds that the rest of the output may take after the run has ended.
_PATIENCE: Final = 10.0
_ENDS: Final = {"completed": "completed", "failed": "failed", "timeout": "timed out", "cancelled": "was cancelled"}


class PlainView:
    """Prints what happens to a run, and the output of its steps where that is asked for."""

    is_stream = False

    def __init__(self, out: Output, run_id: str, *, logs: bool) -> None:
        """Print the run with this id to `out`."""
        self._out = out
        self._run_id = run_id
        self.shows_output = logs
        self._printing = threading.Condition()
        self._told: set[str] = set()
        self._chunks = Chunks(run_id)
        #: Attempt and number of the last chunk that was printed, by task.
        self._shown: dict[str, tuple[int, int]] = {}
        self._lines = LogLines(write=self._write)
        self._teller: Teller | None = None
        self._last_event: str | None = None
        self._reader: threading.Thread | None = None
        self._over = False
        self._broke: Exception | None = None

    def follow(self, line: Lifeline) -> None:
        """Print until the run is final; see `View.follow`."""
        if self._teller is None:
            run = line.get("runs", self._run_id)
            tasks = line.pages("runs", self._run_id, "steps")
            self._teller = Teller(task_names(tasks), f"run {self._run_id} of {run['job']}")
            held = line.through(lambda client: obstacle(client, run))
            if held:
                self._write(f"run {self._run_id} of {run['job']} is {run['state']}. {held}\n")
        if self._reader is not None:
            self._reader.join()  # its stream broke as the other one did
        self._over, self._broke = False, None
        if self.shows_output:
            self._reader = in_background(lambda: line.through(self._read_output), "windlass-logs")
        in_background(lambda: self._watch_events(line), "windlass-events")
        with self._printing:
            while not (self._over or self._broke is not None):
                self._printing.wait(LOOK)
        if self._reader is not None and self._broke is None:
            self._reader.join(_PATIENCE)
        if self._broke is not None:
            raise self._broke

    def _watch_events(self, line: Lifeline) -> None:
        try:
            line.through(self._read_events)
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self._stop(error)
        else:
            self._stop(None)

    def _read_events(self, client: Client) -> None:
        for event in follow_events(client, self._run_id, self._last_event):
            self._await_output(event.json())
            line = None if self._teller is None else self._teller.line(event.json())
            if line is not None:
                self._write(f"{line}\n")
            if event.type == "task.started":
                self._note_start(event.json()["taskId"])
            self._last_event = event.id

    def _read_output(self, client: Client) -> None:
        try:
            for chunk in self._chunks.read(client, follow=True):
                with self._printing:  # output never comes before the line that tells of its beginning
                    self._printing.wait_for(partial(self._may_print, chunk["taskId"]), _PATIENCE)
                    if self._broke is not None:
                        return
                self._lines.take(chunk)
                with self._printing:
                    self._shown[chunk["taskId"]] = (chunk["attempt"], chunk["seq"])
                    self._printing.notify_all()
            self._lines.close()
        except OutputLost as error:  # that the stream itself breaks the events tell too
            self._stop(error)

    def _may_print(self, task: str) -> bool:
        return task in self._told or self._broke is not None

    def _await_output(self, event: Mapping[str, Any]) -> None:
        """Let the output of an attempt come before the line that tells of its end."""
        data, task = event["data"], event["taskId"]
        if self.shows_output and data.get("chunks") and task in self._told:
            last = (data.get("attempt", 1), data["chunks"])
            with self._printing:
                self._printing.wait_for(lambda: self._shown.get(task, (0, 0)) >= last or self._over, _PATIENCE)

    def _stop(self, error: Exception | None) -> None:
        """Let the main thread go on: at the end of the run, or with the error that is in the way."""
        with self._printing:
            self._over, self._broke = True, self._broke or error
            self._printing.notify_all()

    def _note_start(self, task: str) -> None:
        with self._printing:
            self._told.add(task)
            self._printing.notify_all()

    def _write(self, text: str) -> None:
        with self._printing:
            self._out.write(text)
            self._out.flush()


@dataclass(slots=True)
class Teller:
    """Makes a line of an event."""

    names: Mapping[str, str]
    run: str
    _started: dict[str, str] = field(default_factory=dict)
    _percent: dict[str, float] = field(default_factory=dict)

    def line(self, event: Mapping[str, Any]) -> str | None:
        """Return the line that tells of an event; None where it is of no interest."""
        of, _, what = event["type"].partition(".")
        text = self._of_run(what, event) if of == "run" else self._of_task(what, event)
        return None if text is None else clean(f"{_clock(event['at'])} {text}")

    def _of_run(self, what: str, event: Mapping[str, Any]) -> str | None:
        match what:
            case "scheduled":
                return f"{self.run} waits for its time, {event['data'].get('at')}"
            case "started":
                return f"{self.run} started"
            case "cancel_requested":
                return f"{self.run} is asked to stop"
            case "sla_missed":
                return f"{self.run} is late: by the sla of its job it should have ended by {_due(event['data'])}"
            case _:
                return None

    def _of_task(self, what: str, event: Mapping[str, Any]) -> str | None:
        name = self.names.get(event["taskId"] or "", "a task")
        data = event["data"]
        text: str | None = None
        match what:
            case "started":
                self._started[name] = event["at"]
                number = data.get("attempt", 1)
                text = "started" + (f", attempt {number}" if number > 1 else "")
            case "completed" | "failed" | "timeout" | "cancelled":
                text = f"{_ENDS[what]}{self._took(name, event)}{_reason(data, what)}"
            case "skipped":
                text = f"skipped{_reason(data)}"
            case "retried":
                again = f"; next attempt at {_clock(data['at'])}" if data.get("at") else ""
                text = f"attempt {data.get('attempt')} {data.get('outcome')}{_reason(data)}{again}"
            case "waiting":
                text = f"waits{_reason(data)}"
            case "lost":
                text = f"lost its worker {data.get('worker')}"
            case "progress":
                text = self._progress(name, data)
        return None if text is None else f"{name} {text}"

    def _progress(self, name: str, data: Mapping[str, Any]) -> str | None:
        percent = data.get("percent")
        tenth = None if percent is None else percent // 10
        if tenth is not None and tenth == self._percent.get(name) and not data.get("message"):
            return None
        if tenth is not None:
            self._percent[name] = tenth
        shown = "" if percent is None else f"{percent:.0f}%"
        message = one_line(str(data.get("message") or ""))
        return " ".join(filter(None, [shown, message])) or None

    def _took(self, name: str, event: Mapping[str, Any]) -> str:
        begin = self._started.pop(name, None)
        return f" after {duration(between(begin, event['at']))}" if begin else ""


def _reason(data: Mapping[str, Any], state: str = "") -> str:
    code = data.get("exitCode")
    reason = data.get("reason")
    if code is not None and reason in {None, "exit"}:
        return f": exit code {code}" if code else ""
    why = "" if reason == "exit" else reason_text(reason, state)
    return f": {why}" if why else ""


def _due(data: Mapping[str, Any]) -> str:
    due = data.get("due")
    return local_time(due if isinstance(due, str) else None) or "now"


def _clock(at: str) -> str:
    found = instant(at)
    return "" if found is None else found.astimezone().strftime("%H:%M:%S")
