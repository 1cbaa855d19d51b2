"""The oracle finds what is wrong with runs that are deleted, archived, queued again or late: put there by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.oracle.history import check_history
from tests.oracle.results import unsettled_letters, wrong_results
from tests.oracle.seen import Seen
from tests.oracle.told import Told
from tests.oracle.whereabouts import bring_together, left_files, torn_apart, traces
from tests.oracle.world import World, by_step
from windlass.engine.archiving import sweep
from windlass.ids import id_text
from windlass.model.outcome import Completed, Failed
from windlass.store.sqlite import SqliteStore
from windlass.store.transaction import Transaction

_MONTH = 31 * 86_400.0


@pytest.fixture
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Give a world with two ended runs, the second of them failed."""
    request.node.user_properties.append(("store", "sqlite"))
    made = World(str(tmp_path / "windlass.db"), tmp_path)
    job = await made.define("cached", steps={"make": {}, "use": {}}, sla={"duration": "1h"})
    for key in "ab":
        await made.submit(job, parameters={"key": key}, labels={"key": key})
    await (await made.worker()).work(by_step(make=Completed({"who": "x.0", "attempt": 1}), use=Failed("exit", "no", 3)))
    yield made
    await made.close()


async def found(world: World, look: Callable[[Transaction], list[str]], statement: str, *values: object) -> list[str]:
    """Do something to the database, and look."""

    def unit(tx: Transaction) -> list[str]:
        tx.cursor.execute(statement, values)
        return look(tx)

    return await world.engine.store.run(unit)


async def test_a_run_that_changes_after_its_end_is_named(world: World) -> None:
    seen = Seen()
    assert await found(world, seen.look, "UPDATE runs SET note = 'a note'") == []
    assert await found(world, seen.look, "UPDATE runs SET note = 'another'") == []
    for statement, table in (
        ("UPDATE tasks SET outputs = '{}' WHERE task = 0", "tasks"),
        ("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)", "events"),
        ("UPDATE runs SET parameters = '{}'", "runs"),
    ):
        assert any(f"its {table} are not what they were" in one for one in await found(world, seen.look, statement))


async def test_what_is_left_of_a_run_is_named(world: World) -> None:
    assert await found(world, torn_apart, "SELECT 1") == []
    told = Told(gone=set(world.accepted[:1]))
    left = await found(world, torn_apart, "DELETE FROM runs WHERE id = ?", world.accepted[0])
    assert {one.split()[-1] for one in left} == {"tasks", "events", "run_labels"}
    left = await found(world, lambda tx: traces(tx, told, world.home, at_rest=False), "SELECT 1")
    assert {one.split()[-1] for one in left} == {"tasks.run_id", "events.run_id", "run_labels.run_id"}
    folder = world.home / "artifacts" / id_text(world.accepted[0])
    folder.mkdir(parents=True)
    found_files = await found(world, lambda tx: list(left_files(tx, world.home, {})), "SELECT 1")
    assert len(found_files) == 1
    assert folder.name in found_files[0]


async def test_an_archived_run_is_looked_at_as_one_that_is_there(world: World) -> None:
    seen = Seen()
    store = world.engine.store
    assert isinstance(store, SqliteStore)
    assert await store.read(seen.look) == []
    await store.run(lambda tx: tx.cursor.execute("UPDATE tasks SET requeued_as = X'00'"))  # else a dead letter stays
    world.clock.advance(_MONTH)
    await sweep(world.engine)
    assert await bring_together(store, world.home) == (
        [],
        dict.fromkeys(world.accepted, world.home / "artifacts" / "archived"),
    )
    assert await store.read(seen.look) == []
    doubled = [f"O1 run {id_text(run_id)} is in the archive and in runs" for run_id in world.accepted]
    assert set(doubled) <= set(await store.read(torn_apart))
    await store.run(lambda tx: tx.cursor.execute("UPDATE archived_runs SET digest = 'another'"))
    assert len([one for one in (await bring_together(store, world.home))[0] if "not give back" in one]) == 2


async def test_results_that_nobody_worked_for_are_named(world: World) -> None:
    wrong = await found(world, lambda tx: wrong_results(tx, []), "SELECT 1")
    for sentence in ("are those of no attempt that ended", "it was asked for", "its file is not what x.0 made"):
        assert len([one for one in wrong if sentence in one]) == 2


async def test_dead_letters_that_lie_there_are_named(world: World) -> None:
    told = Told(requeued={world.accepted[0]: world.accepted[1]})
    assert len(await found(world, lambda tx: unsettled_letters(tx, told), "SELECT 1")) == 1
    assert await found(world, lambda tx: unsettled_letters(tx, told), "UPDATE tasks SET requeued_as = X'00'") == []


@pytest.mark.parametrize(
    ("sla", "sentence"),
    [
        ('{"duration": {"due": 0}}', "that it missed duration was not told"),
        ('{"duration": {"due": 9e18, "missedAt": 1}}', "duration was told 0 times"),
    ],
)
async def test_alerts_that_do_not_fit_are_named(world: World, sla: str, sentence: str) -> None:
    assert await check_history(world.engine, at_rest=True) == []
    await found(world, lambda _: [], "UPDATE runs SET sla = ?", sla)
    assert any(sentence in one for one in await check_history(world.engine, at_rest=True))
