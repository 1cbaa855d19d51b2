"""What came of a commit that was not answered, also where the server died over it and gave its number out again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from asyncpg.connection import Connection
from sqlalchemy import insert, select

from tests.faults.fleet.database import Database, End
from tests.oracle.crash import until
from windlass.errors import Unavailable
from windlass.store.open import open_store
from windlass.store.postgres.fate import Recovery, fate
from windlass.store.tables import store_info
from windlass.store.transaction import Transaction


@pytest.mark.parametrize(
    ("status", "recovery", "said"),
    [
        ("committed", None, True),
        ("aborted", None, False),
        ("in progress", None, None),
        (None, None, None),
        ("committed", Recovery(101, first=True), True),
        ("committed", Recovery(100, first=True), False),
        ("committed", Recovery(90, first=False), False),
        ("in progress", Recovery(90, first=True), False),
        ("committed", Recovery(200, first=False), None),
        ("aborted", Recovery(200, first=False), False),
        ("in progress", Recovery(200, first=False), None),
    ],
)
def test_what_is_known_of_a_transaction_with_the_number_100(
    status: str | None, recovery: Recovery | None, *, said: bool | None
) -> None:
    assert fate(100, status, recovery) is said


def keys(tx: Transaction) -> set[str]:
    return set(tx.connection.execute(select(store_info.c.key)).scalars()) - {"id", "created_at", "floor"}


async def _others(url: str, count: int) -> None:
    connection = await asyncpg.connect(url)
    for number in range(count):
        await connection.execute("INSERT INTO store_info VALUES ($1, '')", f"other {number}")
    await connection.close()


async def _commit(
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    instead: Callable[[], None],
    *,
    arrives: bool,
    before: Callable[[], None] = lambda: None,
) -> int:
    """Let a unit be committed, and `instead` of the answer something happens; return how often the unit ran.

    What happens `before` is when the store is there and holds something.
    """
    runs: list[Any] = []
    execute = Connection.execute

    async def cut(raw: Any, sql: str, *args: Any, **more: Any) -> Any:
        if "COMMIT" not in sql or raw is not runs[0] or len(runs) > 1:
            return await execute(raw, sql, *args, **more)
        if arrives:
            await execute(raw, sql)
        await asyncio.to_thread(instead)
        raw.terminate()
        raise ConnectionResetError

    def once(tx: Transaction) -> None:
        runs.append(tx.cursor._connection)  # type: ignore[attr-defined]
        tx.connection.execute(insert(store_info), {"key": "ours", "value": ""})

    async with await open_store(url, version="0") as opened:
        await opened.store.run(lambda tx: tx.connection.execute(insert(store_info), {"key": "first", "value": ""}))
        await asyncio.to_thread(before)
        await opened.store.run(lambda tx: tx.connection.execute(insert(store_info), {"key": "second", "value": ""}))
        monkeypatch.setattr(Connection, "execute", cut)
        await opened.store.run(once)
        assert {"first", "ours"} <= await opened.store.read(keys)
    return len(runs)


@pytest.mark.fault("F4")
@pytest.mark.parametrize("how", ["kill", "immediate"])
@pytest.mark.parametrize("arrives", [False, True])
async def test_a_number_that_a_killed_server_gave_to_another_tells_nothing_of_ours(
    pg: Database, monkeypatch: pytest.MonkeyPatch, how: End, *, arrives: bool
) -> None:
    url = await asyncio.to_thread(pg.make)

    def die_and_go_on() -> None:
        pg.restart(how)
        asyncio.run(_others(url, 5))

    assert await _commit(url, monkeypatch, die_and_go_on, arrives=arrives) == (1 if arrives else 2)


@pytest.mark.fault("F4")
async def test_where_nobody_knows_what_came_of_a_commit_it_is_said_so(
    pg: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has died and has made a checkpoint since: it may have given the number to another before that."""
    url = await asyncio.to_thread(pg.make)
    monkeypatch.setattr("windlass.store.postgres.lane._SEARCH", 0.5)

    def die_and_forget() -> None:
        pg.restart("kill")
        asyncio.run(_others(url, 5))
        pg.execute("CHECKPOINT", database=urlsplit(url).path[1:])

    with pytest.raises(Unavailable, match="look whether the change was made"):
        await _commit(url, monkeypatch, die_and_forget, arrives=True)


@pytest.mark.fault("F4")
async def test_figures_that_somebody_set_back_are_no_crash(pg: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    url = await asyncio.to_thread(pg.make)

    def set_back() -> None:
        pg.execute("SELECT pg_stat_reset_shared('wal')", database=urlsplit(url).path[1:])

    assert await _commit(url, monkeypatch, set_back, arrives=True) == 1


def _settle(pg: Database) -> None:
    """Wait until a replica that took over has made its first checkpoint, with which it says what it goes on with."""
    asked = "SELECT timeline_id, pg_walfile_name(pg_current_wal_lsn()) FROM pg_control_checkpoint()"
    until(lambda: pg.execute(asked)[0][0] == int(pg.execute(asked)[0][1][:8], 16), "its first checkpoint")


@pytest.mark.fault("F4")
async def test_a_number_that_a_replica_gave_to_another_tells_nothing_of_ours(
    pg: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replica that took over has not heard of the commit; what was committed there has its number."""
    url = await asyncio.to_thread(pg.make)
    copies: list[Path] = []

    def take_over() -> None:
        pg.fail_over(copies[0])
        _settle(pg)
        asyncio.run(_others(url, 5))

    assert await _commit(url, monkeypatch, take_over, arrives=True, before=lambda: copies.append(pg.copy())) == 2


@pytest.mark.fault("F4")
async def test_where_a_replica_cannot_tell_what_came_of_a_commit_it_is_said_so(
    pg: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await asyncio.to_thread(pg.make)
    monkeypatch.setattr("windlass.store.postgres.lane._SEARCH", 1.0)
    copies: list[Path] = []

    def take_over_and_forget() -> None:
        pg.fail_over(copies[0])
        asyncio.run(_others(url, 5))
        pg.execute("CHECKPOINT")

    with pytest.raises(Unavailable, match="look whether the change was made"):
        await _commit(url, monkeypatch, take_over_and_forget, arrives=True, before=lambda: copies.append(pg.copy()))
