"""Events as an application follows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING, Any, Self

from windlass.errors import Unavailable
from windlass.sdk.absences import through_absences

if TYPE_CHECKING:
    from windlass.sdk.backend import Backend


class Subscription:
    """Events from the moment of the subscription on, in order and without gaps; ends when the application is closed.

    A store that goes away is waited for, and nothing is missed or told twice; see `windlass.sdk.absences`.
    """

    def __init__(
        self, backend: Backend, types: Collection[str], run_id: str | None, after: str | None, reconnect: float
    ) -> None:
        """Follow events of `types` (none: all) and of one run (None: of all), those behind the cursor `after`.

        An absence of the store may last `reconnect` seconds.
        """
        self._reconnect = reconnect
        self._backend = backend
        self._types = types
        self._run_id = run_id
        #: Done once it is known where this begins.
        self.begun: asyncio.Task[str] = asyncio.create_task(_begin(backend, after))
        self._events: AsyncIterator[dict[str, Any]] | None = None

    def __aiter__(self) -> Self:
        """Go over the events."""
        return self

    async def __anext__(self) -> dict[str, Any]:
        """Return the next event, once there is one: `seq`, `type`, `runId`, `taskId`, `at`, `cursor`, `data`."""
        try:
            if self._events is None:
                after = await asyncio.shield(self.begun)
                self._events = self._follow(after)
            return await anext(self._events)
        except Unavailable:
            if self._backend.closed:
                raise StopAsyncIteration from None
            raise

    async def _follow(self, after: str) -> AsyncIterator[dict[str, Any]]:
        """Yield what comes behind `after`; raises Unavailable where the store stays away."""
        begin = lambda: self._backend.events(after, run_id=self._run_id, types=self._types)  # noqa: E731 - as it is then
        async for event in through_absences(begin, self._backend, self._reconnect):
            after = event["cursor"]
            yield event

    async def aclose(self) -> None:
        """Stop following; a second call does nothing."""
        self.begun.cancel()
        close = getattr(self._events, "aclose", None)
        if close is not None:
            await close()


async def _begin(backend: Backend, after: str | None) -> str:
    return await backend.newest() if after is None else after
