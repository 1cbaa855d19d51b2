"""What every use case works with: the store, ids, settings and compiled jobs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from windlass.clock import Clocks, read_clocks
from windlass.engine.auditing.chain import AuditChain
from windlass.engine.compiled import JobCache
from windlass.engine.fan import FanCache
from windlass.engine.metrics.metrics import Metrics
from windlass.engine.room import Room
from windlass.engine.sealing.keyring import Keyring
from windlass.engine.sealing.known import keyring_of
from windlass.engine.swept import SweepTotals
from windlass.engine.tracing import Tracer
from windlass.ids import IdSource
from windlass.model.catalog import StepCatalog
from windlass.settings import Settings
from windlass.store.store import Store

if TYPE_CHECKING:
    from windlass.engine.remote.work import RemoteWork


@dataclass(slots=True, kw_only=True)
class Engine:
    """The parts that use cases share; made once, by the composition root or an application."""

    store: Store
    ids: IdSource
    settings: Settings
    jobs: JobCache
    catalog: StepCatalog
    fans: FanCache = field(default_factory=FanCache)
    #: What runs beside the store in this process, by name; each says what is wrong with it, None where nothing is.
    parts: dict[str, Callable[[], str | None]] = field(default_factory=dict)
    #: Numbers in [0, 1) that spread retries.
    chance: Callable[[], float] = field(default=random.random)
    #: The clock of the store beside one that nobody sets.
    clocks: Callable[[], Clocks] = read_clocks
    metrics: Metrics = field(default_factory=Metrics)
    #: Held by whoever moves runs to the archive or back in this process; see `engine.moving`.
    archiving: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: Room on the disks of the store; always enough in memory.
    room: Room = field(default_factory=Room)
    #: What the archiver did since this engine was made.
    swept: SweepTotals = field(default_factory=SweepTotals)
    #: Makes spans of runs, where somebody wants them.
    tracer: Tracer | None = None
    #: True where no other process can be on the store: this one owns its file, or has it in memory.
    alone: bool = True
    #: What the home of this process calls itself, where files of runs lie in homes; see `engine.homes`.
    home: str | None = None
    #: Says whether this process, of all that share the store, tells its figures; see `engine.duty`.
    leads: Callable[[], bool] = lambda: True
    #: The same of the spans that are sent.
    sends_spans: Callable[[], bool] = lambda: True
    #: What workers in other processes speak to, where any may.
    remote: RemoteWork | None = None
    #: Seals what nobody may read who has the database alone.
    keyring: Keyring = field(init=False)
    #: Keeps who did what.
    audit: AuditChain = field(init=False)

    def __post_init__(self) -> None:
        """Get ready to seal, and to keep who did what; no key is read before one is needed."""
        self.keyring = keyring_of(self.settings, self.ids, self.store.kind)
        self.audit = AuditChain(self.keyring)
        self.store.noting.way = self.audit.keep

    def rank(self, due: int, priority: int) -> int:
        """Return the place in the queue: due, less the weight of the priority, in microseconds."""
        return due - round(priority * self.settings.priority_weight * 1_000_000)
