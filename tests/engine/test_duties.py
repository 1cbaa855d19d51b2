"""Duties: each is done by one of the servers that share a store, whatever becomes of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from tests.fixtures.pair import Pair
from tests.oracle.world import World
from windlass.clock import micros
from windlass.engine.doctor import examine
from windlass.engine.duty import Duties
from windlass.engine.present import duties_now
from windlass.engine.watch import Watch
from windlass.store.duties import HeldDuty, give_up_duties, held_duties
from windlass.store.transaction import Transaction

LEASE = 15.0
PATIENCE = 30.0


@dataclass
class Work:
    """A duty that tells of its turns."""

    name: str = "work"
    turns: int = 0
    taken: asyncio.Event = field(default_factory=asyncio.Event)

    async def turn(self) -> float:
        self.turns += 1
        self.taken.set()
        return 3600.0


async def rows(pair: Pair) -> list[HeldDuty]:
    return await pair.here.store.read(held_duties)


def two(pair: Pair) -> tuple[Duties, Duties]:
    return pair.duties(pair.here, "here", Work()), pair.duties(pair.there, "there", Work())


async def test_who_comes_first_has_it_and_keeps_it_by_renewing(pair: Pair) -> None:
    here, there = two(pair)
    await here.begin()
    begun = pair.world.clock.now()
    for _ in range(10):
        assert await there.turn() == LEASE / 3
        assert await here.turn() == LEASE / 3
        assert (here.held, there.held) == ({"work"}, frozenset())
        pair.world.clock.advance(LEASE / 3)
    last = pair.world.clock.now() - micros(LEASE / 3)
    assert await rows(pair) == [HeldDuty("work", "here", begun, last + micros(LEASE))]


async def test_at_an_orderly_end_the_next_one_has_it_at_once(pair: Pair) -> None:
    here, there = two(pair)
    await here.begin()
    await there.begin()
    woken = asyncio.Event()
    pair.there.store.on_hint("duties", woken.set)
    await here.give_up()
    async with asyncio.timeout(PATIENCE):
        await woken.wait()
    await there.turn()
    assert (here.held, there.held) == (frozenset(), {"work"})
    await here.give_up()  # a second time: what is another one's stays
    assert there.held == {"work"}
    assert [duty.holder for duty in await rows(pair)] == ["there"]


async def test_what_is_not_renewed_is_taken_over_once_the_lease_has_run_out(pair: Pair) -> None:
    here, there = two(pair)
    await here.begin()
    pair.world.clock.advance(LEASE - 0.001)
    await there.turn()
    assert (here.held, there.held) == ({"work"}, frozenset())
    pair.world.clock.advance(0.001)
    assert here.held == frozenset()  # without asking anybody
    await there.turn()
    assert there.held == {"work"}
    await here.turn()
    assert (here.held, there.held) == (frozenset(), {"work"})
    assert (await rows(pair))[0].since == pair.world.clock.now()


async def test_who_is_late_and_finds_it_free_goes_on(pair: Pair) -> None:
    here, _ = two(pair)
    await here.begin()
    pair.world.clock.advance(10 * LEASE)
    assert here.held == frozenset()
    await here.turn()
    assert here.held == {"work"}


async def test_of_many_who_take_it_at_once_one_has_it(pair: Pair) -> None:
    everybody = [pair.duties(pair.both[number % 2], f"server {number}", Work()) for number in range(20)]
    await asyncio.gather(*(one.turn() for one in everybody))
    assert sum(len(one.held) for one in everybody) == 1
    pair.world.clock.advance(LEASE)
    await asyncio.gather(*(one.turn() for one in everybody))
    assert sum(len(one.held) for one in everybody) == 1


async def test_a_loop_runs_only_while_its_duty_is_held(pair: Pair) -> None:
    done, waits = Work(), Work()
    here, there = pair.duties(pair.here, "here"), pair.duties(pair.there, "there")
    runs, idles = here.service(done), there.service(waits)
    await here.begin()
    await there.begin()
    await asyncio.gather(runs.start(), idles.start())
    try:
        async with asyncio.timeout(PATIENCE):
            await done.taken.wait()
        idles.hint()
        pair.world.clock.advance(LEASE)
        done.taken.clear()
        runs.hint()  # its lease has run out: no turn follows
        assert waits.turns == 0
        await there.turn()
        async with asyncio.timeout(PATIENCE):
            await waits.taken.wait()
        assert done.turns == 1
    finally:
        await asyncio.gather(runs.stop(), idles.stop())


async def test_an_owner_who_is_alone_takes_over_at_once(world: World) -> None:
    pair = Pair(world, world.engine, world.engine)
    killed, next_one = two(pair)
    await killed.begin()
    await next_one.begin()
    assert next_one.held == {"work"}
    world.clock.advance(100 * LEASE)  # it cannot lose it either
    assert next_one.held == {"work"}
    assert [duty.holder for duty in await rows(pair)] == ["there"]


async def test_people_see_who_does_what_since_when(pair: Pair) -> None:
    here, there = two(pair)
    here.service(Work("other"))
    await here.begin()
    await there.begin()
    pair.world.clock.advance(1)
    await pair.world.worker()
    told = await pair.here.store.read(duties_now, pair.here)
    assert [(one["name"], one["holder"], one["since"], one["lapsed"]) for one in told] == [
        ("other", "here", "2025-06-15T15:06:40.000000Z", False),
        ("work", "here", "2025-06-15T15:06:40.000000Z", False),
    ]
    found = [one.message for one in await examine(pair.there, version="0") if one.check == "duties"]
    assert found == ["other, work: done by here since 2025-06-15T15:06:40.000000Z"]
    pair.world.clock.advance(LEASE - 1)
    await pair.world.worker()
    found = [one.message for one in await examine(pair.there, version="0") if one.check == "duties"]
    assert len(found) == 2
    assert found[1].startswith("nobody does the duty of the work since 2025-06-15T15:06:55.000000Z; ")


async def test_where_an_owner_is_dead_nobody_has_what_he_had(world: World) -> None:
    await Pair(world, world.engine, world.engine).duties(world.engine, "dead", Work()).begin()
    (told,) = await world.engine.store.read(duties_now, world.engine)
    assert told["lapsed"]
    world.engine.parts["duties"] = lambda: None  # but this process does the work
    (told,) = await world.engine.store.read(duties_now, world.engine)
    assert not told["lapsed"]


async def test_giving_up_tells_the_others_even_where_nothing_was_held(pair: Pair) -> None:
    def unit(tx: Transaction) -> set[str]:
        give_up_duties(tx, "nobody")
        return tx.hints

    assert await pair.here.store.run(unit) == {"duties"}


@pytest.mark.parametrize("outage", [7.4, 7.6])
def test_a_gap_gives_workers_a_fresh_lease(outage: float) -> None:
    watch, now = Watch(micros(LEASE)), 10**12
    for _ in range(4):
        watch.look(now, now)
        now += micros(5)
    now += micros(outage - 5)
    assert watch.has_lasted(now, now) == (outage < LEASE / 2)
    watch.look(now, now)
    later = now + micros(LEASE / 2)
    watch.look(later, later)
    assert watch.has_lasted(now + micros(LEASE), now + micros(LEASE))


def test_a_store_whose_clock_was_set_gives_workers_a_fresh_lease() -> None:
    watch, now = Watch(micros(LEASE)), 10**12
    assert not watch.has_lasted(now, now)
    for _ in range(4):
        watch.look(now, now)
        now += micros(5)
    assert watch.has_lasted(now, now)
    assert not watch.has_lasted(now + micros(3600), now)
    assert not watch.has_lasted(now - micros(3600), now)
