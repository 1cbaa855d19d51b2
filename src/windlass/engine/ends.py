"""Waiting for the ends of many runs at once: one reader of the events for all who wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from windlass.engine.engine import Engine
from windlass.errors import NotFound, Unavailable
from windlass.ids import id_text
from windlass.store.ends import RunEnd, ended_after, run_ends
from windlass.store.event_cursor import newest_cursor
from windlass.store.transaction import Transaction

_log = logging.getLogger(__name__)

#: Seconds between looks when no hint comes.
POLL = 1.0


class RunEnds:
    """Tells those who wait how their runs ended; what it costs grows with the events, not with the waiters."""

    def __init__(self, engine: Engine) -> None:
        """Watch nothing yet."""
        self._engine = engine
        self._waiting: dict[bytes, asyncio.Future[RunEnd]] = {}
        #: Runs that were asked for and not looked at yet.
        self._new: list[bytes] = []
        #: How far the events were read; None while nobody waits.
        self._cursor: str | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def wait(self, run_id: bytes) -> RunEnd:
        """Return how a run ended, once it has.

        Raises NotFound where there is no such run, Unavailable where the store is closed meanwhile.
        """
        if self._closed:
            raise Unavailable("The store is closed.")
        future = self._waiting.get(run_id)
        if future is None:
            future = self._waiting[run_id] = asyncio.get_running_loop().create_future()
            self._new.append(run_id)
            self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="windlass-ends")
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Stop; whoever still waits gets Unavailable. A second call does nothing."""
        self._closed = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(Unavailable("The store was closed before the run ended; the run goes on."))
                future.exception()  # those who wait raise it; where nobody does, nothing is to be said

    async def _watch(self) -> None:
        forget = self._engine.store.on_hint("ended", self._changed.set)
        try:
            while True:
                await self._until_changed()
                self._changed.clear()
                try:
                    await self._look()
                except Unavailable as error:
                    _log.warning("Waiting for runs: %s", error)
                    await asyncio.sleep(POLL)
        finally:
            forget()

    async def _until_changed(self) -> None:
        if not self._waiting:
            self._cursor = None
            await self._changed.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                await self._changed.wait()

    async def _look(self) -> None:
        """Tell of runs that ended since the last look, and of new ones that had ended before."""
        more = bool(self._waiting)
        while more:
            new, self._new = self._new, []
            try:
                ends, missing, ended, self._cursor, more = await self._engine.store.read(_read, new, self._cursor)
            except Unavailable:
                self._new = new + self._new
                raise
            ended = [run_id for run_id in ended if run_id in self._waiting]
            if ended:
                found, _ = await self._engine.store.read(run_ends, ended)
                ends += found
            for end in ends:
                self._tell(end.id, end)
            for run_id in missing:
                self._tell(run_id, NotFound(f"There is no run {id_text(run_id)}."))

    def _tell(self, run_id: bytes, end: RunEnd | NotFound) -> None:
        future = self._waiting.pop(run_id, None)
        if future is None or future.done():
            return
        if isinstance(end, NotFound):
            future.set_exception(end)
            future.exception()
        else:
            future.set_result(end)


def _read(
    tx: Transaction, new: Sequence[bytes], cursor: str | None
) -> tuple[list[RunEnd], list[bytes], list[bytes], str, bool]:
    """Return the ends of `new` runs, which of those do not exist, what ended after `cursor`, and how far that reached.

    All on one view: what ended in it is found at once, what ends later is found by its event.
    """
    ends, missing = run_ends(tx, new)
    if cursor is None:
        return ends, missing, [], newest_cursor(tx), False
    ended, reached, more = ended_after(tx, cursor)
    return ends, missing, ended, reached, more
