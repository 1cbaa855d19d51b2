"""The metrics of an engine, gathered when somebody asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from windlass.clock import micros
from windlass.engine.metrics.history import History
from windlass.engine.metrics.standing import standing
from windlass.model.metric import Figures, Series
from windlass.settings import Settings
from windlass.store.event_cursor import newest_cursor
from windlass.store.meter import CommitMeter
from windlass.store.store import Store

#: Seconds that counting events may take while somebody waits; the rest is counted the next time.
PATIENCE: Final = 2.0
#: Seconds that gauges of the store are good for, and how many times as long as reading them took.
FRESH: Final = 2.0
_SHARE: Final = 20

Source = Callable[[], Figures]


@dataclass(slots=True)
class Metrics:
    """Everything that is known of an engine as figures; costs nothing while nobody asks."""

    #: Further figures of this process: each is asked for whatever it has, by names of `families`.
    sources: list[Source] = field(default_factory=list)
    history: History = field(default_factory=History)
    _standing: Figures = field(default_factory=dict)
    _fresh_until: float = 0.0
    #: True where another server told the figures of the store when this one was asked last.
    _followed: bool = False
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def begin(self, cursor: str, settings: Settings) -> None:
        """Count the events behind a cursor; whoever owns the store says so before it does anything."""
        self.history = History(named=settings.metrics_jobs, reached=cursor)

    async def collect(self, store: Store, settings: Settings, *, leads: bool = True) -> Figures:
        """Return all figures of this moment: where several servers share a store, those of the store from one alone.

        `leads` says whether this is the one. Raises Unavailable where the store cannot be read.
        """
        async with self._asking:
            if not leads:
                self._followed = True
                return self._own(store)
            if self._followed and self.history.reached is not None:  # what was until now the other one has counted
                self.history.reached = await store.read(newest_cursor)
            self._followed = False
            await self._count(store)
            if time.monotonic() >= self._fresh_until:
                started = time.monotonic()
                self._standing = await store.read(standing, micros(settings.heartbeat), micros(settings.lease))
                now = time.monotonic()
                self._fresh_until = now + max(FRESH, _SHARE * (now - started))
            return {
                **self.history.counted,
                **self._standing,
                "windlass_events_uncounted": {(): float(self.history.behind)},
                **self._own(store),
            }

    def _own(self, store: Store) -> Figures:
        """Return the figures of this process."""
        figures: dict[str, Series] = {**_commits(store.meter)}
        for source in self.sources:
            figures |= source()
        return figures

    async def count_all(self, store: Store) -> None:
        """Count what happened up to now, before runs leave: what they did cannot be read afterwards."""
        async with self._asking:
            if self.history.reached is not None:
                while (await store.read(self.history.read))():
                    pass

    async def _count(self, store: Store) -> None:
        """Count what happened since the last time, for as long as that may take."""
        if self.history.reached is None:
            return
        end = time.monotonic() + PATIENCE
        while (await store.read(self.history.read))() and time.monotonic() < end:
            pass


def _commits(meter: CommitMeter) -> Figures:
    return {
        "windlass_store_transaction_seconds": {(): meter.seconds},
        "windlass_store_flush_seconds": {(): meter.flushes},
        "windlass_store_transaction_units": {(): meter.units},
    }
