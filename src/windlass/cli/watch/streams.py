"""Reading the streams of a run: its events to the end of it, in the foreground or beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Final

from windlass.errors import NobodyWorks, WindlassError
from windlass.model.lack import nobody_works as without_anybody

if TYPE_CHECKING:
    from windlass.client.client import Client
    from windlass.client.events import ServerEvent

#: How it is where the store is the command's own for a moment.
_ALONE: Final[dict[str, Any]] = {"served": False, "nobodyWorks": without_anybody(served=False)}
_ENDS: Final = frozenset({"run.completed", "run.failed", "run.cancelled", "run.timeout"})


def follow_events(client: Client, run_id: str, after: str | None, *, whole: bool = False) -> Iterator[ServerEvent]:
    """Yield the events of a run behind the id `after`, or all of them, up to its end; see `refuse_idle`.

    The event that tells of the end is yielded only where `whole` asks for it.
    """
    refuse_idle(client, run_id)
    for event in client.events("events", run=run_id, project="*", last_event_id=after or "0"):
        if whole or event.type not in _ENDS:
            yield event
        if event.type in _ENDS:
            return


def refuse_idle(client: Client, run_id: str | None = None) -> None:
    """Refuse to wait where nobody works on runs: it would last for ever, and keep the store from who would.

    Where a server is there, and only a worker is missing, one may come at any time. A run that is final already is
    nothing to wait for. Raises NobodyWorks.
    """
    if not nobody_moves(client):
        return
    if run_id is not None and client.get("runs", run_id)["finishedAt"] is not None:
        return
    raise NobodyWorks("Nobody works on runs, so there is nothing to wait for: start `windlass up` first.")


def nobody_works(client: Client) -> str:
    """Return that no worker takes work now, as a sentence with what to start; nothing where one does."""
    return _sentence(client, served=True)


def nobody_moves(client: Client) -> str:
    """Return the same where no server is there either, so that nothing would become of any run."""
    return _sentence(client, served=False)


def _sentence(client: Client, *, served: bool) -> str:
    status = _ALONE if client.idle else client.get("executor", "status")
    clause = None if status["served"] and not served else status["nobodyWorks"]
    return f"{clause[:1].upper()}{clause[1:]}." if clause else ""


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


def task_names(tasks: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return how each task is called: its step, and its cell where there are several."""
    return {task["id"]: task["step"] + (f"[{task['key']}]" if task["key"] else "") for task in tasks}
