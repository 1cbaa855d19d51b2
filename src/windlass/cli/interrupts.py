"""Ctrl-C, SIGTERM and SIGHUP as requests to the run that a command follows."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any, Final, Self

#: Interrupts that are requests; one more ends the command, whatever still runs.
PATIENCE: Final = 2
#: Seconds after which a wait of the main thread looks up. Only that thread acts on signals, between two of its
#: instructions: one that comes just before a wait without end would be seen only after it.
LOOK: Final = 0.5
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While it is entered, and a run is on its way, an interrupt raises nothing: `ask` is called with its number.

    Before `hold` and after `release`, and when there were more than `PATIENCE`, an interrupt raises KeyboardInterrupt.
    What the caller has us ignore, as nohup does, stays ignored.
    """

    def __init__(self, ask: Callable[[int], None]) -> None:
        """Have `ask` called from a thread of its own: what an interrupt breaks into could be anything."""
        self._ask = ask
        self._held = False
        self._early = False
        self._count = 0
        self._asked: SimpleQueue[int] = SimpleQueue()
        self._asking: threading.Thread | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals over."""
        for one in _SIGNALS:
            before = signal.getsignal(one)
            if before is not signal.SIG_IGN:
                self._before[one] = signal.signal(one, self._take)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Give the signals back.

        Raises KeyboardInterrupt for whatever came of an early one: libraries make an error of their own of it.
        """
        for one, before in self._before.items():
            signal.signal(one, before)
        if self._early and error is not None:
            raise KeyboardInterrupt from error

    def hold(self) -> None:
        """From now on there may be a run: interrupts are requests, which wait until it is known.

        Raises KeyboardInterrupt where one came before, and was lost in code that lets no exception out.
        """
        self._held = True
        if self._early:
            raise KeyboardInterrupt

    def known(self) -> None:
        """Hand on the requests that there are, and those to come."""
        if self._asking is None:
            self._asking = threading.Thread(target=self._hand_on, name="windlass-interrupts", daemon=True)
            self._asking.start()

    def release(self) -> None:
        """There is nothing more to ask: from now on interrupts end the command."""
        self._held = False

    def _take(self, _signal: int, _frame: FrameType | None) -> None:
        if self._held:
            self._count += 1
            self._asked.put(self._count)
        else:
            self._early = True
        if not self._held or self._count > PATIENCE:
            raise KeyboardInterrupt

    def _hand_on(self) -> None:
        while True:
            self._ask(self._asked.get())
