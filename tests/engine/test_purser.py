"""A worker's share of the database's connections follows how many others there are."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.oracle.world import World
from windlass.engine.services.purser import PERIOD, Purser
from windlass.model.thrift import PLENTY, Thrift
from windlass.store.programs import Program, programs_below


@dataclass
class Told:
    """Writes down what it is told to keep."""

    kept: list[Thrift] = field(default_factory=list)

    def __call__(self, kept: Thrift) -> None:
        self.kept.append(kept)


async def test_plenty_is_believed_at_the_second_count(world: World) -> None:
    queue = (await world.worker()).queue
    told = Told()
    purser = Purser(world.engine, lambda: queue.worker_id, Program("one", "1", "0001"), told)
    assert await purser.turn() <= PERIOD
    assert told.kept
    assert PLENTY not in told.kept
    await purser.turn()
    assert told.kept[-1] == PLENTY
    await purser.turn()
    assert told.kept.count(PLENTY) == 1


async def test_it_counts_as_a_program_at_work_until_it_leaves(world: World) -> None:
    queue = (await world.worker()).queue
    program = Program("one", "1", "0001")
    purser = Purser(world.engine, lambda: queue.worker_id, program, Told())
    await purser.turn()
    assert await world.engine.store.read(programs_below, "0002") == [program]
    await purser.leave()
    assert await world.engine.store.read(programs_below, "0002") == []
