"""Which step the tasks of events belong to."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from windlass.cli.watch.streams import task_names
from windlass.errors import NotFound

if TYPE_CHECKING:
    from windlass.client.client import Client

#: Runs whose steps are remembered.
_MOST: Final = 200


class StepNames:
    """Asks for the steps of each run once."""

    def __init__(self) -> None:
        """Know none yet."""
        self._names: dict[str, dict[str, str]] = {}

    def of(self, client: Client, event: Mapping[str, Any]) -> str:
        """Return the step of an event's task with its cell; the task's number where the run is gone; else nothing."""
        run, task = event["runId"], event["taskId"]
        if task is None:
            return ""
        if task not in self._names.get(run, {}):
            if len(self._names) >= _MOST:
                self._names.clear()
            self._names[run] = {}
            with suppress(NotFound):
                self._names[run] = task_names(client.pages("runs", run, "steps"))
        return self._names[run].get(task) or str(task).rpartition(".")[2]
