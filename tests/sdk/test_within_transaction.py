"""Runs that are submitted in the caller's own transaction: queued by its commit, and by nothing else."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from tests.docs.runner import blocks
from tests.fixtures.pgbouncer import Bouncer
from tests.fixtures.postgres import PORT, ROLE, PostgresServer
from tests.repository.tree import text_of
from tests.sdk import sample
from windlass import Conflict, NotFound, UserError, Windlass, job
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.jobs import delete_job, enable_job
from windlass.engine.manifests import ManifestText
from windlass.errors import Refused
from windlass.sdk.embedded import Embedded
from windlass.store.garbage import drop_jobs

SECONDS = 20.0
#: A job of which one run goes on at a time.
LIMITED = b"""
apiVersion: v1
kind: Job
metadata: {alias: one-at-a-time}
concurrency: {limit: 1}
steps: [{name: a, type: fake}]
"""
FAR = datetime(2900, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.promise("K01")


@dataclass
class Caller:
    """A transaction of somebody who has nothing to do with us but the database."""

    connection: Any
    execute: Callable[[str], Awaitable[Any]]
    commit: Callable[[], Awaitable[None]]
    rollback: Callable[[], Awaitable[None]]


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncIterator[str]:
    name = await postgres.made()
    async with asyncio.timeout(SECONDS):
        connection = await postgres.connect(name)
        await connection.execute("CREATE TABLE orders (item TEXT)")
        await connection.close()
    yield name
    await postgres.drop(name)


@pytest.fixture
def url(postgres: PostgresServer, database: str) -> str:
    return postgres.url(database)


async def by_asyncpg(postgres: PostgresServer, database: str, stack: AsyncExitStack) -> Caller:
    connection = await postgres.connect(database)
    stack.push_async_callback(connection.close)
    transaction = connection.transaction()
    await transaction.start()
    return Caller(connection, connection.fetch, transaction.commit, transaction.rollback)


async def by_pool(postgres: PostgresServer, database: str, stack: AsyncExitStack) -> Caller:
    pool = await stack.enter_async_context(asyncpg.create_pool(postgres.url(database), min_size=1, max_size=1))
    connection = await stack.enter_async_context(pool.acquire())
    transaction = connection.transaction()
    await transaction.start()
    return Caller(connection, connection.fetch, transaction.commit, transaction.rollback)


def by_async_connection(driver: str) -> Any:
    async def begin(postgres: PostgresServer, database: str, stack: AsyncExitStack) -> Caller:
        engine = create_async_engine(f"postgresql+{driver}://windlass@/{database}?host={postgres.folder}")
        stack.push_async_callback(engine.dispose)
        connection = await stack.enter_async_context(engine.connect())
        return Caller(
            connection, lambda sql: connection.execute(text(sql)), connection.commit, connection.rollback
        )  # fmt: skip

    return begin


async def by_async_session(postgres: PostgresServer, database: str, stack: AsyncExitStack) -> Caller:
    engine = create_async_engine(f"postgresql+asyncpg://windlass@/{database}?host={postgres.folder}")
    stack.push_async_callback(engine.dispose)
    session = await stack.enter_async_context(AsyncSession(engine))
    return Caller(session, lambda sql: session.execute(text(sql)), session.commit, session.rollback)


def by_blocking(*, orm: bool) -> Any:
    async def begin(postgres: PostgresServer, database: str, stack: AsyncExitStack) -> Caller:
        engine = create_engine(f"postgresql+psycopg://windlass@/{database}?host={postgres.folder}")
        stack.callback(engine.dispose)
        connection = stack.enter_context(Session(engine) if orm else engine.connect())

        async def execute(sql: str) -> Any:
            return connection.execute(text(sql))

        async def commit() -> None:
            connection.commit()

        async def rollback() -> None:
            connection.rollback()

        return Caller(connection, execute, commit, rollback)

    return begin


WAYS = {
    "asyncpg": by_asyncpg,
    "asyncpg-pool": by_pool,
    "sqlalchemy-asyncpg": by_async_connection("asyncpg"),
    "sqlalchemy-psycopg": by_async_connection("psycopg"),
    "async-session": by_async_session,
    "connection": by_blocking(orm=False),
    "session": by_blocking(orm=True),
}


@pytest.fixture(params=WAYS)
async def caller(request: pytest.FixtureRequest, postgres: PostgresServer, database: str) -> AsyncIterator[Caller]:
    """Yield a transaction that has written a row of its own already."""
    request.node.user_properties.append(("store", "postgres"))
    async with AsyncExitStack() as stack:
        found = await WAYS[request.param](postgres, database, stack)
        await found.execute("INSERT INTO orders VALUES ('tea')")
        yield found


@pytest.fixture
async def asker(postgres: PostgresServer, database: str) -> AsyncIterator[Any]:
    """Yield a connection that looks on."""
    connection = await postgres.connect(database)
    yield connection
    await connection.close()


async def test_a_run_is_queued_by_the_callers_commit(sdk: Windlass, caller: Caller, asker: Any) -> None:
    run = await sdk.submit(sample.double, 4, connection=caller.connection, labels={"of": "50 % of 'them'?"})
    with pytest.raises(NotFound):
        await sdk.get(run.id)
    await caller.commit()
    assert await run.wait(SECONDS) == 8
    assert (await run.refresh())["labels"] == {"of": "50 % of 'them'?"}
    assert await asker.fetchval("SELECT count(*) FROM orders") == 1


async def test_a_run_never_was_where_the_caller_rolls_back(sdk: Windlass, caller: Caller, asker: Any) -> None:
    run = await sdk.submit(sample.double, 4, connection=caller.connection, key="once")
    runs = await sdk.submit_many(sample.double, range(3), connection=caller.connection)
    await caller.rollback()
    for one in (run, *runs):
        with pytest.raises(NotFound):
            await sdk.get(one.id)
    for table in ("runs", "queue", "events", "idempotency_keys", "orders"):
        assert await asker.fetchval(f"SELECT count(*) FROM {table}") == 0, table  # noqa: S608 - names above


async def test_many_runs_are_all_queued_at_once(sdk: Windlass, caller: Caller) -> None:
    runs = await sdk.submit_many(sample.double, range(20), connection=caller.connection)
    await caller.commit()
    assert [await run.wait(SECONDS) for run in runs] == list(range(0, 40, 2))


async def test_a_key_stands_for_one_run_within_and_after_the_transaction(sdk: Windlass, caller: Caller) -> None:
    options: dict[str, Any] = {"key": "order-7", "note": "first"}
    first = await sdk.submit(sample.double, 4, connection=caller.connection, **options)
    again = await sdk.submit(sample.double, 4, connection=caller.connection, **options)
    with pytest.raises(UserError, match="already stands for run"):
        await sdk.submit(sample.double, 5, connection=caller.connection, **options)
    await caller.commit()
    later = await sdk.submit(sample.double, 4, **options)
    assert first.id == again.id == later.id
    assert await first.wait(SECONDS) == 8


async def test_a_refused_submission_leaves_the_transaction_as_it_was(sdk: Windlass, caller: Caller, asker: Any) -> None:
    other = await sdk.submit(sample.double, 1)
    with pytest.raises(UserError, match="has to do with other runs"):
        await sdk.submit(sample.double, 4, connection=caller.connection, depends_on=[other])
    with pytest.raises(UserError, match="within the next hundred years"):
        await sdk.submit(sample.double, 4, connection=caller.connection, key="k", scheduled_at=FAR)
    await caller.execute("INSERT INTO orders VALUES ('milk')")
    await caller.commit()
    assert await asker.fetchval("SELECT count(*) FROM orders") == 2
    assert await asker.fetchval("SELECT count(*) FROM idempotency_keys") == 0


async def test_nobody_waits_for_a_transaction_that_lasts(sdk: Windlass, caller: Caller) -> None:
    slow = await sdk.submit(sample.double, 1, connection=caller.connection, key="slow")
    with pytest.raises(Conflict, match="a transaction that has not ended"):
        await sdk.submit(sample.double, 1, key="slow")
    # What runs alone in the store, and what changes the job itself, goes on meanwhile.
    other = await sdk.submit(sample.double, 2, start_after=3600)
    await other.cancel()
    backend = sdk._backend
    assert isinstance(backend, Embedded)
    await enable_job(backend._engine, "default", "double", enabled=False)
    await enable_job(backend._engine, "default", "double", enabled=True)
    await caller.commit()
    assert await slow.wait(SECONDS) == 2
    assert (await sdk.submit(sample.double, 1, key="slow")).id == slow.id


async def test_nothing_stays_set_on_the_connection(sdk: Windlass, caller: Caller) -> None:
    await caller.execute("SET LOCAL search_path = pg_catalog, public")
    await sdk.submit(sample.double, 1, connection=caller.connection)
    found = await caller.execute("SELECT current_setting('search_path')")
    assert next(iter(found))[0] == "pg_catalog, public"
    held = await caller.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
    assert next(iter(held))[0] == 0
    await caller.commit()


async def test_nothing_stays_prepared_on_the_connection(sdk: Windlass, asker: Any) -> None:
    async with asker.transaction():
        await sdk.submit(sample.double, 1, connection=asker)
    kept = await asker.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'WITH new AS%'")
    assert kept == 0


async def test_tables_of_the_caller_may_have_any_name(sdk: Windlass, caller: Caller) -> None:
    await caller.execute("CREATE TEMPORARY TABLE runs (id INT)")
    await caller.execute("CREATE SCHEMA app")
    await caller.execute("CREATE TABLE app.jobs (id INT)")
    await caller.execute("SET LOCAL search_path = app")
    run = await sdk.submit(sample.double, 3, connection=caller.connection)
    await caller.commit()
    assert await run.wait(SECONDS) == 6


async def test_runs_under_a_limit_ask_for_their_place_once_they_are_committed(
    sdk: Windlass, postgres: PostgresServer, database: str
) -> None:
    backend = sdk._backend
    assert isinstance(backend, Embedded)
    options = ApplyOptions(project="default", provenance=None, author="root")
    await apply(backend._engine, [ManifestText("one.yaml", LIMITED)], options)
    async with AsyncExitStack() as stack:
        first, second = [await by_asyncpg(postgres, database, stack) for _ in range(2)]
        runs = [await sdk.submit("one-at-a-time", {}, connection=one.connection) for one in (first, second)]
        last = await sdk.submit("one-at-a-time", {})  # waits for neither
        await last.wait(SECONDS)
        await first.commit()
        await second.commit()
        for run in runs:
            await run.wait(SECONDS)
    spans = [(await run.refresh())["startedAt"] for run in runs]
    assert len(set(spans)) == 2


async def test_two_transactions_with_one_key_make_one_run(
    sdk: Windlass, postgres: PostgresServer, database: str
) -> None:
    async with AsyncExitStack() as stack:
        first, second = [await by_asyncpg(postgres, database, stack) for _ in range(2)]
        run = await sdk.submit(sample.double, 3, connection=first.connection, key="same")
        waiting = asyncio.create_task(sdk.submit(sample.double, 3, connection=second.connection, key="same"))
        async with asyncio.timeout(SECONDS):
            onlooker = await postgres.connect(database)
            stack.push_async_callback(onlooker.close)
            while not await onlooker.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                continue  # each turn is a way to the server and back
        await first.commit()
        assert (await waiting).id == run.id
        await second.commit()
        assert await run.wait(SECONDS) == 6


async def test_it_works_through_pgbouncer(postgres: PostgresServer, database: str, tmp_path: Path) -> None:
    with Bouncer(postgres.folder, PORT, ROLE, pool=3) as bouncer:
        plain = bouncer.url(database).partition("?")[0]
        async with Windlass(bouncer.url(database), workers=2, home=tmp_path) as app:
            connection = await asyncpg.connect(plain, statement_cache_size=0)
            async with connection.transaction():
                runs = await app.submit_many(sample.double, range(3), connection=connection, labels={"a": "b"})
                await app.submit(sample.double, 3, connection=connection, key="k")
            await connection.close()
            without = {"prepare_threshold": None}
            engine = create_async_engine(f"{plain.replace('://', '+psycopg://')}", connect_args=without)
            async with AsyncSession(engine) as session:
                runs.append(await app.submit(sample.double, 3, connection=session, key="k"))
                await session.commit()
            await engine.dispose()
            assert [await run.wait(SECONDS) for run in runs] == [0, 2, 4, 6]


async def test_a_job_is_not_removed_while_a_transaction_starts_a_run_of_it(
    sdk: Windlass, postgres: PostgresServer, database: str
) -> None:
    backend = sdk._backend
    assert isinstance(backend, Embedded)
    store = backend._engine.store
    async with AsyncExitStack() as stack:
        caller = await by_asyncpg(postgres, database, stack)
        run = await sdk.submit(sample.double, 3, connection=caller.connection)
        await delete_job(backend._engine, "default", "double")
        async with asyncio.timeout(SECONDS):
            assert await store.run(drop_jobs, -1) == 0
        await caller.commit()
        assert await run.wait(SECONDS) == 6  # it was accepted before
        with pytest.raises(NotFound):
            await sdk.submit("double", {"number": 1})


class TestWhatIsRefused:
    """Each with one sentence, and the transaction as it was."""

    async def test_a_connection_that_is_in_no_transaction(self, sdk: Windlass, asker: Any) -> None:
        with pytest.raises(UserError, match="in no transaction: begin one"):
            await sdk.submit(sample.double, 1, connection=asker)

    async def test_one_that_commits_each_statement(
        self, sdk: Windlass, postgres: PostgresServer, database: str
    ) -> None:
        for driver in ("asyncpg", "psycopg"):
            engine = create_async_engine(f"postgresql+{driver}://windlass@/{database}?host={postgres.folder}")
            async with engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                with pytest.raises(UserError, match="in no transaction: begin one"):
                    await sdk.submit(sample.double, 1, connection=connection)
            await engine.dispose()

    async def test_one_that_may_only_read(self, sdk: Windlass, asker: Any) -> None:
        async with asker.transaction(readonly=True):
            with pytest.raises(UserError, match="is read only"):
                await sdk.submit(sample.double, 1, connection=asker)

    async def test_one_to_another_database_or_another_store(self, sdk: Windlass, postgres: PostgresServer) -> None:
        for name in (await postgres.empty(), await postgres.made()):
            other = await postgres.connect(name)
            async with other.transaction():
                if await other.fetchval("SELECT to_regclass('store_info') IS NOT NULL"):
                    await other.execute("UPDATE store_info SET value = 'of another' WHERE key = 'id'")
                with pytest.raises(UserError, match="to another database: a transaction is joined in that of"):
                    await sdk.submit(sample.double, 1, connection=other)
            await other.close()
            await postgres.drop(name)

    async def test_a_user_who_may_not_write(self, sdk: Windlass, postgres: PostgresServer, asker: Any) -> None:
        await postgres.execute("CREATE ROLE stranger")
        try:
            async with asker.transaction():
                await asker.execute("SET LOCAL ROLE stranger")
                with pytest.raises(Refused, match="may not write to the store"):
                    await sdk.submit(sample.double, 1, connection=asker)
        finally:
            await postgres.execute("DROP ROLE stranger")

    @pytest.mark.parametrize("what", ["x", 7, object()])
    async def test_what_is_no_connection(self, sdk: Windlass, what: object) -> None:
        with pytest.raises(UserError, match="A transaction is joined by a connection of asyncpg"):
            await sdk.submit(sample.double, 1, connection=what)

    async def test_a_pool_and_another_kind_of_database(self, sdk: Windlass, url: str) -> None:
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
            with pytest.raises(UserError, match=r"take one of the pool's with `pool\.acquire\(\)`"):
                await sdk.submit(sample.double, 1, connection=pool)
        engine = create_engine("sqlite://")
        with engine.connect() as connection, pytest.raises(UserError, match="to a database of sqlite"):
            await sdk.submit(sample.double, 1, connection=connection)
        engine.dispose()

    async def test_a_job_that_was_stored_after_the_transaction_began_to_look(self, sdk: Windlass, asker: Any) -> None:
        @job
        def new(number: int) -> int:
            return number

        async with asker.transaction(isolation="repeatable_read"):
            await asker.fetchval("SELECT count(*) FROM orders")
            with pytest.raises(Conflict, match='Job "new" was stored, or removed, after this transaction'):
                await sdk.submit(new, 1, connection=asker)

    async def test_what_the_database_refuses_is_told_by_the_callers_driver(self, sdk: Windlass, asker: Any) -> None:
        transaction = asker.transaction()
        await transaction.start()
        with pytest.raises(asyncpg.UndefinedTableError):
            await asker.execute("SELECT * FROM nothing")
        with pytest.raises(asyncpg.InFailedSQLTransactionError):
            await sdk.submit(sample.double, 1, connection=asker)
        await transaction.rollback()


@pytest.mark.parametrize("other", ["memory://", "sqlite"])
async def test_a_store_in_sqlite_joins_no_transaction(other: str, tmp_path: Path, asker: Any) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db" if other == "sqlite" else other
    async with Windlass(url, workers=1) as app:
        with pytest.raises(UserError, match="is joined by a store in PostgreSQL; this one is in"):
            await app.submit(sample.double, 1, connection=asker)


async def test_the_example_of_the_guide(url: str, tmp_path: Path, asker: Any) -> None:
    await asker.execute("DROP TABLE orders")
    (block,) = [one for one in blocks(text_of(Path("docs/guide/python.md"))) if one.file == "shop.py"]
    (tmp_path / "shop.py").write_text(block.content)
    env = {**os.environ, "WINDLASS_DATABASE_URL": url, "WINDLASS_HOME": str(tmp_path / "home")}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "shop.py"],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 cups of tea are on their way\n"
    assert await asker.fetchval("SELECT count(*) FROM orders") == 1
