"""Reads the events for those who wait for one, and ends their waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from windlass.engine.engine import Engine
from windlass.engine.event_waits import Key, open_waits
from windlass.engine.listening import look, settle
from windlass.model.event_wait import EventWait, Waiters
from windlass.store.event_waits import read_up_to

#: Longest pause in seconds: what a lost hint costs.
POLL: Final = 2.0
#: Shortest pause between two looks: events come in thousands.
_BREATH: Final = 0.05
#: Seconds between two notes of how far the events were read: what a restart reads again.
_NOTE: Final = 10.0


def _nobody() -> None:
    return


@dataclass(slots=True)
class Listener:
    """The duty of waits for events. Where nobody waits, it looks at an empty table now and then, and at no event."""

    engine: Engine
    #: Takes the next turn now; set by whoever runs this.
    wake: Callable[[], None] = _nobody
    name: str = "listener"
    _waits: dict[Key, EventWait[Key]] = field(default_factory=dict)
    _waiters: Waiters[Key] = field(default_factory=lambda: Waiters(()))
    #: All events up to this `seq` were compared with the waits that are known.
    _read: int = 0
    _noted: int = 0
    _next_note: float = 0.0
    _next_look: float = 0.0
    _next_refresh: float = 0.0
    #: True where events came since the last look began.
    _told: bool = False
    #: Ends hearing of new events; None where nobody waits, and they are nobody's business.
    _deafen: Callable[[], None] | None = None

    def begun(self) -> None:
        """Take note that a wait began."""
        self._next_refresh = self._next_look = 0.0
        self.wake()

    def _hear(self) -> None:
        """Take note of new events."""
        if not self._told:
            self._told = True
            self.wake()

    async def turn(self) -> float:
        """Compare the next events with what is waited for; return the seconds until the next look."""
        now = time.monotonic()
        if now < self._next_look:
            return self._next_look - now
        self._told = False
        if now >= self._next_refresh:
            self._next_refresh = now + POLL
            self._take_over(await self.engine.store.read(open_waits))
        if not self._waits:
            return POLL
        self._next_look = now + _BREATH
        matches, reached, more = await self.engine.store.read(look, self.engine, self._waiters, self._read)
        if matches:
            await self.engine.store.run(settle, self.engine, matches)
            ended = {wait.key for wait, _ in matches}
            self._know({key: wait for key, wait in self._waits.items() if key not in ended})
        self._read = reached
        if now >= self._next_note and self._read > self._noted and self._waits:
            await self.engine.store.run(read_up_to, list(self._waits), self._read)
            self._noted, self._next_note = self._read, now + _NOTE
        if more:
            self._next_look = 0.0
        return 0.0 if more else POLL

    def _take_over(self, waits: Sequence[EventWait[Key]]) -> None:
        """Know who waits; events are read again from where those begin who are new."""
        new = [wait.after for wait in waits if wait.key not in self._waits]
        if new:
            kept = any(wait.key in self._waits for wait in waits)
            self._read = min([*new, self._read] if kept else new)
        if new or len(waits) != len(self._waits):
            self._know({wait.key: wait for wait in waits})

    def _know(self, waits: dict[Key, EventWait[Key]]) -> None:
        self._waits, self._waiters = waits, Waiters(waits.values())
        if waits and self._deafen is None:
            self._deafen = self.engine.store.on_hint("events", self._hear)
        elif not waits and self._deafen is not None:
            self._deafen()
            self._deafen = None
