"""Reads the events for those who wait for one, and ends their waits.

Two listeners do no harm: a wait is ended where its task still waits under the claim that began it, in the transaction
that ends the task. How far events were read is only what need not be read again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from windlass.engine.engine import Engine
from windlass.engine.event_waits import Key, open_waits_besides
from windlass.engine.listening import look, settle
from windlass.model.event_wait import Waiters
from windlass.store.event_cursor import BEGINNING, Following, cursor_behind
from windlass.store.event_waits import read_up_to

#: Longest pause in seconds: what a lost hint costs.
POLL: Final = 2.0
#: Shortest pause between two looks: events come in thousands.
_BREATH: Final = 0.05
#: Seconds between two notes of how far the events were read: what a restart reads again.
_NOTE: Final = 10.0
#: How many times as long as asking who waits took nobody asks again.
_SHARE: Final = 10


def _nobody() -> None:
    return


@dataclass(slots=True)
class Listener:
    """The duty of waits for events. Where nobody waits, it looks at an empty table now and then, and at no event.

    Whoever begins to wait may have to be compared with events from long ago. That never sends the others back: those
    who are behind are taken forward in a group of their own, turn about, until they are where the others are; who comes
    meanwhile is in the next group.
    """

    engine: Engine
    #: Takes the next turn now; set by whoever runs this.
    wake: Callable[[], None] = _nobody
    name: str = "listener"
    #: Seconds of a clock that only goes forward.
    monotonic: Callable[[], float] = time.monotonic
    #: Those who were compared with all events up to the cursor `_read`, and so with all up to the `seq` `_settled`.
    _waiters: Waiters[Key] = field(default_factory=Waiters)
    _read: str = BEGINNING
    _settled: int = 0
    #: Those who are behind, and up to which cursor they were compared.
    _behind: Waiters[Key] = field(default_factory=Waiters)
    _behind_read: str = BEGINNING
    #: Those who come after them.
    _new: Waiters[Key] = field(default_factory=Waiters)
    _noted: int = 0
    _next_note: float = 0.0
    _next_look: float = 0.0
    _next_refresh: float = 0.0
    #: Before this nobody asks again who waits, though waits begin.
    _rest: float = 0.0
    #: True where a wait began since that was last asked.
    _asked: bool = False
    #: True where events came since the last look began.
    _told: bool = False
    #: Ends hearing of new events; None where nobody waits, and they are nobody's business.
    _deafen: Callable[[], None] | None = None

    def begun(self) -> None:
        """Take note that a wait began."""
        self._asked = True
        self.wake()

    def _hear(self) -> None:
        """Take note of new events."""
        if not self._told:
            self._told = True
            self.wake()

    async def turn(self) -> float:
        """Compare the next events with what is waited for; return the seconds until the next look."""
        now = self.monotonic()
        due = min(self._next_look, self._rest) if self._asked else self._next_look
        if now < due:
            return due - now
        self._told = False
        if now >= self._next_refresh or (self._asked and now >= self._rest):
            await self._refresh()
        self._step_up()
        if not self._waiters:
            return self._pause()
        self._next_look = now + _BREATH
        span = await self._look(self._waiters, self._read)
        self._read, self._settled, more = span.cursor, span.settled, span.left > 0
        late = await self._catch_up()
        if now >= self._next_note and self._settled > self._noted and self._waiters:
            await self.engine.store.run(read_up_to, list(self._waiters.keys()), self._settled)
            self._noted, self._next_note = self._settled, now + _NOTE
        self._know()
        if more or late:
            self._next_look = 0.0
        return 0.0 if more or late else self._pause()

    def _pause(self) -> float:
        """Return the seconds until the next look where all was looked at: until somebody new is asked for at most."""
        return min(POLL, max(0.0, self._rest - self.monotonic())) if self._asked else POLL

    async def _refresh(self) -> None:
        """Find out who waits."""
        self._asked, began = False, self.monotonic()
        known = {*self._waiters.keys(), *self._behind.keys(), *self._new.keys()}
        still, others = await self.engine.store.read(open_waits_besides, known)
        for waiters in (self._waiters, self._behind, self._new):
            waiters.drop(known - still)
        self._new.add(others)
        now = self.monotonic()
        self._rest = now + _SHARE * (now - began)
        self._next_refresh = max(now + POLL, self._rest)
        self._know()

    def _step_up(self) -> None:
        """Let those who are behind, or came last, take the place before them where nobody is."""
        if not self._behind and self._new:
            self._behind, self._new = self._new, Waiters()
            self._behind_read = cursor_behind(min(wait.after for wait in self._behind))
        if not self._waiters and self._behind:
            self._waiters, self._read, self._behind = self._behind, self._behind_read, Waiters()

    async def _catch_up(self) -> bool:
        """Take those who are behind a step forward; say whether some are left."""
        if self._behind:
            span = await self._look(self._behind, self._behind_read)
            self._behind_read = span.cursor
            if not span.left:  # all that is there: at least as far as the others, who looked before
                self._waiters.add(self._behind)
                self._behind = Waiters()
        return bool(self._behind or self._new)

    async def _look(self, waiters: Waiters[Key], cursor: str) -> Following:
        """Compare waits with the next events behind a cursor; return where these stand then."""
        matches, span = await self.engine.store.read(look, self.engine, waiters, cursor)
        if matches:
            await self.engine.store.run(settle, self.engine, matches)
            waiters.drop(wait.key for wait, _ in matches)
        return span

    def _know(self) -> None:
        """Hear of new events as long as somebody waits."""
        waiting = bool(self._waiters or self._behind or self._new)
        if waiting and self._deafen is None:
            self._deafen = self.engine.store.on_hint("events", self._hear)
        elif not waiting and self._deafen is not None:
            self._deafen()
            self._deafen = None
