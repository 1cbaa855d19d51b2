"""The heartbeat of a worker, from a thread of its own: a busy event loop must not cost a lease."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from windlass.errors import Unavailable

_log = logging.getLogger(__name__)

#: The part of a lease that may pass without a renewal before a worker gives up what may start elsewhere; the rest is
#: for ending that.
PATIENCE: Final = 0.5
#: Seconds until a beat that did not get through is tried again: a store that is back is heard of before it is too late.
AGAIN: Final = 0.5


class Heartbeat:
    """Calls `renew` every `interval` seconds until it is stopped."""

    def __init__(
        self,
        renew: Callable[[], bool],
        *,
        interval: float,
        on_lost: Callable[[], object],
        lease: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; `on_lost` is called from the thread whenever `renew` says that the worker was found gone.

        `lease` is how many seconds after a renewal others may take the worker for gone; None where nobody does.
        """
        self._renew = renew
        self._interval = interval
        self._on_lost = on_lost
        self._lease = lease
        self._clock = clock
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        #: When the last renewal was asked for that succeeded, and whether one has failed since.
        self._renewed = clock()
        self._failed = False

    @property
    def expiring(self) -> bool:
        """Say whether the lease ends soon and cannot be renewed.

        A store that has not answered yet does not count: only one that has said no, or cannot be reached.
        """
        if self._lease is None or not self._failed:
            return False
        return self._clock() - self._renewed >= self._lease * PATIENCE

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
        while not self._ended.wait(min(self._interval, AGAIN) if self._failed else self._interval):
            self.beat()

    def beat(self) -> None:
        """Renew once; whatever goes wrong, the next beat comes."""
        begun = self._clock()
        try:
            alive = self._renew()
        except Unavailable as error:
            self._failed = True
            _log.warning("The heartbeat did not reach the store: %s", error)
        except Exception:  # noqa: BLE001 - a thread that ends here would cost a living worker its lease
            self._failed = True
            _log.exception("The heartbeat failed in an unexpected way and goes on")
        else:
            self._renewed, self._failed = begun, False
            if not alive:
                self._on_lost()
