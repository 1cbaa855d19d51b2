"""The oracle over statements finds a move that is in no table: all tests on a world rely on that."""

from __future__ import annotations

import pytest

from tests.fixtures.world import MakeWorld
from windlass.store.transaction import Transaction


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE runs SET state = 'scheduled'", "O5 a run moved from queued to scheduled"),
        ("UPDATE queue SET state = 'scheduled', wake_at = 1", "O5 a task moved from queued to scheduled"),
        ("DELETE FROM queue", "O5 a task moved from queued to completed"),
        ("UPDATE runs SET note = 'nothing'", "O5 a task moved from nothing to completed"),
    ],
)
async def test_a_move_that_no_table_has_is_found(make_world: MakeWorld, statement: str, told: str) -> None:
    world = make_world()
    run_id = await world.submit(await world.define(steps={"a": {}}))

    def unit(tx: Transaction) -> None:
        tx.cursor.execute(statement)
        if told.endswith("completed"):
            tx.cursor.execute(
                "INSERT INTO tasks (run_id, task, state, attempt, ended_at) VALUES (?, 0, 'completed', 1, 1)", (run_id,)
            )

    await world.engine.store.run(unit)
    with pytest.raises(AssertionError, match=told):
        await world.assert_sound()
    await world.close()
