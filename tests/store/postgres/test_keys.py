"""Keys that have ended, while a caller's own transaction that lasts puts others in their place: nobody waits for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from windlass.errors import Conflict
from windlass.store.keys import drop_ended_keys, drop_keys_of, keep_key, kept_key
from windlass.store.postgres.store import PostgresStore
from windlass.store.transaction import Transaction, beside_others, may_run_beside

OLD, NEW, OTHER = (bytes([number]) * 16 for number in (1, 2, 3))

pytestmark = [pytest.mark.promise("K01"), pytest.mark.timeout(60)]


def ended(tx: Transaction) -> None:
    for key in ("nightly", "weekly"):
        keep_key(tx, "default", key, "asked", OLD, tx.now)


@beside_others
def keep(tx: Transaction, run_id: bytes) -> None:
    assert kept_key(tx, "default", "nightly") is None
    keep_key(tx, "default", "nightly", "asked", run_id, tx.now + 10**9)


def kept(tx: Transaction) -> tuple[bytes, str] | None:
    return kept_key(tx, "default", "nightly")


def runs(tx: Transaction) -> list[bytes]:
    return [row[0] for row in tx.cursor.execute("SELECT run_id FROM idempotency_keys ORDER BY key", ())]


def impatient(tx: Transaction) -> None:
    """Have whoever waits for a lock fail soon, where the store would give it far longer."""
    tx.cursor.execute("SET LOCAL lock_timeout = 2000", ())


@asynccontextmanager
async def lasting(store: PostgresStore, url: str) -> AsyncIterator[asyncpg.transaction.Transaction]:
    """Begin a transaction of somebody's own that puts a key in the place of one that has ended; undone in the end."""
    async with AsyncExitStack() as stack:
        connection = await asyncpg.connect(url)
        stack.push_async_callback(connection.close)
        transaction = connection.transaction()
        await transaction.start()
        await store.run_within(connection, keep, NEW)
        yield transaction


@pytest.fixture
async def store(postgres_store: PostgresStore) -> PostgresStore:
    """Return a store with two keys that have just ended."""
    await postgres_store.run(ended)
    return postgres_store


def soon(tx: Transaction) -> int:
    impatient(tx)
    return drop_ended_keys(tx)


def soon_of(tx: Transaction, run_id: bytes) -> None:
    impatient(tx)
    drop_keys_of(tx, run_id)


@beside_others
def keep_soon(tx: Transaction, run_id: bytes) -> None:
    impatient(tx)
    keep(tx, run_id)


async def test_keys_that_have_ended_are_dropped_beside_it(store: PostgresStore, postgres_url: str) -> None:
    assert may_run_beside(drop_ended_keys)
    async with lasting(store, postgres_url) as transaction:
        assert await store.run(soon) == 1
        assert await store.read(runs) == [OLD]
        await transaction.rollback()
    assert await store.run(drop_ended_keys) == 1
    assert await store.read(runs) == []


async def test_a_run_is_let_go_beside_it(store: PostgresStore, postgres_url: str) -> None:
    async with lasting(store, postgres_url) as transaction:
        await store.run(soon_of, OLD)
        await transaction.commit()
    assert await store.read(runs) == [NEW]
    await store.run(drop_keys_of, NEW)
    assert await store.read(runs) == []


async def test_who_asks_for_the_key_is_told_at_once(store: PostgresStore, postgres_url: str) -> None:
    async with lasting(store, postgres_url) as transaction:
        with pytest.raises(Conflict, match="a transaction that has not ended"):
            await store.run(keep_soon, OTHER)
        await transaction.rollback()
    await store.run(keep_soon, OTHER)
    assert (await store.read(kept) or (b"",))[0] == OTHER
