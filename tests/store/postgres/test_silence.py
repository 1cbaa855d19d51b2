"""Connections that go silent while the database is reachable: a firewall has forgotten them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import asyncpg
import pytest

from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.fixtures.trips import Trips, counted
from windlass.store.open import open_store
from windlass.store.postgres import lane, link, silent
from windlass.store.postgres.store import PostgresStore
from windlass.store.transaction import Transaction, beside_others, by_itself

#: Seconds within which what must happen has to: far less than a statement may take that waits for others.
DEADLINE = 20


@pytest.fixture
def relay(postgres: PostgresServer, tmp_path: Path) -> Iterator[Trips]:
    with counted(tmp_path, postgres.folder / ".s.PGSQL.5432") as found:
        yield found


@pytest.fixture
async def store(postgres: PostgresServer, relay: Trips, tmp_path: Path) -> AsyncIterator[PostgresStore]:
    assert relay.taken() == 0
    name = in_a_loop(postgres.made())
    async with await open_store(f"postgresql://windlass@/{name}?host={tmp_path}&connections=2", version="0") as opened:
        yield cast("PostgresStore", opened.store)
    in_a_loop(postgres.drop(name))


def ask(tx: Transaction) -> int:
    return int(tx.cursor.execute("SELECT 7").fetchone()[0])


async def test_a_heartbeat_comes_through_within_its_lease(store: PostgresStore, relay: Trips) -> None:
    store.keep_leases(4.0)
    beat = by_itself(ask)
    assert await asyncio.to_thread(store.run_blocking, beat) == 7
    relay.forget()
    assert await asyncio.wait_for(asyncio.to_thread(store.run_blocking, beat), DEADLINE) == 7
    relay.forget()
    assert await asyncio.wait_for(store.run(beat), DEADLINE) == 7


async def test_changes_and_readings_go_on_by_other_connections(
    store: PostgresStore, relay: Trips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "_BEGUN", 1.0)
    await store.run(beside_others(ask))
    await store.read(ask)
    relay.forget()
    assert await asyncio.wait_for(store.run(beside_others(ask)), DEADLINE) == 7
    assert await asyncio.wait_for(store.read(ask), DEADLINE) == 7


async def test_a_reading_whose_end_is_not_answered_holds_up_no_other(
    store: PostgresStore, relay: Trips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "_BEGUN", 1.0)

    def last(tx: Transaction) -> int:
        found = ask(tx)
        relay.forget()
        return found

    assert await store.read(last) == 7
    assert await asyncio.wait_for(store.read(ask), DEADLINE) == 7


@pytest.mark.fault("F14")
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside"])
async def test_a_session_that_stopped_within_a_statement_is_cut_off(
    postgres: PostgresServer, store: PostgresStore, monkeypatch: pytest.MonkeyPatch, *, beside: bool
) -> None:
    monkeypatch.setitem(link._LIMITS, "lock_timeout", "300")
    monkeypatch.setattr(silent, "SILENCE", 0.1)
    monkeypatch.setattr(lane, "_PATIENCE", 0.2)
    name = await store.read(lambda tx: tx.cursor.execute("SELECT current_database()").fetchone()[0])
    stopped = await asyncpg.connect(postgres.direct_url(name))
    honest = await asyncpg.connect(postgres.direct_url(name))
    await honest.execute("BEGIN")
    await stopped.execute("BEGIN")
    await stopped.execute(f"SELECT pg_advisory_xact_lock({lane.STORE_LOCK})")
    await stopped.prepare("SELECT 1")  # what would end the message never comes
    unit = (lambda tx: ask(tx)) if not beside else beside_others(lambda tx: ask(tx))  # noqa: PLW0108 - marks stay
    assert await asyncio.wait_for(store.run(unit), DEADLINE) == 7
    assert stopped.is_closed()
    await honest.execute("COMMIT")
    await honest.close()
