"""The right to move runs to the archive and back: one sweep or return at a time, of all processes on a store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from windlass.clock import micros
from windlass.engine.duty import holder_name
from windlass.engine.engine import Engine
from windlass.errors import Unavailable
from windlass.store.duties import give_up_duties, hold_duties
from windlass.store.transaction import Transaction

#: What stands for it among the duties.
RIGHT: Final = "archive"
#: Seconds between two tries while another process has it.
_AGAIN: Final = 0.5
_THIRD: Final = 3


@asynccontextmanager
async def moving_runs(engine: Engine, *, wait: bool = True) -> AsyncIterator[bool]:
    """Hold the right to move runs; without `wait` it may not be had, and False is given.

    Whoever shares the store with others holds it by a lease that is renewed: where it cannot be, the block is cancelled
    before the lease ends, and Unavailable is raised. What was moved by then is as a kill would have left it.
    """
    if not wait and engine.archiving.locked():
        yield False
        return
    async with engine.archiving:
        if engine.alone:
            yield True
            return
        holder = holder_name()
        end = await _taken(engine, holder) if wait else await _held_until(engine, holder)
        if end is None:
            yield False
            return
        try:
            async with asyncio.timeout_at(end) as lease:
                renewing = asyncio.create_task(_renew(engine, holder, lease), name="windlass-moving")
                try:
                    yield True
                finally:
                    renewing.cancel()
                    await asyncio.gather(renewing, return_exceptions=True)
        except TimeoutError:
            if not lease.expired():
                raise
            raise Unavailable("The right to move runs could not be kept: another server goes on.") from None
        finally:
            with suppress(Unavailable):  # it ends with its lease then
                await engine.store.run(give_up_duties, holder)


async def _taken(engine: Engine, holder: str) -> float:
    """Take the right, once nobody else has it; return until when it is ours."""
    changed = asyncio.Event()
    forget = engine.store.on_hint("duties", changed.set)
    try:
        while True:
            changed.clear()
            end = await _held_until(engine, holder)
            if end is not None:
                return end
            with suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN):
                    await changed.wait()
    finally:
        forget()


async def _held_until(engine: Engine, holder: str) -> float | None:
    """Take or renew the right; return until when it is ours by the clock of the loop, None where another one has it."""
    begun = asyncio.get_running_loop().time()
    ours = await engine.store.run(_hold, holder, micros(engine.settings.lease))
    return begun + engine.settings.lease if ours else None


def _hold(tx: Transaction, holder: str, lease: int) -> bool:
    return bool(hold_duties(tx, holder, (RIGHT,), lease))


async def _renew(engine: Engine, holder: str, lease: asyncio.Timeout) -> None:
    """Push the end of the lease on at a third of it; what cannot be reached is tried again until that end."""
    pause = engine.settings.lease / _THIRD
    while True:
        await asyncio.sleep(pause)
        try:
            end = await _held_until(engine, holder)
        except Unavailable:
            pause = min(pause, _AGAIN)
            continue
        pause = engine.settings.lease / _THIRD
        if not lease.expired():
            lease.reschedule(asyncio.get_running_loop().time() if end is None else end)
