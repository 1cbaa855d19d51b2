"""Stopped at any transaction, or with rows spoilt in any way: the reconciler makes it whole, and everything ends."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.conservation import forgotten, losses
from tests.oracle.snapshot import take_snapshot
from tests.oracle.world import World
from tests.properties.test_engine import MEMORY, jobs
from windlass.engine.services.reconciler import Reconciler
from windlass.errors import Conflict, Unavailable
from windlass.model.outcome import Completed, Failed, Outcome, Waiting
from windlass.model.state import RUN_FINAL
from windlass.store.sqlite import SqliteStore
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("W06")

_ENOUGH = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: What somebody may do to the row of a queue, or of the run; `{task}` is one of its tasks.
SPOILT = (
    "DELETE FROM queue WHERE task = {task}",
    "DELETE FROM tasks WHERE task = {task}",
    "DELETE FROM queue",
    "UPDATE queue SET outstanding = {task}",
    "UPDATE queue SET wake_at = 1 WHERE task = {task}",
    "UPDATE queue SET stop = 'cancel' WHERE task = {task}",
    "UPDATE queue SET worker_id = 1000 WHERE task = {task}",
    "UPDATE queue SET worker_id = (SELECT max(id) FROM workers) WHERE task = {task} AND state <> 'pending'",
    "UPDATE workers SET ended_at = 1",
    "DELETE FROM workers",
    "UPDATE runs SET state = 'queued', started_at = NULL WHERE finished_at IS NULL",
    "UPDATE runs SET state = 'scheduled', started_at = NULL WHERE finished_at IS NULL",
    "UPDATE runs SET state = 'running' WHERE finished_at IS NULL",
    "UPDATE runs SET finished_at = NULL, state = 'running'",
    "UPDATE runs SET finished_at = 1, state = 'completed'",
    (
        "INSERT OR IGNORE INTO tasks (run_id, task, state, attempt, ended_at) "
        "SELECT run_id, task, 'failed', 1, 1 FROM queue WHERE task = {task}"
    ),
)


class Stopping(SqliteStore):
    """A store that keeps a number of transactions, and after that none."""

    left = 0

    async def run(self, unit: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a unit while there are transactions left."""
        self.left -= 1
        if self.left < 0:
            raise Unavailable("The process was stopped here.")
        return await super().run(unit, *args, **kwargs)


async def act(world: World, fields: dict[str, Any], script: list[int]) -> None:
    """Submit a run and do with it what `script` says, a number an action."""
    run_id = await world.submit(await world.define(**fields))
    worker = await world.worker(slots=3)
    held = []
    for action in script:
        if action == 0:
            with suppress(Conflict):
                await world.cancel(run_id)
        elif action == 1:
            await world.tick(6)
        elif action < 4 or not held:
            held += await worker.take(1)
        else:
            claim = held.pop()
            if claim.started_at is not None or await worker.queue.start(claim):
                await worker.end(claim, outcome(world, action, branch=claim.step.branch))


def outcome(world: World, action: int, *, branch: bool) -> Outcome:
    """Return how an attempt ends."""
    if action == 4:
        return Failed("exit", "no", 1)
    if action == 5:
        return Waiting(world.clock.now() + 5_000_000, "a while", "completed")
    return Completed(branches=() if branch else None)


async def finish(world: World) -> None:
    """Let everything end."""
    await world.lose(1000)
    for _ in range(30):
        worker = await world.worker("last")
        while claims := await worker.take(50):
            for claim in claims:
                if claim.started_at is not None or await worker.queue.start(claim):
                    await worker.end(claim, Completed(branches=() if claim.step.branch else None))
        await Reconciler(world.engine).whole()  # what was asked to stop although its run had ended
        if await world.tick(10) is None:
            return


async def wrong(world: World) -> list[str]:
    """Return what the oracle says of rows; what events told cannot be mended."""
    snapshot = await world.engine.store.read(take_snapshot, world.engine)
    going = [run for run in snapshot.runs.values() if run.row.state not in RUN_FINAL]
    return [one for run in going for one in [*losses(run), *forgotten(run, snapshot)]]


CHANGES = st.lists(st.tuples(st.sampled_from(SPOILT), st.integers(0, 8)), max_size=3)
SCRIPTS = st.lists(st.integers(0, 9), max_size=12)


@_ENOUGH
@given(fields=jobs(), script=SCRIPTS, spoilt=CHANGES)
def test_whatever_was_done_to_the_rows_the_run_ends(
    fields: dict[str, Any], script: list[int], spoilt: list[tuple[str, int]]
) -> None:
    def spoil(tx: Transaction) -> None:
        tx.cursor.execute("PRAGMA ignore_check_constraints = ON")
        tx.cursor.execute("PRAGMA foreign_keys = OFF")
        for statement, task in spoilt:
            tx.cursor.execute(statement.format(task=task))

    async def drive(folder: Path) -> None:
        world = World(str(folder / "windlass.db"), folder)
        try:
            await act(world, fields, script)
            await world.engine.store.run(spoil)
            await Reconciler(world.engine).whole()
            assert await wrong(world) == []
            assert await Reconciler(world.engine).whole() == 0
            await finish(world)
            assert (await world.run(world.accepted[0]))["state"] in RUN_FINAL
            if not spoilt:
                await world.assert_sound(at_rest=True)
        finally:
            await world.close()

    with tempfile.TemporaryDirectory(prefix="windlass-reconciler-", dir=MEMORY) as folder:
        asyncio.run(drive(Path(folder)))


@_ENOUGH
@given(fields=jobs(), script=SCRIPTS, commits=st.integers(0, 30))
def test_stopped_after_any_transaction_nothing_is_left_lying(
    fields: dict[str, Any], script: list[int], commits: int
) -> None:
    async def drive(folder: Path) -> None:
        world = World(str(folder / "windlass.db"), folder)
        try:
            await world.close()
            store = Stopping(world.path, clock=world.clock)
            store.left = commits
            world.engine.store = store
            stopped = False
            try:
                await act(world, fields, script)
            except Unavailable:
                stopped = True
            assert stopped == (store.left < 0)
            await world.reopen()
            assert await Reconciler(world.engine).whole() == 0
            await world.assert_sound()
            await finish(world)
            await world.assert_sound(at_rest=True)
        finally:
            await world.close()

    with tempfile.TemporaryDirectory(prefix="windlass-reconciler-", dir=MEMORY) as folder:
        asyncio.run(drive(Path(folder)))
