"""The output of a run, each chunk once, however often the stream of it breaks off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from windlass.client.client import Client


class Chunks:
    """Reads the output of a run, and remembers how far it came."""

    def __init__(self, run: str, **which: Any) -> None:
        """Read all of the output of `run`, or what `which` (step, key, attempt) asks for."""
        self._path = ("runs", run, "logs")
        self._which = which
        self._last: str | None = None
        self._seen: dict[tuple[str, int], int] = {}

    def read(self, client: Client, *, follow: bool) -> Iterator[dict[str, Any]]:
        """Yield the chunks that were not yielded before; with `follow` to the end of the run.

        One that the caller was handed and did not come back from counts as not yielded.
        """
        for event in client.events(
            *self._path, format="events", follow=follow, last_event_id=self._last, **self._which
        ):
            chunk: dict[str, Any] = event.json()
            attempt = (chunk["taskId"], chunk["attempt"])
            if chunk["seq"] > self._seen.get(attempt, -1):
                yield chunk
                self._seen[attempt] = chunk["seq"]
            self._last = event.id or self._last  # a long one is left out by the server; then it sends more than is new

    @property
    def empty(self) -> bool:
        """True where nothing was yielded yet."""
        return not self._seen
