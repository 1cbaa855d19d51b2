"""F12: everything that a worker says arrives more than once, late, and in any order.

A failure prints its seed: `TESTS_REPEAT_SEED=... pytest tests/faults/test_f12_repeats.py` plays it again.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.oracle.beside import torn_logs
from tests.oracle.world import ScriptedWorker, World
from windlass.engine.claim import Claim
from windlass.engine.submission import Submission
from windlass.errors import UserError
from windlass.model.outcome import Completed, Failed, Outcome
from windlass.store.logs import NewChunk
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.fault("F12")
SEED = int(os.environ.get("TESTS_REPEAT_SEED") or random.SystemRandom().randrange(2**32))
STEPS: dict[str, dict[str, Any]] = {
    "a": {"retry": {"attempts": 3, "delay": 1}, "onWorkerLost": "retry"},
    "b": {"dependsOn": ["a"], "matrix": {"n": [1, 2]}, "onWorkerLost": "retry"},
    "c": {"dependsOn": ["b"], "triggerRule": "all_done"},
}
Message = Callable[[], Awaitable[Any]]


class Repeater:
    """A worker whose every word arrives once at least, and any number of times later."""

    def __init__(self, world: World, worker: ScriptedWorker, dice: random.Random) -> None:
        """Work with `worker` as `dice` say."""
        self.world, self.worker, self.dice = world, worker, dice
        self.said: list[Message] = []
        self.held: list[Claim] = []

    async def turn(self) -> None:
        """Take, write, report, or say again what was said before."""
        await self.again(self.dice.randrange(4))
        if not self.held:
            self.held = await self.worker.take(3)
            for claim in self.held:
                await self.say(lambda claim=claim: self.worker.queue.start(claim))
            return
        claim = self.held.pop(self.dice.randrange(len(self.held)))
        for seq in range(1, self.dice.randrange(1, 4)):
            chunk = self.chunk(claim, seq)
            await self.say(lambda chunk=chunk: self.worker.queue.append([chunk]))
        await self.say(lambda claim=claim: self.worker.queue.progress(claim, 50, "half"))
        report = self.worker.report(claim, self.outcome())
        await self.say(lambda report=report: self.worker.exchange([report]))

    def outcome(self) -> Outcome:
        return Failed("exit", "no", 1) if self.dice.random() < 0.3 else Completed({"n": self.dice.random()})

    def chunk(self, claim: Claim, seq: int) -> NewChunk:
        at = self.world.clock.now()
        return NewChunk(
            claim.queue_id, claim.fence, claim.run_id, claim.task, claim.attempt, seq, at, "stdout", b"%d\n" % seq
        )

    async def say(self, message: Message) -> None:
        self.said.append(message)
        for _ in range(self.dice.choice([1, 1, 2, 5])):
            await message()

    async def again(self, times: int) -> None:
        """Say again some of what was said, in no order."""
        for message in self.dice.choices(self.said, k=times) if self.said else ():
            await message()


def contents(tx: Transaction) -> dict[str, list[Any]]:
    """Return all rows that a repetition must leave as they are."""
    tables = ("runs", "queue", "tasks", "attempts", "log_chunks", "artifacts", "run_dependencies")
    return {name: tx.cursor.execute(f"SELECT * FROM {name} ORDER BY 1, 2, 3, 4").fetchall() for name in tables}  # noqa: S608


@pytest.mark.parametrize("game", range(4))
async def test_f12_what_is_said_again_changes_nothing(world: World, game: int) -> None:
    print(f"TESTS_REPEAT_SEED={SEED}")  # noqa: T201 - shown where the test fails
    dice = random.Random(SEED + game)  # noqa: S311 - a game that can be played again
    job = await world.define(steps=STEPS)
    await world.submit_all(job, [Submission() for _ in range(4)])
    repeater = Repeater(world, await world.worker(slots=6), dice)
    for _ in range(120):
        await repeater.turn()
        if dice.random() < 0.05:
            await world.lose()
            repeater.held.clear()
            repeater.worker = await world.worker(slots=6)
        await world.tick(dice.choice([0, 0.5, 2]))
        await world.assert_sound()
    await repeater.worker.work()
    for _ in range(20):
        await world.tick(2)
        await repeater.worker.work()
    await world.lose()
    for _ in range(10):
        await world.tick(2)
        await (await world.worker(f"last{dice.random()}")).work()
    await world.assert_sound(at_rest=True)
    before = await world.engine.store.read(contents)
    for _ in range(5):
        dice.shuffle(repeater.said)
        await repeater.again(len(repeater.said))
    assert await world.engine.store.read(contents) == before
    assert [one for one in await world.engine.store.read(torn_logs) if "chunks are numbered" in one] == []


async def test_f12_a_request_that_is_sent_five_times_at_once_starts_one_run(world: World) -> None:
    job = await world.define(steps={"a": {}})
    asked = [world.submit(job, idempotency_key="key", parameters={}) for _ in range(5)]
    assert len(set(await asyncio.gather(*asked))) == 1
    with pytest.raises(UserError, match="already stands for run"):
        await world.submit(job, idempotency_key="key", note="another wish under the same key")
    assert await (await world.worker()).work() == ["a"]


async def test_f12_a_cancel_that_comes_again_is_one_cancel_and_its_second_word(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}, "sweep": {"triggerRule": "always"}}))
    worker = await world.worker()
    claim = await worker.take_one()
    await asyncio.gather(*(world.cancel(run_id) for _ in range(5)))
    told = await world.told(run_id)
    await worker.end(claim, Failed("lost", "stopped"))
    await worker.work()
    assert (await world.run(run_id))["state"] == "cancelled"
    assert told.count("run.cancelling") <= 2
