"""`windlass` in a process that ends at a moment that has a name, as kill -9 would end it; a program of its own.

Each unit of work that changes anything gives two moments: `NAME written`, before its commit, and `NAME committed`,
when nobody has heard of it yet. Attempts and requests give the ones in between. Of the environment, DOOM says at which
moment to end (`NAME committed`, or `NAME committed#3` for the third time), BOOK a file that gets the name of each
moment when it comes for the first time, FULL a file while whose presence the database cannot grow, AHEAD a file that
says how many seconds the clock is ahead.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final

from windlass.api import asgi
from windlass.clock import SystemClock, micros
from windlass.engine import archiving, attempt, restoring
from windlass.engine.claim import Exchange
from windlass.main import main
from windlass.store.sqlite import SqliteStore
from windlass.supervisor.client import Supervisor

_NO_LIMIT: Final = 1_000_000


class Moments:
    """Counts the moments that come, and ends the process at the one that was asked for."""

    def __init__(self, doom: str, book: str) -> None:
        """Wait for the moment `doom`, and write the names of all into the file `book`; neither where it is empty."""
        self._name, _, times = doom.partition("#")
        self._times = int(times or 1)
        self._book = os.open(book, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC) if book else None
        self._seen: Counter[str] = Counter()
        self._lock = Lock()

    def reach(self, name: str) -> None:
        """Take note that a moment has come."""
        with self._lock:
            self._seen[name] += 1
            if self._book is not None and self._seen[name] == 1:
                os.write(self._book, f"{name}\n".encode())
            if name == self._name and self._seen[name] == self._times:
                os.kill(os.getpid(), signal.SIGKILL)


def watch_commits(moments: Moments) -> None:
    """Let every unit of work that changes something give its two moments."""
    run, run_blocking, commit = SqliteStore.run, SqliteStore.run_blocking, SqliteStore._commit_or_refuse
    written: list[str] = []  # only the thread that writes looks at it

    def watched(unit: Callable[..., Any]) -> Callable[..., Any]:
        def call(tx: Any, *args: Any, **more: Any) -> Any:
            before = tx.cursor.connection.total_changes
            result = unit(tx, *args, **more)
            if tx.cursor.connection.total_changes != before:
                written.append(_name(unit, args, result))
                moments.reach(f"{written[-1]} written")
            return result

        return call

    async def run_watched(store: SqliteStore, unit: Any, *args: Any, **more: Any) -> Any:
        return await run(store, watched(unit), *args, **more)

    def run_blocking_watched(store: SqliteStore, unit: Any, *args: Any, **more: Any) -> Any:
        return run_blocking(store, watched(unit), *args, **more)

    def commit_watched(store: SqliteStore, group: Any, cursor: Any) -> Any:
        written.clear()
        hints = commit(store, group, cursor)
        for name in written:
            moments.reach(f"{name} committed")
        return hints

    SqliteStore.run = run_watched  # type: ignore[method-assign]
    SqliteStore.run_blocking = run_blocking_watched  # type: ignore[method-assign]
    SqliteStore._commit_or_refuse = commit_watched  # type: ignore[method-assign]


def _name(unit: Any, args: tuple[Any, ...], result: Any) -> str:
    name = unit.__qualname__.rpartition(".")[2].lstrip("_")
    if isinstance(result, Exchange):  # what it is about differs too much for one name
        return "+".join([name, *["reports"] * bool(args[1]), *["claims"] * bool(result.claims)])
    return str(name)


def watch_attempts(moments: Moments) -> None:
    """Let attempts give their moments: around the start of a process, its end, its log and its folder."""
    _around(Supervisor, "spawn", moments, "spawn")
    _around(attempt.Attempt, "_keep_artifacts", moments, "artifacts")
    _around(attempt.Attempt, "close", moments, "end of the process", "end of the log")
    _around(attempt.Attempt, "remove", moments, "folder removal")


def watch_upkeep(moments: Moments) -> None:
    """Let what leaves and comes back give its moments: around the copies of files, their removal and their return."""
    _around(archiving, "_copied", moments, "copy of runs")
    _around(archiving, "copy_files", moments, "copy of files")
    _around(archiving, "drop_moved", moments, "removal of files")
    _around(archiving, "tidy_files", moments, "tidying of files")
    _around(restoring, "bring_files_back", moments, "return of files")


def watch_requests(moments: Moments) -> None:
    """Let requests that change something give their moments: read, and answered but for the sending."""
    respond = asgi.respond

    async def respond_watched(engine: Any, found: Any, request: Any) -> Any:
        if found.route.method == "GET":
            return await respond(engine, found, request)
        name = found.route.path.rpartition("/")[2]
        moments.reach(f"{name} read")
        answer = await respond(engine, found, request)
        moments.reach(f"{name} answered")
        return answer

    asgi.respond = respond_watched


def _around(owner: Any, method: str, moments: Moments, name: str, after: str | None = None) -> None:
    inner = getattr(owner, method)

    async def call(*args: Any, **more: Any) -> Any:
        moments.reach(name if after else f"before the {name}")
        result = await inner(*args, **more)
        moments.reach(after or f"after the {name}")
        return result

    setattr(owner, method, call)


def shift_clock(file: Path) -> None:
    """Let the clock be as many seconds ahead as `file` says."""
    now = SystemClock.now

    def shifted(clock: SystemClock) -> int:
        with suppress(FileNotFoundError):
            return now(clock) + micros(float(file.read_text()))
        return now(clock)

    SystemClock.now = shifted  # type: ignore[method-assign]


def fill_disk(file: Path) -> None:
    """Let the database be unable to grow while `file` is there."""
    commit = SqliteStore._commit_or_refuse
    was_full = False

    def commit_limited(store: SqliteStore, group: Any, cursor: Any) -> Any:
        nonlocal was_full
        if file.exists() is not was_full:
            was_full = not was_full
            cursor.execute(f"PRAGMA max_page_count = {1 if was_full else _NO_LIMIT}")  # 1: its present size
        return commit(store, group, cursor)

    SqliteStore._commit_or_refuse = commit_limited  # type: ignore[method-assign]


if __name__ == "__main__":
    found = Moments(os.environ.pop("DOOM", ""), os.environ.pop("BOOK", ""))
    watch_commits(found)
    watch_attempts(found)
    watch_upkeep(found)
    watch_requests(found)
    if ahead := os.environ.pop("AHEAD", ""):
        shift_clock(Path(ahead))
    if full := os.environ.pop("FULL", ""):
        fill_disk(Path(full))
    sys.argv[0] = "windlass"
    main()
