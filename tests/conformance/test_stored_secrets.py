"""Secrets that the store keeps: sealed, versioned, resolved for their project, rotated while everything works."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from tests.fixtures.world import MakeWorld
from tests.oracle.world import World
from windlass.engine import stored_secrets
from windlass.engine.sealing import rotating
from windlass.engine.sealing.box import new_key
from windlass.engine.sealing.keyring import KeyMissing, NoMasterKey
from windlass.engine.sealing.known import keyring_of
from windlass.engine.sealing.rotating import check_keys, rotate_data, rotate_master, verify_keys
from windlass.engine.secret import SecretUnavailable
from windlass.engine.secrets.stored import StoredSecrets
from windlass.engine.stored_secrets import delete_secret, get_secret, list_secrets, set_secret
from windlass.errors import LimitExceeded, NotFound, UserError
from windlass.store.columns import every_table
from windlass.store.sealed_tables import data_keys, secrets
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("O13", part="sealed")
CANARY = "canary-81cd5a"


def keys(*names: str) -> str:
    return ",".join(f"{name}:{base64.b64encode(name.encode().ljust(32)).decode()}" for name in names)


def given(world: World, *names: str) -> None:
    """Let this process begin anew with other master keys."""
    engine = world.engine
    settings = replace(engine.settings, master_key=keys(*names) or None)
    engine.keyring = keyring_of(settings, engine.ids, "postgresql")


@pytest.fixture
async def world(make_world: MakeWorld) -> AsyncIterator[World]:
    found = make_world()
    given(found, "k1")
    yield found
    await found.assert_sound()
    await found.close()


async def resolved(world: World, name: str, project: str = "default") -> str:
    return await StoredSecrets(world.engine).resolve(name, project)


async def change(world: World, statement: Any) -> None:
    def unit(tx: Transaction) -> None:
        tx.connection.execute(statement)

    await world.engine.store.run(unit)


async def rows(world: World, table: str) -> str:
    def unit(tx: Transaction) -> str:
        return repr([tuple(row) for row in tx.connection.execute(select(every_table.tables[table]))])

    return await world.engine.store.read(unit)


async def test_a_secret_is_kept_sealed_and_given_to_steps_of_its_project_alone(world: World) -> None:
    shown, created = await set_secret(world.engine, "default", "db", CANARY, text="the database", by="ann")
    assert created
    assert (shown["reference"], shown["version"], shown["note"], shown["updatedBy"]) == (
        "secret://store/db", 1, "the database", "ann",
    )  # fmt: skip
    assert CANARY not in f"{shown}{await rows(world, 'secrets')}{await rows(world, 'data_keys')}"
    assert await resolved(world, "db") == CANARY
    with pytest.raises(SecretUnavailable, match='project "other" has no secret of this name'):
        await resolved(world, "db", "other")
    shown, created = await set_secret(world.engine, "default", "db", "second", by="bob")
    assert (created, shown["version"], shown["note"], shown["updatedBy"]) == (False, 2, "the database", "bob")
    assert await resolved(world, "db") == "second"
    await set_secret(world.engine, "other", "db", "theirs")
    assert [await resolved(world, "db", project) for project in ("default", "other")] == ["second", "theirs"]


async def test_secrets_are_listed_page_by_page_and_forgotten(world: World) -> None:
    for project, name in (("b", "x"), ("a", "y"), ("a", "x"), ("a", "z")):
        await set_secret(world.engine, project, name, CANARY)
    found, cursor = await list_secrets(world.engine, None, limit=3, cursor=None)
    rest, end = await list_secrets(world.engine, None, limit=3, cursor=cursor)
    assert [(one["project"], one["name"]) for one in (*found, *rest)] == [
        ("a", "x"), ("a", "y"), ("a", "z"), ("b", "x"),
    ]  # fmt: skip
    assert end is None
    assert [one["name"] for one in (await list_secrets(world.engine, "b", limit=9, cursor=None))[0]] == ["x"]
    with pytest.raises(UserError, match="no cursor of this list"):
        await list_secrets(world.engine, None, limit=3, cursor="x")
    await delete_secret(world.engine, "a", "x")
    for ask in (get_secret, delete_secret):
        with pytest.raises(NotFound, match='Project "a" has no secret "x"'):
            await ask(world.engine, "a", "x")


@pytest.mark.parametrize("name", ["", ".x", "a/b", "a b", "ä", "x" * 129, "a\n"])
async def test_a_name_is_one_that_references_can_have(world: World, name: str) -> None:
    with pytest.raises(UserError, match="no name of a secret"):
        await set_secret(world.engine, "default", name, CANARY)


async def test_a_value_that_cannot_be_is_refused_without_saying_it(world: World) -> None:
    for value in ("", f"{CANARY}\0"):
        with pytest.raises(UserError) as raised:
            await set_secret(world.engine, "default", "db", value)
        assert CANARY not in str(raised.value)
    with pytest.raises(LimitExceeded, match="65,537 is over the limit of 65,536"):
        await set_secret(world.engine, "default", "db", "x" * 65_537)
    await set_secret(world.engine, "default", "db", "x" * 65_536)


async def test_a_row_that_is_moved_or_changed_does_not_open(world: World) -> None:
    await set_secret(world.engine, "a", "one", CANARY)
    await set_secret(world.engine, "a", "two", "other value")
    await set_secret(world.engine, "b", "one", "theirs")
    sealed = select(secrets.c.sealed).where(secrets.c.project == "a", secrets.c.name == "one").scalar_subquery()
    for project, name in (("a", "two"), ("b", "one")):
        await change(
            world, update(secrets).where(secrets.c.project == project, secrets.c.name == name).values(sealed=sealed)
        )
        with pytest.raises(SecretUnavailable, match=f"secret://store/{name}: .*changed or moved|of project b that"):
            await resolved(world, name, project)
    await change(world, update(secrets).where(secrets.c.name == "one", secrets.c.project == "a").values(version=7))
    assert [sentence.split(":")[0] for sentence in (await verify_keys(world.engine))["wrong"]] == [
        "The secret one of project a", "The secret two of project a", "The secret one of project b",
    ]  # fmt: skip


async def test_master_keys_are_rotated_and_the_old_one_can_go(world: World) -> None:
    await set_secret(world.engine, "a", "x", CANARY)
    await set_secret(world.engine, "b", "x", "theirs")
    given(world, "k2", "k1")
    assert await resolved(world, "x", "a") == CANARY
    await set_secret(world.engine, "c", "x", "new")
    assert (await verify_keys(world.engine))["masterKeys"] == {"k2": 1, "k1": 2}
    assert await rotate_master(world.engine) == {"keys": 2, "masterKeys": {"k2": 3}}
    assert (await rotate_master(world.engine))["keys"] == 0
    given(world, "k2")
    assert [await resolved(world, "x", project) for project in "abc"] == [CANARY, "theirs", "new"]
    found = await verify_keys(world.engine)
    assert (found["current"], found["keys"], found["values"], found["wrong"]) == ("k2", 3, 3, [])


async def test_data_keys_are_rotated_and_what_does_not_open_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotating, "_BATCH", 2)
    for number in range(5):
        await set_secret(world.engine, "a", f"s{number}", f"value {number}")
    await set_secret(world.engine, "b", "x", "theirs")
    before = await rows(world, "secrets")
    assert await rotate_data(world.engine, "a") == {"keys": 1, "values": 5, "removedKeys": 1, "wrong": []}
    assert await rows(world, "secrets") != before
    assert [await resolved(world, f"s{number}", "a") for number in range(5)] == [f"value {n}" for n in range(5)]
    await change(world, update(secrets).where(secrets.c.name == "s3").values(version=9))
    found = await rotate_data(world.engine, None)
    assert (found["keys"], found["values"], found["removedKeys"], len(found["wrong"])) == (2, 5, 1, 1)
    assert found["wrong"][0].startswith("The secret s3 of project a: it does not open")
    verified = await verify_keys(world.engine)
    assert (verified["keys"], verified["underRetiredKeys"], len(verified["wrong"])) == (3, 1, 1)
    with pytest.raises(NotFound, match='Project "none" has sealed nothing yet'):
        await rotate_data(world.engine, "none")


async def test_a_rotation_that_was_cut_off_is_finished_by_the_next_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotating, "_BATCH", 1)
    for number in range(3):
        await set_secret(world.engine, "a", f"s{number}", f"value {number}")
    seen: list[object] = []

    def cut_off(*_: object, **__: object) -> None:
        seen.append(1)
        if len(seen) == 2:
            raise MemoryError

    real = rotating.secrets.reseal
    monkeypatch.setattr(rotating.secrets, "reseal", lambda *said: (cut_off(), real(*said)))
    with pytest.raises(MemoryError):
        await rotate_data(world.engine, "a")
    monkeypatch.setattr(rotating.secrets, "reseal", real)
    assert [await resolved(world, f"s{number}", "a") for number in range(3)] == [f"value {n}" for n in range(3)]
    assert (await verify_keys(world.engine))["underRetiredKeys"] == 2
    await rotate_data(world.engine, "a")
    found = await verify_keys(world.engine)
    assert (found["keys"], found["underRetiredKeys"], found["wrong"]) == (1, 0, [])


async def test_without_its_key_nothing_is_sealed_and_what_is_sealed_stays(world: World) -> None:
    await set_secret(world.engine, "a", "x", CANARY)
    before = await rows(world, "secrets")
    given(world, "other")
    with pytest.raises(KeyMissing, match="needs the master key k1, and WINDLASS_MASTER_KEY holds only other"):
        await set_secret(world.engine, "a", "x", "new")
    with pytest.raises(SecretUnavailable, match="needs the master key k1"):
        await resolved(world, "x", "a")
    with pytest.raises(KeyMissing):
        await rotate_master(world.engine)
    with pytest.raises(UserError, match="needs the master key k1"):
        await world.engine.store.read(check_keys, world.engine)
    world.engine.keyring = keyring_of(
        replace(world.engine.settings, master_key=f"k1:{base64.b64encode(new_key()).decode()}"),
        world.engine.ids,
        "postgresql",
    )
    with pytest.raises(UserError, match="does not open with the master key k1"):
        await world.engine.store.read(check_keys, world.engine)
    given(world)
    with pytest.raises(NoMasterKey, match="put the master key of this store there"):
        await set_secret(world.engine, "b", "x", "new")
    assert await rows(world, "secrets") == before


async def test_a_store_that_others_share_gets_no_key_unasked_and_one_in_a_file_does(world: World) -> None:
    given(world)
    with pytest.raises(NoMasterKey, match="make one with `windlass keys create`"):
        await set_secret(world.engine, "a", "x", CANARY)
    world.engine.keyring = keyring_of(world.engine.settings, world.engine.ids, "sqlite")
    shown, _ = await set_secret(world.engine, "a", "x", CANARY)
    (warning,) = shown["warnings"]
    assert warning.startswith(f"A master key was made in {world.engine.settings.home / 'master.key'}: keep a copy of")
    assert (await set_secret(world.engine, "a", "x", "again"))[0]["warnings"] == []
    assert await resolved(world, "x", "a") == "again"


async def test_a_project_has_one_key_for_what_is_new(world: World) -> None:
    await set_secret(world.engine, "a", "x", CANARY)
    kept = {"id": bytes(16), "project": "a", "master": "k1", "sealed": b"", "created_at": 0}
    with pytest.raises(Exception, match=r"(?i)unique"):
        await change(world, insert(data_keys).values(kept))
    assert stored_secrets.LARGEST == 65_536
