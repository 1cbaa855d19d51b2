"""Opening a store on PostgreSQL whose schema is not this program's: who changes it, and who works with it as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.older import make_older
from tests.fixtures.postgres import PostgresServer
from windlass.errors import Unavailable
from windlass.store.check import check
from windlass.store.migrations import HEAD, VERSIONS
from windlass.store.open import open_store
from windlass.store.upgrade import Upgrade


@pytest.fixture
async def empty(postgres: PostgresServer) -> AsyncIterator[str]:
    """Yield the URL of a database with nothing in it."""
    name = await postgres.empty()
    yield postgres.url(name)
    await postgres.drop(name)


async def tables(postgres: PostgresServer, url: str) -> int:
    connection = await postgres.connect(url.partition("?")[0].rpartition("/")[2])
    try:
        found: int = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        return found
    finally:
        await connection.close()


async def told_to_be_before(url: str) -> str:
    """Make a store that has all of this version and says that it is of the one before; return that."""
    async with await open_store(url, version="0") as opened:
        await opened.store.run(
            lambda tx: tx.cursor.execute("UPDATE alembic_version SET version_num = ?", (VERSIONS[-2],))
        )
    return VERSIONS[-2]


async def test_who_only_asks_makes_no_tables(postgres: PostgresServer, empty: str) -> None:
    with pytest.raises(Unavailable, match=r"There is no store in the database .* yet: `windlass up`, .* makes it"):
        await open_store(empty, version="0", schema="sufficient")
    async with await open_store(empty, version="0", schema="any") as opened:
        assert opened.upgrade == Upgrade(None, "None")
        found = await check(opened.store)
        assert found.problems == (
            "There is no store in the database yet: `windlass up`, `worker` or `db upgrade` makes it.",
        )
    assert await tables(postgres, empty) == 0


async def test_who_only_asks_works_with_the_version_before_where_that_has_all_it_uses(empty: str) -> None:
    before = await told_to_be_before(empty)
    async with await open_store(empty, version="0", schema="sufficient") as opened:
        assert opened.upgrade == Upgrade(before, before)
        found = await check(opened.store)
        assert (found.version, found.problems[0]) == (
            before,
            f"The schema is {before}, this program needs {HEAD}: run `windlass db upgrade`.",
        )
        assert found.notes[0].startswith(f"The upgrade takes the schema through version {HEAD}, in one transaction")
        await opened.store.run(lambda tx: tx.cursor.execute("ALTER TABLE runs DROP COLUMN note"))
    with pytest.raises(Unavailable, match=f"has the schema {before}, older than {HEAD}.*`windlass db upgrade`"):
        await open_store(empty, version="0", schema="sufficient")


async def test_a_schema_further_back_is_left_to_those_who_work(empty: str) -> None:
    await make_older(empty, VERSIONS[-3])
    with pytest.raises(Unavailable, match=f"has the schema {VERSIONS[-3]}"):
        await open_store(empty, version="0", schema="sufficient")
    async with await open_store(empty, version="0", schema="any") as opened:
        assert opened.upgrade == Upgrade(VERSIONS[-3], VERSIONS[-3])
        note = (await check(opened.store)).notes[0]
        assert note.startswith(f"The upgrade takes the schema through the versions {VERSIONS[-2]} to {HEAD}")
    async with await open_store(empty, version="0") as opened:
        assert opened.upgrade == Upgrade(VERSIONS[-3], HEAD)


async def test_a_check_names_who_is_in_the_way_of_an_upgrade(empty: str) -> None:
    await told_to_be_before(empty)
    async with await open_store(empty, version="0", schema="any") as opened:
        await opened.store.run(
            lambda tx: tx.cursor.execute("INSERT INTO programs VALUES ('old-one', '0.1', '0019', ?)", (tx.now + 10**9,))
        )
        assert (await check(opened.store)).notes[1:2] == (
            (
                "old-one (Windlass 0.1) works on the database and could not go on after the upgrade, "
                "which is refused until that has ended."
            ),
        )
