"""Who did what, on every store: noted with the change or not at all, in one chain without gaps."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, update

from tests.fixtures.world import MakeWorld
from tests.oracle.world import World
from windlass.engine.auditing.chain import AuditChain
from windlass.engine.auditing.noting import note, say
from windlass.engine.auditing.verifying import list_entries, verify
from windlass.engine.sealing.known import keyring_of
from windlass.engine.sealing.rotating import rotate_data, rotate_master, verify_keys
from windlass.errors import UserError
from windlass.store.actor import ACTOR, Actor
from windlass.store.audit import AuditFilter
from windlass.store.audit_tables import audit_entries, audit_epochs, audit_head
from windlass.store.transaction import Transaction, beside_others

pytestmark = [pytest.mark.promise("O12", part="audit"), pytest.mark.promise("W05")]
ALL = AuditFilter(limit=1000)


def given(world: World, *names: str) -> None:
    """Let this process begin anew with other master keys."""
    engine = world.engine
    keys = ",".join(f"{name}:{base64.b64encode(name.encode().ljust(32)).decode()}" for name in names)
    engine.keyring = keyring_of(replace(engine.settings, master_key=keys or None), engine.ids, "postgresql")
    engine.audit = AuditChain(engine.keyring)
    engine.store.noting.way = engine.audit.keep


@pytest.fixture
async def world(make_world: MakeWorld) -> AsyncIterator[World]:
    found = make_world()
    given(found)
    yield found
    await found.close()


@contextmanager
def asked(name: str = "ann") -> Iterator[None]:
    token = ACTOR.set(Actor(name, "local", None, f"request of {name}"))
    try:
        yield
    finally:
        ACTOR.reset(token)


def do(tx: Transaction, what: str) -> None:
    note(tx, "test.do", what, project="default", more=1)


async def did(world: World, *whats: str) -> None:
    for what in whats:
        with asked():
            await world.engine.store.run(do, what)


async def told(world: World) -> list[str | None]:
    return [one["object"] for one in (await list_entries(world.engine, ALL, None))[0]][::-1]


async def broken(world: World, *anchors: tuple[int, str]) -> tuple[int, str] | None:
    found = (await verify(world.engine, anchors))["broken"]
    return None if found is None else (found["seq"], found["why"])


async def change(world: World, statement: Any) -> None:
    await world.engine.store.run(lambda tx: tx.connection.execute(statement) and None)


async def test_what_somebody_does_is_noted_and_what_windlass_does_is_not(world: World) -> None:
    await world.engine.store.run(do, "by itself")
    await did(world, "one", "two")
    (second, first), cursor = await list_entries(world.engine, ALL, None)
    assert (first["seq"], first["actor"], first["actorKind"], first["action"], first["object"]) == (
        1, "ann", "local", "test.do", "one",
    )  # fmt: skip
    assert (second["seq"], first["outcome"], first["data"], first["request"]) == (
        2, "done", {"more": 1}, "request of ann",
    )  # fmt: skip
    assert cursor is None
    found = await verify(world.engine)
    assert (found["entries"], found["withoutKey"], found["broken"], found["head"]["seq"]) == (2, 2, None, 2)


async def test_a_change_that_is_undone_leaves_no_entry(world: World) -> None:
    def fail(tx: Transaction) -> None:
        do(tx, "undone")
        raise UserError("no")

    with asked():
        kept = [world.engine.store.run(do, f"kept {number}") for number in range(5)]
        failed = [world.engine.store.run(fail) for _ in range(5)]
        mixed: list[Any] = [one for pair in zip(kept, failed, strict=True) for one in pair]
        answers = await asyncio.gather(*mixed, return_exceptions=True)
    assert sum(isinstance(answer, UserError) for answer in answers) == 5
    assert sorted(filter(None, await told(world))) == [f"kept {number}" for number in range(5)]
    assert await broken(world) is None


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside"])
async def test_many_at_once_make_one_chain_without_gaps(world: World, *, beside: bool) -> None:
    def unit(tx: Transaction, number: int) -> None:
        do(tx, f"{number}")

    one = beside_others(lambda tx, number: unit(tx, number)) if beside else unit  # noqa: PLW0108 - marks stay

    async def user(number: int) -> None:
        with asked(f"user {number}"):
            await asyncio.gather(*(world.engine.store.run(one, number * 10 + turn) for turn in range(4)))

    await asyncio.gather(*map(user, range(50)))
    assert sorted(map(int, filter(None, await told(world)))) == sorted(n * 10 + t for n in range(50) for t in range(4))
    found = await verify(world.engine)
    assert (found["entries"], found["broken"]) == (200, None)


TAMPERING: dict[str, tuple[Callable[[World], Awaitable[None]], tuple[int, str]]] = {
    "changed": (
        lambda world: change(world, update(audit_entries).where(audit_entries.c.seq == 2).values(actor="eve")),
        (2, "it is not what was written, or does not follow the entry before it"),
    ),
    "left out": (
        lambda world: change(world, delete(audit_entries).where(audit_entries.c.seq == 3)),
        (3, "entry 3 is not there"),
    ),
    "the last ones": (
        lambda world: change(world, delete(audit_entries).where(audit_entries.c.seq > 2)),
        (3, "the entries 3 to 5 are gone"),
    ),
    "the first ones": (
        lambda world: change(world, delete(audit_entries).where(audit_entries.c.seq < 3)),
        (1, "entry 1 to 2 is not there"),
    ),
    "the end": (
        lambda world: change(world, update(audit_head).values(code=bytes(32))),
        (5, "it is not the entry that was written last"),
    ),
}


@pytest.mark.parametrize("how", list(TAMPERING))
async def test_tampering_is_told_by_its_first_place(world: World, how: str) -> None:
    given(world, "k1")
    await did(world, *"abcde")
    assert await broken(world) is None
    tamper, place = TAMPERING[how]
    await tamper(world)
    assert await broken(world) == place


async def test_an_anchor_shows_what_was_made_anew_or_cut_off_with_its_head(world: World) -> None:
    await did(world, *"abc")
    anchor = (await verify(world.engine))["head"]
    await did(world, "d")
    pair = (anchor["seq"], anchor["code"])
    assert await broken(world, pair) is None
    assert await broken(world, (3, "00" * 32)) == (3, "it is another entry than the anchor says")
    await change(world, delete(audit_entries))
    await change(world, delete(audit_head))
    assert await broken(world) is None, "without an anchor nobody can tell"
    assert await broken(world, pair) == (1, "the entries 1 to 3 are gone")


async def test_with_a_key_a_new_epoch_begins_and_outlives_its_rotation(world: World) -> None:
    await did(world, "a")
    given(world, "k1")
    await did(world, "b", "c")
    found = await verify(world.engine)
    assert (found["entries"], found["withoutKey"], found["broken"]) == (3, 1, None)
    given(world, "k2", "k1")
    with asked():
        await rotate_master(world.engine)
        await world.engine.store.run(do, "d")
        assert (await rotate_data(world.engine, None))["keys"] == 0, "it is no project"
    given(world, "k2")
    await did(world, "e")
    found = await verify(world.engine)
    assert (found["entries"], found["withoutKey"], found["broken"]) == (6, 1, None)
    assert (await verify_keys(world.engine))["wrong"] == []


async def test_a_key_that_is_away_loses_nothing_and_is_told(world: World) -> None:
    given(world, "k1")
    await did(world, "a", "b")
    given(world)
    await did(world, "c")
    assert await told(world) == ["a", "b", "c"]
    assert await broken(world) == (1, "the key of epoch 1 cannot be had")
    given(world, "k1")
    await did(world, "d")
    found = await verify(world.engine)
    assert (found["entries"], found["withoutKey"], found["broken"]) == (4, 1, None)
    await change(world, update(audit_epochs).where(audit_epochs.c.number == 1).values(sealed=bytes(60)))
    given(world, "k1")
    assert await broken(world) == (1, "the key of epoch 1 cannot be had")


async def test_entries_are_found_by_who_what_where_and_when_page_by_page(world: World) -> None:
    for name, action, project in (("ann", "job.apply", "a"), ("bob", "job.apply", "b"), ("ann", "run.start", "a")):
        with asked(name):
            await world.engine.store.run(note, action, "x", project=project)
            world.clock.advance(1)
    with asked("cat"):
        await say(world.engine, "store.repair")

    async def found(**wanted: Any) -> list[int]:
        return [one["seq"] for one in (await list_entries(world.engine, AuditFilter(**wanted), None))[0]]

    assert await found() == [4, 3, 2, 1]
    assert await found(actor="ann") == [3, 1]
    assert await found(action="job.apply") == [2, 1]
    assert await found(project="b") == [2]
    assert await found(outcome="refused") == []
    second = (await list_entries(world.engine, AuditFilter(action="job.apply"), None))[0][0]["at"]
    assert second.endswith("Z")
    page, cursor = await list_entries(world.engine, AuditFilter(limit=3), None)
    rest, end = await list_entries(world.engine, AuditFilter(limit=3), cursor)
    assert ([one["seq"] for one in page], [one["seq"] for one in rest], end) == ([4, 3, 2], [1], None)
    with pytest.raises(UserError, match="no cursor of this list"):
        await list_entries(world.engine, ALL, "-1")
