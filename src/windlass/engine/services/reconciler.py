"""Looks at everything that is not final, page by page, and moves what nobody else would.

Two reconcilers do no harm: whatever is suspect is looked at again in the transaction that puts it right.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from windlass.clock import SECOND, micros
from windlass.engine.admission import admit_all
from windlass.engine.engine import Engine
from windlass.engine.mending import mend_run, suspects
from windlass.engine.recovery import settle_gone
from windlass.engine.timing import wake_due
from windlass.engine.watch import Watch
from windlass.store import mending as stored
from windlass.store import stuck, workers
from windlass.store.mending import Standing
from windlass.store.transaction import Transaction

_log = logging.getLogger(__name__)

#: Seconds between the end of a look at everything and the next one, and between two pages.
PERIOD: Final = 60.0
PAUSE: Final = 0.1
#: Seconds until the first look: a command that owns the store for a moment only takes none.
FIRST: Final = 2.0
#: Runs, and rows of the queue, in a page.
RUNS: Final = 200
ROWS: Final = 2_000
#: Seconds that another service may be late before this one does its work.
PATIENCE: Final = 60.0
#: Most looks at what is late in one turn; each takes a batch.
_LOOKS: Final = 20

#: Comes before every run.
FIRST_RUN: Final = (-(2**63), b"")


@dataclass(slots=True)
class Reconciler:
    """The duty of everything that no other duty will move."""

    engine: Engine
    #: The workers of this process.
    own: Callable[[], Collection[int]] = tuple
    #: Since when workers could renew; None where they always could.
    watch: Watch | None = None
    name: str = "reconciler"
    _runs_after: tuple[int, bytes] | None = FIRST_RUN
    _rows_after: int = 0
    _begun: bool = False

    async def turn(self) -> float:
        """Look at one page; return the seconds until the next. The first turn looks at nothing."""
        if not self._begun:
            self._begun = True
            return FIRST
        if self._runs_after is not None:
            page, found = await self.engine.store.read(_page, self.engine, self._runs_after)
            await self._mend(found)
            self._runs_after = (page[-1].deadline, page[-1].id) if len(page) == RUNS else None
            return PAUSE if page else 0.0
        found, after = await self.engine.store.read(stored.rows_of_no_run, self._rows_after, ROWS)
        await self._mend(found)
        self._rows_after = after or 0
        if after is not None:
            return PAUSE
        self._runs_after = FIRST_RUN
        await self._look_after_others()
        return PERIOD

    async def whole(self) -> int:
        """Look at everything once, from the beginning; return how many runs were put right."""
        mended, after = 0, FIRST_RUN
        while True:
            page, found = await self.engine.store.read(_page, self.engine, after)
            if not page:
                break
            mended += await self._mend(found)
            after = (page[-1].deadline, page[-1].id)
        row: int | None = 0
        while row is not None:
            found, row = await self.engine.store.read(stored.rows_of_no_run, row, ROWS)
            mended += await self._mend(found)
        return mended + await self.engine.store.run(admit_all, self.engine)

    async def _mend(self, run_ids: Sequence[bytes]) -> int:
        mended = 0
        for run_id in run_ids:
            done = await self.engine.store.run(mend_run, self.engine, run_id)
            mended += done is None or bool(done)
        return mended

    async def _look_after_others(self) -> None:
        """Do what the timer and the rescuer should have done long ago."""
        late = await self.engine.store.read(_late)
        if late:
            _log.error(
                "The timer has not looked at %d tasks or runs whose time has come; done in its place",
                late,
            )
            for _ in range(_LOOKS):
                await self.engine.store.run(wake_due, self.engine)
                if not await self.engine.store.read(_late):
                    break
        admitted = await self.engine.store.run(admit_all, self.engine)
        if admitted:
            _log.error("%d runs waited for places that were free; they were let in", admitted)
        own = self.own()
        if await self.engine.store.read(_silent, self.engine, own, self.watch):
            lost = await self.engine.store.run(settle_gone, self.engine, own)
            _log.error("Workers are gone for long; %d attempts that nobody had settled were lost with them", lost)


def _page(tx: Transaction, engine: Engine, after: tuple[int, bytes]) -> tuple[list[Standing], list[bytes]]:
    """Return the runs of a page, and those of them that are suspect: on one view, or all that moves would be."""
    page = stored.open_runs(tx, after, RUNS)
    return page, suspects(tx, engine, page)


def _late(tx: Transaction) -> int:
    before = tx.now - round(PATIENCE * SECOND)
    return (
        len(stuck.overdue_tasks(tx, before, 1))
        + len(stuck.overdue_runs(tx, before, 1))
        + len(stuck.untold_ends(tx, before, 1))
    )


def _silent(tx: Transaction, engine: Engine, own: Collection[int], watch: Watch | None) -> bool:
    if watch is not None and not watch.has_lasted(tx.now, engine.clocks().up):
        return False
    before = tx.now - micros(engine.settings.lease) - round(PATIENCE * SECOND)
    return any(worker_id not in own for worker_id, _ in workers.gone(tx, before))
