"""Who wants to hear that something changed: listeners by name, called on their own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable


class Hints:
    """Listeners by name. Hints are given from any thread and arrive on the listener's loop."""

    def __init__(self) -> None:
        """Start with no listener."""
        self._listeners: dict[str, list[tuple[asyncio.AbstractEventLoop, Callable[[], None]]]] = {}

    def listen(self, name: str, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` on the running loop at each hint `name`; return how to end that."""
        entry = (asyncio.get_running_loop(), listener)
        self._listeners.setdefault(name, []).append(entry)

        def end() -> None:
            entries = self._listeners.get(name, [])
            if entry in entries:
                entries.remove(entry)

        return end

    def give(self, names: Iterable[str]) -> None:
        """Tell every listener of `names`."""
        for name in names:
            for loop, listener in tuple(self._listeners.get(name, ())):
                try:
                    loop.call_soon_threadsafe(listener)
                except RuntimeError:  # its loop is closed
                    continue
