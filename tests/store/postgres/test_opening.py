"""Opening a store on PostgreSQL that cannot be opened: one sentence, without the password."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.postgres import PostgresServer
from windlass.errors import Unavailable, UserError, WindlassError
from windlass.store.open import open_store
from windlass.store.place import store_place
from windlass.store.postgres import lane
from windlass.store.postgres.opening import refuse_too_old


async def sentence(url: str) -> str:
    with pytest.raises(WindlassError) as refused:
        await open_store(url, version="0")
    assert isinstance(refused.value, Unavailable | UserError)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)
    return str(refused.value)


async def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane.asyncio, "sleep", None)  # nothing is tried again
    said = await sentence(f"postgresql://me:secret@/jobs?host={tmp_path}")
    assert said.startswith(f"The database postgresql://me@{tmp_path}/jobs cannot be reached:")


async def test_a_database_that_is_not_there(postgres: PostgresServer) -> None:
    said = await sentence(f"postgresql://windlass:secret@/nosuch?host={postgres.folder}")
    assert "is not there: make it with `createdb`" in said


async def test_a_role_that_is_not_there(postgres: PostgresServer) -> None:
    said = await sentence(f"postgresql://nobody:secret@/postgres?host={postgres.folder}")
    assert "refuses this user" in said


async def test_a_role_that_may_not_make_tables(postgres: PostgresServer) -> None:
    name = await postgres.empty()
    await postgres.execute(f"CREATE ROLE reader_of_{name} LOGIN")
    said = await sentence(f"postgresql://reader_of_{name}:secret@/{name}?host={postgres.folder}")
    assert f"`GRANT USAGE, CREATE ON SCHEMA public TO reader_of_{name}` lets it" in said


async def test_a_database_of_another_encoding(postgres: PostgresServer) -> None:
    await postgres.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    assert "has the encoding LATIN1: make one with `createdb --encoding=UTF8`" in await sentence(postgres.url("latin"))


@pytest.mark.parametrize("number", [140000, 140023, 150018, 160004, 170006, 180000])
def test_a_server_that_has_what_is_needed_is_let_in(number: int) -> None:
    refuse_too_old(number)


@pytest.mark.parametrize(("number", "name"), [(90624, 9), (130023, 13), (139999, 13)])
def test_a_server_that_is_too_old_is_refused(number: int, name: int) -> None:
    with pytest.raises(UserError, match=f"PostgreSQL {name} is too old: Windlass needs 14 or newer"):
        refuse_too_old(number)


def test_what_a_url_says() -> None:
    place = store_place("postgresql://me:se%2Fcret@db.example:5433/jobs?sslmode=require&connections=8").server
    assert place is not None
    assert place.shown == "postgresql://me@db.example:5433/jobs"
    assert place.dsn == "postgresql://me:se%2Fcret@db.example:5433/jobs?sslmode=require"
    assert (place.connections, place.pooled, place.listen) == (8, False, place.dsn)
    assert "cret" not in repr(place)


def test_a_pooler_needs_an_address_of_its_own_for_hints() -> None:
    url = "postgresql://me:secret@bouncer:6432/jobs?pgbouncer=true"
    place = store_place(url).server
    assert place is not None
    assert (place.pooled, place.listen) == (True, None)
    place = store_place(f"{url}&listen=db:5432").server
    assert place is not None
    assert place.listen == "postgresql://me:secret@db:5432/jobs"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://me:secret@host", "names no database"),
        ("postgresql://me:secret@host/", "names no database"),
        ("postgresql://me:secret@host/jobs/more", "names no database"),
        ("postgresql://me:secret@host:port/jobs", "cannot be read"),
        ("postgresql://me:secret@[host/jobs", "cannot be read"),
        ("postgresql://me:secret@host/jobs?pgbouncr=true", "pgbouncer"),
        ("postgresql://me:secret@host/jobs?pgbouncer=1", "is `true` or `false`"),
        ("postgresql://me:secret@host/jobs?connections=1", "a whole number from 2 to 64"),
        ("postgresql://me:secret@host/jobs?listen=a/b", "write HOST:PORT"),
        ("postgresql+asyncpg://me:secret@host/jobs", "without a driver"),
    ],
)
def test_urls_that_are_none(url: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as refused:
        store_place(url)
    assert "secret" not in str(refused.value)
