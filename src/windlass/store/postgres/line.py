"""Units that wait for a connection, and which of them share a transaction."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from windlass.errors import Unavailable
from windlass.store.requests import Request
from windlass.store.transaction import may_follow, may_lead


@dataclass(slots=True)
class Waiting:
    """A request, and what it may run beside."""

    request: Request
    #: The unit as it was given: units of one kind may share a transaction.
    unit: Callable[..., Any]
    #: True where nothing else may run meanwhile.
    alone: bool
    number: int = 0

    @property
    def leads(self) -> bool:
        """Say whether units of another kind may run behind it, in its transaction."""
        return may_lead(self.unit)

    @property
    def follows(self) -> bool:
        """Say whether it may run behind units that lead."""
        return may_follow(self.unit)


class Line:
    """What waits, in its order; taken in groups by several threads.

    Units that run alone share a transaction with each other, and so do those beside others that are of one kind: the
    flush is what costs, not the work. Only one thread at a time takes units that run alone, so that the others do not
    wait for it with a connection in their hands. A unit that follows others goes to whoever works on those just then:
    in another transaction it would not see what they do.
    """

    def __init__(self, group_limit: int) -> None:
        """Give out up to `group_limit` units at once."""
        self._limit = group_limit
        self._alone: deque[Waiting] = deque()
        self._beside: deque[Waiting] = deque()
        self._follow: deque[Waiting] = deque()
        #: Groups under way that others may still follow.
        self._led: list[list[Waiting]] = []
        self._alone_taken = False
        self._closed = False
        self._stirred = 0
        self._count = 0
        self._lock = threading.Lock()
        #: Threads that wait, the one that worked last at the end: it is asked first, for its connection is there, with
        #: all that was prepared on it.
        self._idle: list[threading.Condition] = []

    def put(self, waiting: Waiting) -> None:
        """Add a unit. Raises Unavailable once the line is closed."""
        with self._lock:
            if self._closed:
                raise Unavailable("The store is closed.")
            self._count += 1
            waiting.number = self._count
            (self._alone if waiting.alone else self._follow if waiting.follows else self._beside).append(waiting)
            self._wake()

    def take(self, timeout: float | None) -> list[Waiting] | None:
        """Wait for units and return a group; empty after `timeout` seconds, None once nothing more will come."""
        with self._lock:
            end = None if timeout is None else time.monotonic() + timeout
            stirred = self._stirred
            while not (group := self._next()) and not self._ended():
                left = None if end is None else end - time.monotonic()
                if stirred != self._stirred or (left is not None and left <= 0):
                    return []
                turn = threading.Condition(self._lock)
                self._idle.append(turn)
                turn.wait(left)
                if turn in self._idle:
                    self._idle.remove(turn)
            if self._ended():
                self._wake_all()  # none of those who wait will get any more
            return group or None

    def followers(self, group: list[Waiting]) -> list[Request]:
        """Return what is to run behind the units of a group, which nobody follows from now on."""
        with self._lock:
            if not any(one is group for one in self._led):
                return []
            self._led = [one for one in self._led if one is not group]
            found = [waiting.request for waiting in self._follow]
            self._follow.clear()
        for request in found:
            request.follows = True
        return found

    def stir(self) -> None:
        """Have everybody who waits for units come back without any, as if the time were over."""
        with self._lock:
            self._stirred += 1
            self._wake_all()

    def done(self, group: list[Waiting]) -> None:
        """Note that a group is settled."""
        with self._lock:
            if group[0].alone:
                self._alone_taken = False
            self._led = [one for one in self._led if one is not group]
            if self._takeable():
                self._wake()

    def close(self) -> None:
        """Take nothing more; what waits is still given out."""
        with self._lock:
            self._closed = True
            self._wake_all()

    def _wake(self) -> None:
        """Have one of those who wait look again."""
        if self._idle:
            self._idle.pop().notify()

    def _wake_all(self) -> None:
        while self._idle:
            self._wake()

    def _ended(self) -> bool:
        return self._closed and not self._alone and not self._beside and not self._follow

    def _takeable(self) -> bool:
        return any(line and free for line, free in self._lines())

    def _next(self) -> list[Waiting]:
        if not self._takeable():
            return []
        alone, beside, follow = self._alone, self._beside, self._follow
        first = [line[0].number for line, free in self._lines() if line and free]
        group: list[Waiting] = []
        if alone and not self._alone_taken and alone[0].number == min(first):
            self._alone_taken = True
            while alone and len(group) < self._limit:
                group.append(alone.popleft())
        elif follow and not self._led and follow[0].number == min(first):
            group.append(follow.popleft())
        else:
            unit = beside[0].unit
            while beside and beside[0].unit == unit and len(group) < self._limit:
                group.append(beside.popleft())
            if group[0].leads:
                self._led.append(group)
        return group

    def _lines(self) -> tuple[tuple[deque[Waiting], bool], ...]:
        """Return what waits, each with whether any of it may be taken now."""
        return (self._alone, not self._alone_taken), (self._beside, True), (self._follow, not self._led)
