"""Threads for calls that may block: kept for the next call, never waited for at the end of the program."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial

Call = Callable[[], None]


class Stopped(BaseException):
    """Raised in a thread that is to end."""


class CallThread:
    """A thread that runs one call after the other."""

    def __init__(self) -> None:
        """Start it."""
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="windlass-call", daemon=True)
        self._thread.start()

    @property
    def ident(self) -> int | None:
        """The thread's number for the interpreter."""
        return self._thread.ident

    def start(self, call: Call) -> None:
        """Run `call`, which must not raise, in the context of who starts it."""
        self._calls.put(partial(copy_context().run, call))

    def end(self) -> None:
        """End once the call that runs has returned."""
        self._calls.put(None)

    def _run(self) -> None:
        with suppress(Stopped):  # it may come when the call has just returned
            while (call := self._calls.get()) is not None:
                call()


class CallThreads:
    """Idle threads; used from one event loop."""

    def __init__(self, most_idle: int = 32) -> None:
        """Keep up to `most_idle` threads."""
        self._most_idle = most_idle
        self._idle: list[CallThread] = []

    def take(self) -> CallThread:
        """Return a thread that has nothing to do."""
        return self._idle.pop() if self._idle else CallThread()

    def give_back(self, thread: CallThread) -> None:
        """Keep a thread whose call has returned."""
        if len(self._idle) < self._most_idle:
            self._idle.append(thread)
        else:
            thread.end()

    def close(self) -> None:
        """End the idle threads."""
        while self._idle:
            self._idle.pop().end()
