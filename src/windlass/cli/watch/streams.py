"""What the readers of a run's streams share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any, Final

from windlass.errors import WindlassError

#: Ends of a run.
ENDS: Final = frozenset({"run.completed", "run.failed", "run.cancelled", "run.timeout"})


def in_background(work: Callable[[], None], name: str) -> threading.Thread:
    """Do `work` in a thread of its own; that its stream breaks is the main thread's to tell."""

    def quietly() -> None:
        try:
            work()
        except (WindlassError, CancelledError, RuntimeError):
            return

    thread = threading.Thread(target=quietly, name=name, daemon=True)
    thread.start()
    return thread


def task_names(tasks: list[dict[str, Any]]) -> dict[str, str]:
    """Return how each task is called: its step, and its cell where there are several."""
    return {task["id"]: task["step"] + (f"[{task['key']}]" if task["key"] else "") for task in tasks}
