"""`windlass` in a process that ends at a moment that has a name, as kill -9 would end it; a program of its own.

Each unit of work that changes anything gives two moments: `NAME written`, before its commit, and `NAME committed`,
when nobody has heard of it yet. Attempts and requests give the ones in between. Of the environment, DOOM says at which
moment to end (`NAME committed`, or `NAME committed#3` for the third time), BOOK a file that gets the name of each
moment when it comes for the first time, LEADS whether to
do every duty whoever has it, FULL a file while whose presence the database cannot grow, AHEAD a file that
says how many seconds the clock is ahead.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cache, wraps
from pathlib import Path
from threading import Lock, local
from typing import Any, Final

from windlass.api import asgi
from windlass.clock import SystemClock, micros
from windlass.engine import archiving, attempt, duty, forgetting, restoring
from windlass.engine.claim import Exchange
from windlass.engine.remote.exchanging import Done
from windlass.main import main
from windlass.store.postgres.lane import Lane
from windlass.store.postgres.store import PostgresStore
from windlass.store.sqlite import SqliteStore
from windlass.store.transaction import beside_others, may_run_beside
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
    """Let every unit of work that changes something give its two moments, whichever store it works on."""
    written = _Written()
    _watch_units(SqliteStore, moments, written, lambda tx: int(tx.cursor.connection.total_changes))
    _watch_units(PostgresStore, moments, written, _changes)
    commit, commit_there = SqliteStore._commit_or_refuse, Lane._commit

    def commit_watched(store: SqliteStore, group: Any, cursor: Any) -> Any:
        written.names.clear()
        hints = commit(store, group, cursor)
        for name in written.names:
            moments.reach(f"{name} committed")
        return hints

    async def commit_there_watched(lane: Lane, requests: Any, outcome: Any, *args: Any, **more: Any) -> None:
        written.names.clear()
        await commit_there(lane, requests, outcome, *args, **more)
        for name in written.names if outcome.failed is None else ():
            moments.reach(f"{name} committed")

    SqliteStore._commit_or_refuse = commit_watched  # type: ignore[method-assign]
    Lane._commit = commit_there_watched  # type: ignore[method-assign]


class _Written(local):
    """Names of the units that have written something in the transaction of a thread."""

    def __init__(self) -> None:
        self.names: list[str] = []


def _watch_units(store: Any, moments: Moments, written: _Written, changes: Callable[[Any], int]) -> None:
    run, run_blocking = store.run, store.run_blocking

    @cache
    def watched(unit: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(unit)
        def call(tx: Any, *args: Any, **more: Any) -> Any:
            before = changes(tx)
            result = unit(tx, *args, **more)
            if changes(tx) != before:
                written.names.append(_name(unit, args, result))
                moments.reach(f"{written.names[-1]} written")
            return result

        return beside_others(call) if may_run_beside(unit) else call

    async def run_watched(store: Any, unit: Any, *args: Any, **more: Any) -> Any:
        return await run(store, watched(unit), *args, **more)

    def run_blocking_watched(store: Any, unit: Any, *args: Any, **more: Any) -> Any:
        return run_blocking(store, watched(unit), *args, **more)

    store.run = run_watched
    store.run_blocking = run_blocking_watched


def _changes(tx: Any) -> int:
    """Return how many rows the transaction has changed so far in PostgreSQL, and how many runs wait to be inserted."""
    counted = "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_xact_user_tables"
    return int(tx.cursor.execute(counted).fetchone()[0]) + (len(tx.pending._runs) if tx.pending is not None else 0)


def _name(unit: Any, args: tuple[Any, ...], result: Any) -> str:
    whole = getattr(unit, "func", unit).__qualname__
    # The same unit under two names: that of a worker elsewhere, and those of workers here.
    name = "exchange_once" if whole == "exchange_beside_others" else whole.rpartition(".")[2].lstrip("_")
    name = name.replace("_beside_others", "_within").replace("_behind_others", "_within")
    result = result[0] if isinstance(result, tuple) and result else result  # an exchange, and more about it
    if isinstance(result, Exchange):  # what it is about differs too much for one name
        return "+".join([name, *["reports"] * bool(args[1]), *["claims"] * bool(result.claims)])
    if isinstance(result, Done):
        asked, claims = args[-1], result.exchange is not None and result.exchange.claims
        return "+".join([name, *["reports"] * bool(asked.reports), *["claims"] * bool(claims)])
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
    _around(forgetting, "tidy_files", moments, "tidying of files")
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


def lead_always() -> None:
    """Let this process take every duty for its own, whoever has it."""

    def all_of_them(tx: Any, holder: str, names: Collection[str], lease: int) -> set[str]:
        del tx, holder, lease
        return set(names)

    duty.hold_duties = all_of_them


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
    if os.environ.pop("LEADS", ""):
        lead_always()
    if full := os.environ.pop("FULL", ""):
        fill_disk(Path(full))
    sys.argv[0] = "windlass"
    main()
