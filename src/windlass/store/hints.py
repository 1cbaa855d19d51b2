"""Who wants to hear that something changed: listeners by name, each on its own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable


class Hints:
    """Listeners by name, each with the loop that it is called on; asked from any thread."""

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

    def names(self) -> list[str]:
        """Return every name that somebody listens to."""
        return list(self._listeners)

    def listeners(self, names: Iterable[str]) -> dict[asyncio.AbstractEventLoop, list[Callable[[], None]]]:
        """Return who listens to any of `names`, each once, by their loops."""
        found: dict[asyncio.AbstractEventLoop, dict[Callable[[], None], None]] = {}
        for name in names:
            for loop, listener in tuple(self._listeners.get(name, ())):
                found.setdefault(loop, {})[listener] = None
        return {loop: list(calls) for loop, calls in found.items()}
