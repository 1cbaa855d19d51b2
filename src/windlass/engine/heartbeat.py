"""The heartbeat of a worker, from a thread of its own: a busy event loop must not cost a lease."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from windlass.errors import Unavailable

_log = logging.getLogger(__name__)


class Heartbeat:
    """Calls `renew` every `interval` seconds until it is stopped."""

    def __init__(self, renew: Callable[[], bool], *, interval: float, on_lost: Callable[[], object]) -> None:
        """Prepare; `on_lost` is called from the thread whenever `renew` says that the worker was found gone."""
        self._renew = renew
        self._interval = interval
        self._on_lost = on_lost
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; starting twice is fine."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._beat, name="windlass-heartbeat", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End; stopping twice, or without having started, is fine."""
        self._ended.set()

    def _beat(self) -> None:
        while not self._ended.wait(self._interval):
            try:
                if not self._renew():
                    self._on_lost()
            except Unavailable as error:
                _log.warning("The heartbeat did not reach the store: %s", error)
            except Exception:  # noqa: BLE001 - a thread that ends here would cost a living worker its lease
                _log.exception("The heartbeat failed in an unexpected way and goes on")
