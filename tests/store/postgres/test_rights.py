"""Roles and databases that cannot do what a store needs: one sentence, with what mends it, which then does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fixtures.older import make_older
from tests.fixtures.postgres import ROLE, PostgresServer, in_a_loop, replica_of
from windlass.errors import Refused, Unavailable, WindlassError
from windlass.store.migrations import VERSIONS
from windlass.store.open import open_store
from windlass.store.transaction import Transaction


@dataclass
class Theirs:
    """A database of somebody else's, and a role of ours that has no right in it."""

    server: PostgresServer
    name: str
    role: str

    @property
    def url(self) -> str:
        return f"postgresql://{self.role}:secret@/{self.name}?host={self.server.folder}"

    async def execute(self, *statements: str) -> None:
        connection = await self.server.connect(self.name)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def refused(self) -> str:
        with pytest.raises(WindlassError) as caught:
            await open_store(self.url, version="0")
        assert isinstance(caught.value, Refused | Unavailable)
        assert "secret" not in str(caught.value)
        return str(caught.value)

    async def opens(self) -> None:
        async with await open_store(self.url, version="0") as opened:
            await opened.store.run(lambda tx: tx.cursor.execute("UPDATE runs SET note = note"))


@pytest.fixture
def theirs(postgres: PostgresServer, request: pytest.FixtureRequest) -> Iterator[Theirs]:
    name = in_a_loop(postgres.empty() if "empty" in request.node.name else postgres.made())
    found = Theirs(postgres, name, f"role_of_{name}")
    in_a_loop(found.execute(f"CREATE ROLE {found.role} LOGIN"))
    yield found
    in_a_loop(postgres.drop(name))
    in_a_loop(postgres.execute(f"DROP ROLE {found.role}"))


def remedy(sentence: str) -> str:
    found = re.search("`(GRANT [^`]+|ALTER ROLE [^`]+)`", sentence)
    assert found is not None, sentence
    return found[1]


async def test_no_right_to_make_tables_in_an_empty_database(theirs: Theirs) -> None:
    said = await theirs.refused()
    assert said.startswith(f"The role {theirs.role} may not make tables in the database postgresql://{theirs.role}@")
    assert remedy(said) == f"GRANT USAGE, CREATE ON SCHEMA public TO {theirs.role}"
    await theirs.execute(remedy(said))
    await theirs.opens()


async def test_no_schema_at_all_in_an_empty_database(theirs: Theirs) -> None:
    await theirs.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    said = await theirs.refused()
    assert f"The role {theirs.role} may use no schema of its search_path" in said
    with pytest.raises(Refused, match="may use no schema"):
        await open_store(theirs.url, version="0", schema="sufficient")
    await theirs.execute(remedy(said))
    await theirs.opens()


async def test_no_right_on_any_table(theirs: Theirs) -> None:
    said = await theirs.refused()
    assert "permission denied for table alembic_version" in said
    assert remedy(said) == f"GRANT SELECT, INSERT, UPDATE, DELETE ON alembic_version TO {theirs.role}"
    await theirs.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {theirs.role}")
    said = await theirs.refused()
    assert f"The role {theirs.role} lacks INSERT, UPDATE, DELETE on archive_keys" in said or " more tables" in said
    assert remedy(said) == f"GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {theirs.role}"
    await theirs.execute(remedy(said))
    said = await theirs.refused()
    assert "may not number rows of" in said
    await theirs.execute(remedy(said))
    await theirs.opens()


async def test_who_may_only_read_does_so_and_is_told_what_a_write_needs(theirs: Theirs) -> None:
    await theirs.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {theirs.role}")
    async with await open_store(theirs.url, version="0", schema="sufficient") as opened:
        assert await opened.store.read(lambda tx: tx.cursor.execute("SELECT count(*) FROM runs").fetchone()[0]) == 0
        with pytest.raises(Unavailable) as caught:
            await opened.store.run(lambda tx: tx.cursor.execute("DELETE FROM runs"))
    assert remedy(str(caught.value)) == f"GRANT SELECT, INSERT, UPDATE, DELETE ON runs TO {theirs.role}"


async def test_a_right_on_two_tables(theirs: Theirs) -> None:
    await theirs.execute(
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {theirs.role}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {theirs.role}",
        f"REVOKE UPDATE ON runs, queue FROM {theirs.role}",
    )
    said = await theirs.refused()
    assert f"The role {theirs.role} lacks UPDATE on queue, runs in the database" in said
    await theirs.execute(remedy(said))
    await theirs.opens()


async def test_an_upgrade_of_an_empty_database_that_became_somebody_elses(theirs: Theirs) -> None:
    await make_older(theirs.server.direct_url(theirs.name), VERSIONS[-2])
    await theirs.execute(
        f"GRANT USAGE, CREATE ON SCHEMA public TO {theirs.role}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {theirs.role}",
    )
    said = await theirs.refused()
    assert f"only {ROLE}, who owns" in said
    assert f"run `windlass db upgrade` as {ROLE}" in said
    await theirs.execute(remedy(said))
    await theirs.opens()


async def test_a_role_whose_sessions_only_read(theirs: Theirs) -> None:
    await theirs.execute(
        f"GRANT {ROLE} TO {theirs.role}", f"ALTER ROLE {theirs.role} SET default_transaction_read_only = on"
    )
    said = await theirs.refused()
    assert "takes no writes, for default_transaction_read_only is on" in said
    async with await open_store(theirs.url, version="0", schema="sufficient") as opened:
        # Whoever changes something is told so by what he does.
        with pytest.raises(Unavailable, match=r"takes no writes now \(cannot execute DELETE in a read-only"):
            await opened.store.run(lambda tx: tx.cursor.execute("DELETE FROM runs"))
    await theirs.execute(remedy(said))
    await theirs.opens()


def count(tx: Transaction) -> int:
    found: int = tx.cursor.execute("SELECT count(*) FROM runs").fetchone()[0]
    return found


async def test_a_replica_is_read_and_not_worked_on(postgres: PostgresServer) -> None:
    name = await postgres.made()
    with replica_of(postgres) as replica:
        url = replica.direct_url(name)
        with pytest.raises(Unavailable, match=r"is a replica, which takes no writes: name the server that does"):
            await open_store(url, version="0")
        async with await open_store(url, version="0", schema="sufficient") as opened:
            assert await opened.store.read(count) == 0
            with pytest.raises(Unavailable, match=r"takes no writes|recovery is in progress"):
                await opened.store.run(count)
