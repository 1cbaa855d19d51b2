"""Hints of other processes: a connection of its own that listens, on a thread of its own."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from windlass.store.postgres.lane import CHANNEL

if TYPE_CHECKING:
    from windlass.store.hints import Hints
    from windlass.store.postgres.link import Links

#: Seconds between two tries to connect.
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 30.0


class Listener:
    """Passes on what other processes tell; its connection may be away for any time, for hints are only hints."""

    def __init__(self, links: Links, dsn: str, hints: Hints, sender: str) -> None:
        """Listen at `dsn` from now on, for everything that `sender` did not tell itself."""
        self._links = links
        self._dsn = dsn
        self._hints = hints
        self._sender = sender
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self.thread = threading.Thread(target=self._run, name="windlass-hints", daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Listen no more; join `thread` to wait for that."""
        self._loop.call_soon_threadsafe(self._ending.set)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._listen())
        finally:
            self._loop.close()

    async def _listen(self) -> None:
        pause, again = _FIRST_PAUSE, False
        ending = asyncio.ensure_future(self._ending.wait())
        while not ending.done():
            lost = asyncio.Event()
            raw: Any = None
            try:
                raw = await self._links.dial(self._dsn)
                raw.add_termination_listener(lambda *_, lost=lost: lost.set())
                await raw.add_listener(CHANNEL, self._heard)
                pause = _FIRST_PAUSE
                if again:
                    self._pass_on(None)  # what was told meanwhile was not heard
                again = True
                await _first(ending, lost)
            except Exception:  # noqa: BLE001 - whatever it is: it is tried again, and everybody looks by himself
                await asyncio.wait({ending}, timeout=pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads processes
                pause = min(pause * 2, _LONGEST_PAUSE)
            finally:
                if raw is not None:
                    await _closed(raw)

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        sender, _, names = str(payload).partition(" ")
        if sender != self._sender:
            self._pass_on(names.split(","))

    def _pass_on(self, names: Iterable[str] | None) -> None:
        for loop, calls in self._hints.listeners(self._hints.names() if names is None else names).items():
            try:
                loop.call_soon_threadsafe(_call, calls)
            except RuntimeError:  # that loop is closed: nobody listens there any more
                continue


async def _first(ending: asyncio.Future[Any], lost: asyncio.Event) -> None:
    losing = asyncio.ensure_future(lost.wait())
    await asyncio.wait({ending, losing}, return_when=asyncio.FIRST_COMPLETED)
    losing.cancel()


async def _closed(raw: Any) -> None:
    try:
        await raw.close(timeout=2)
    except Exception:  # noqa: BLE001 - it is gone either way
        raw.terminate()


def _call(calls: Iterable[Callable[[], None]]) -> None:
    for call in calls:
        call()
