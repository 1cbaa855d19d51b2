"""Who waits for news is woken where there may be something for him, and not with everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

import pytest

from windlass.engine.remote.bell import Awaited, Bell
from windlass.errors import Unavailable

DEADLINE = 20


@dataclass
class Ward:
    """Sleepers, each of whom serves one route, and a bell."""

    ready: set[int] = field(default_factory=set)
    trouble: Exception | None = None
    woken: list[int] = field(default_factory=list)
    bell: Bell = field(init=False)
    sleepers: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Hang the bell up."""
        self.bell = Bell(self.awaited)

    async def awaited(self) -> Awaited:
        if self.trouble is not None:
            raise self.trouble
        return Awaited("now", frozenset(self.ready))

    async def sleep(self, *routes: int) -> None:
        """Let somebody fall asleep for each of these routes."""
        for route in routes:
            self.sleepers.append(asyncio.create_task(self._sleep(route)))
        await asyncio.sleep(0)

    async def _sleep(self, route: int) -> None:
        def may_serve(changes: str | None, routes: Collection[int]) -> bool:
            return changes == "now" and route in routes

        await self.bell.wait(self.bell.seen, DEADLINE, may_serve)
        self.woken.append(route)
        self.ready.discard(route)  # he takes it

    async def until_woken(self, *routes: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while not set(routes) <= set(self.woken):
                await asyncio.wait(self.sleepers, return_when=asyncio.FIRST_COMPLETED)
                self.sleepers = [one for one in self.sleepers if not one.done()]

    async def close(self) -> None:
        self.bell.close()
        await asyncio.gather(*self.sleepers, return_exceptions=True)


async def test_a_few_are_woken_and_no_more_where_nothing_is_left() -> None:
    ward = Ward()
    await ward.sleep(*range(100))
    ward.ready = {2}
    ward.bell.ring()
    await ward.until_woken(0, 1, 2, 3)
    ward.ready = {99}  # another one: only who serves it is woken now
    ward.bell.ring()
    await ward.until_woken(99)
    assert len(ward.woken) <= 4 + 4 + 1
    await ward.close()


async def test_everybody_who_serves_what_waits_is_woken_as_long_as_it_waits() -> None:
    ward = Ward()
    await ward.sleep(*([7] * 50), 8)
    ward.ready = _Endless({7})
    ward.bell.ring()
    async with asyncio.timeout(DEADLINE):
        while ward.woken.count(7) < 50:
            await asyncio.wait(ward.sleepers, return_when=asyncio.FIRST_COMPLETED)
            ward.sleepers = [one for one in ward.sleepers if not one.done()]
    assert 8 not in ward.woken
    await ward.close()


class _Endless(set[int]):
    """Routes on which there are more tasks than anybody takes."""

    def discard(self, route: int, /) -> None:
        del route


async def test_all_are_woken_for_what_concerns_all_and_where_nobody_knows_what_waits() -> None:
    ward = Ward()
    await ward.sleep(*range(20))
    ward.bell.ring_all()
    await ward.until_woken(*range(20))
    await ward.sleep(*range(20, 40))
    ward.trouble = Unavailable("The store does not answer.")
    ward.bell.ring()
    await ward.until_woken(*range(20, 40))
    await ward.close()


async def test_who_has_not_heard_the_last_ring_does_not_sleep() -> None:
    ward = Ward()
    before = ward.bell.seen
    ward.bell.ring()
    assert await ward.bell.wait(before, DEADLINE, lambda *_: True) == ward.bell.seen
    assert await ward.bell.wait(ward.bell.seen, 0.0, lambda *_: True) == ward.bell.seen


async def test_nobody_waits_at_a_server_that_goes_away() -> None:
    ward = Ward()
    waiting = asyncio.create_task(ward.bell.wait(ward.bell.seen, DEADLINE, lambda *_: True))
    await asyncio.sleep(0)
    ward.bell.close()
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable):
        await ward.bell.wait(ward.bell.seen, DEADLINE, lambda *_: True)
