"""The heartbeat of a worker, from a thread of its own: a busy event loop must not cost a lease."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final

from windlass.errors import Unavailable

_log = logging.getLogger(__name__)

#: The part of a lease that may pass without a renewal before a worker gives up what may start elsewhere; the rest is
#: for ending that.
PATIENCE: Final = 0.5
#: The same where no answer has come, bad or good: an answer that takes seconds is one still.
SILENCE: Final = 2 / 3
#: Seconds until a beat that did not get through is tried again: a store that is back is heard of before it is too late.
AGAIN: Final = 0.5
#: Of the time between two beats, what is left where chance takes most of it away: workers that began together spread.
_LEAST: Final = 0.8


class Heartbeat:
    """Calls `renew` every `interval` seconds until it is stopped."""

    def __init__(
        self,
        renew: Callable[[], bool],
        *,
        interval: float,
        on_lost: Callable[[], object],
        lease: float | None = None,
        shared: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; `on_lost` is called from the thread whenever `renew` says that the worker was found gone.

        `lease` is how many seconds after a renewal others may take the worker for gone; None where nobody does.
        `shared` says that other processes reach the store: that it is silent here says nothing of them.
        """
        self._renew = renew
        self._interval = interval
        self._on_lost = on_lost
        self._lease = lease
        self._shared = shared
        self._clock = clock
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        #: When the last renewal was asked for that succeeded, and whether one has failed since.
        self._renewed = clock()
        self._failed = False

    @property
    def expiring(self) -> bool:
        """Say whether the lease ends soon and cannot be renewed.

        A store that has not answered yet counts where it is shared, for a connection may be dead without a word; the
        store of one process alone counts only where it has said no, or cannot be reached.
        """
        if self._lease is None or not (self._failed or self._shared):
            return False
        return self._clock() - self._renewed >= self._lease * (PATIENCE if self._failed else SILENCE)

    def start(self) -> None:
        """Begin; starting twice is fine."""
        if self._thread is None:
            self._renewed = self._clock()
            self._thread = threading.Thread(target=self._beat, name="windlass-heartbeat", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End; stopping twice, or without having started, is fine."""
        self._ended.set()

    def _beat(self) -> None:
        while not self._ended.wait(self._pause() * random.uniform(_LEAST, 1.0)):  # noqa: S311 - spreads workers
            self.beat()

    def _pause(self) -> float:
        return min(self._interval, AGAIN) if self._failed else self._interval

    def beat(self) -> None:
        """Renew once; whatever goes wrong, the next beat comes."""
        begun = self._clock()
        try:
            alive = self._renew()
        except Unavailable as error:
            if not self._failed:  # told once
                _log.warning("The heartbeat does not reach the store: %s", error)
            self._failed = True
        except Exception:  # noqa: BLE001 - a thread that ends here would cost a living worker its lease
            self._failed = True
            _log.exception("The heartbeat failed in an unexpected way and goes on")
        else:
            if self._failed:
                _log.info("The heartbeat reaches the store again")
            self._renewed, self._failed = begun, False
            if not alive:
                self._on_lost()
