"""Duties between servers that share a database: the row decides, by the database's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from windlass.store.duties import clear_duties, give_up_duties, held_duties, hold_duties
from windlass.store.open import open_store
from windlass.store.postgres.store import PostgresStore
from windlass.store.transaction import Transaction, beside_others

HOUR = 3_600_000_000
NAMES = ("timer", "rescuer", "tallier")


@pytest.fixture
async def servers(postgres_url: str) -> AsyncIterator[list[PostgresStore]]:
    """Give three servers on one database, on its own clock."""
    opened = [await open_store(postgres_url, version="0") for _ in range(3)]
    yield [one.store for one in opened if isinstance(one.store, PostgresStore)]
    for one in opened:
        await one.close()


@beside_others
def hold_beside(tx: Transaction, holder: str, lease: int) -> set[str]:
    """Take duties at the same time as others: whether a duty is free is asked by the change that takes it."""
    return hold_duties(tx, holder, NAMES, lease)


async def test_of_those_who_take_duties_at_once_one_has_each(servers: list[PostgresStore]) -> None:
    for _ in range(5):
        taken = [store.run(hold_beside, str(number), HOUR) for number, store in enumerate(servers)]
        found = await asyncio.gather(*taken)
        assert sorted(name for names in found for name in names) == sorted(NAMES)
        held = await servers[0].read(held_duties)
        assert {duty.name: duty.holder for duty in held} == {
            name: str(number) for number, names in enumerate(found) for name in names
        }
        await servers[1].run(clear_duties)


async def test_a_lease_is_measured_by_the_clock_of_the_database(servers: list[PostgresStore]) -> None:
    here, there, _ = servers
    assert await here.run(hold_duties, "here", NAMES, HOUR) == set(NAMES)
    assert await there.run(hold_duties, "there", NAMES, HOUR) == set()
    await here.run(lambda tx: tx.cursor.execute("UPDATE duties SET until = ? WHERE name = 'timer'", (tx.now,)))
    assert await there.run(hold_duties, "there", NAMES, HOUR) == {"timer"}
    assert await here.run(hold_duties, "here", NAMES, HOUR) == {"rescuer", "tallier"}
    await here.run(give_up_duties, "here")
    assert await there.run(hold_duties, "there", NAMES, HOUR) == set(NAMES)
