"""A store that names several servers: whichever takes writes is used, and the other once it does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.fixtures.postgres import ROLE, VERSION, PostgresServer, in_a_loop, replica_of, started
from windlass.errors import Unavailable
from windlass.store.open import OpenStore, open_store
from windlass.store.place import store_place
from windlass.store.postgres.link import Links
from windlass.store.transaction import Transaction


@pytest.fixture
def pair() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """Yield a server and its replica."""
    with started(VERSION) as first, replica_of(first) as second:
        yield first, second


def url_of(name: str, *servers: PostgresServer, **more: str) -> str:
    hosts = ",".join(str(server.folder) for server in servers)
    return f"postgresql://{ROLE}@/{name}?host={hosts}" + "".join(f"&{key}={value}" for key, value in more.items())


def folder(tx: Transaction) -> str:
    return str(tx.cursor.execute("SELECT current_setting('unix_socket_directories')").fetchone()[0])


def note(tx: Transaction, key: str) -> str:
    tx.cursor.execute("INSERT INTO store_info (key, value) VALUES (?, '')", (key,))
    return folder(tx)


def keys(tx: Transaction) -> set[str]:
    return {key for (key,) in tx.cursor.execute("SELECT key FROM store_info").fetchall()}


@pytest.fixture
async def both(pair: tuple[PostgresServer, PostgresServer]) -> AsyncIterator[OpenStore]:
    """Yield a store that names the replica first."""
    name = await pair[0].empty()
    await asyncio.to_thread(caught_up, pair, name)
    async with await open_store(url_of(name, pair[1], pair[0]), version="0") as opened:
        yield opened


def caught_up(pair: tuple[PostgresServer, PostgresServer], name: str) -> None:
    """Return once a replica has a database."""

    async def there() -> bool:
        connection = await pair[1].connect("postgres")
        try:
            return bool(await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", name))
        finally:
            await connection.close()

    while not in_a_loop(there()):
        pass


async def received(pair: tuple[PostgresServer, PostgresServer]) -> None:
    """Return once a replica has everything that its server has committed."""
    first, second = [await server.connect("postgres") for server in pair]
    end = await first.fetchval("SELECT pg_current_wal_flush_lsn()::text")
    while not await second.fetchval("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", end):
        pass
    for one in (first, second):
        await one.close()


@pytest.mark.fault("F4")
async def test_another_server_takes_over(pair: tuple[PostgresServer, PostgresServer], both: OpenStore) -> None:
    first, second = pair
    assert await both.store.run(note, "before") == str(first.folder)
    assert await both.store.read(folder) == str(first.folder)
    await received(pair)
    await asyncio.to_thread(first.end)
    going = asyncio.create_task(both.store.run(note, "meanwhile"))
    await second.execute("SELECT pg_promote()")
    assert await going == str(second.folder), "it was tried until one took it"
    assert {"before", "meanwhile"} <= await both.store.read(keys)


async def test_a_server_that_takes_no_writes_any_more_is_left(
    pair: tuple[PostgresServer, PostgresServer], both: OpenStore
) -> None:
    """It was set so without being started anew, so that connections to it stand."""
    first, second = pair
    await both.store.run(note, "before")
    await received(pair)
    await second.execute("SELECT pg_promote()")
    await first.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    connection = await first.connect("postgres")
    await connection.execute("SELECT pg_reload_conf()")
    while await connection.fetchval("SELECT current_setting('default_transaction_read_only')") != "on":
        pass
    await connection.close()
    assert await both.store.run(note, "after") == str(second.folder)


async def test_where_none_takes_writes_it_is_said_so(pair: tuple[PostgresServer, PostgresServer]) -> None:
    first, second = pair
    await asyncio.to_thread(first.end)
    with pytest.raises(Unavailable, match="none of its servers is one that `target_session_attrs` asks for"):
        await open_store(url_of("postgres", first, second), version="0")


async def test_a_silent_server_costs_each_new_connection_nothing_once_another_has_answered(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(tmp_path / ".s.PGSQL.5432"))
    silent.listen()
    asked: list[object] = []
    connect = asyncpg.connect

    async def noted(*args: object, **more: object) -> object:
        asked.append(more["host"])
        return await connect(*args, **more)

    monkeypatch.setattr(asyncpg, "connect", noted)
    place = store_place(f"postgresql://{ROLE}@/postgres?host={tmp_path},{postgres.folder}&connect_timeout=1").server
    assert place is not None
    links = Links(place)
    for _ in range(2):
        await (await links.dial()).close()
    assert asked == [str(tmp_path), str(postgres.folder), str(postgres.folder)]
    silent.close()


async def test_what_the_server_is_told_of_this_program(postgres: PostgresServer) -> None:
    name = await postgres.made()
    url = f"{postgres.direct_url(name)}&application_name=nightly&options=-c%20work_mem%3D5MB"
    async with await open_store(url, version="0") as opened:
        sql = "SELECT current_setting('application_name'), current_setting('work_mem')"
        assert tuple(await opened.store.read(lambda tx: tx.cursor.execute(sql).fetchone())) == ("nightly", "5MB")
    await postgres.drop(name)
