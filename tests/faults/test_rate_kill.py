"""A worker is killed around the starts that a limited resource counts: no window ever holds more, none is lost."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any, Final

import pytest

from tests.oracle.forks import doomed, forked
from tests.oracle.world import World
from windlass.engine.recovery import settle_all

pytestmark = pytest.mark.promise("C19")
LIMIT: Final = 2
WINDOW: Final = 10.0
RUNS: Final = 6
#: Points at which the process dies: before and after each of its units of work.
POINTS: Final = 26


def world_in(folder: Path) -> World:
    """Open the world of a folder on a clock that went on while nobody looked."""
    world = World(str(folder / "windlass.db"), folder)
    seen = ledger(folder)
    if seen:
        world.clock.advance(seen[-1] + 0.5)
    return world


def ledger(folder: Path) -> list[float]:
    """Return the seconds at which steps began, as the steps know them."""
    file = folder / "ledger"
    return [float(line) for line in file.read_text().split()] if file.exists() else []


async def work(world: World, folder: Path, since: int, name: str) -> None:
    """Take, start and end tasks until none is left, and write down each start."""
    worker = await world.worker(name)
    for _ in range(200):
        exchange = await worker.exchange((), 1)
        for claim in exchange.claims:
            if claim.started_at is None and not await worker.queue.start(claim):
                continue
            with (folder / "ledger").open("a") as file:
                file.write(f"{(world.clock.now() - since) / 1_000_000}\n")
                file.flush()
                os.fsync(file.fileno())
            world.clock.advance(0.2)
            await worker.end(claim)
        if not exchange.claims:
            world.clock.advance(1.0 if exchange.again is None else max(exchange.again, 0.001))
            worker.queue.renew()
            await world.tick()
            if not await world.engine.store.read(_open):
                return


async def die(folder: Path, point: int) -> None:
    """Work, but die at a point."""
    world = World(str(folder / "windlass.db"), folder)
    since = world.clock.now()
    doomed(world, point)
    await work(world, folder, since, "doomed")
    await world.close()


async def begin(folder: Path) -> None:
    """Make a world in which tasks wait for a limited resource, half of them behind a condition."""
    world = World(str(folder / "windlass.db"), folder)
    rates = [{"resource": "api", "limit": LIMIT, "window": WINDOW}]
    again = {"onWorkerLost": "retry"}
    plain = await world.define("plain", steps={"a": again}, rateLimits=rates)
    decided = await world.define("decided", steps={"a": {"when": "${{ 1 < 2 }}", **again}}, rateLimits=rates)
    for number in range(RUNS):
        await world.submit(decided if number % 2 else plain)
    (folder / "runs.json").write_text(json.dumps([run.hex() for run in world.accepted]))
    await world.close()


async def check(folder: Path) -> None:
    """Let the next owner end the work; say that no window held more, and that everything was done."""
    world = world_in(folder)
    since = world.clock.now() - round((ledger(folder)[-1] + 0.5) * 1_000_000) if ledger(folder) else world.clock.now()
    await world.engine.store.run(settle_all, world.engine)
    await work(world, folder, since, "next")
    times = ledger(folder)
    for first in times:
        assert len([at for at in times if first <= at < first + WINDOW - 1e-6]) <= LIMIT, times
    for name in json.loads((folder / "runs.json").read_text()):
        assert (await world.run(bytes.fromhex(name)))["state"] == "completed"
    await world.close()


def _open(tx: Any) -> int:
    return int(tx.cursor.execute("SELECT count(*) FROM queue").fetchone()[0])


@pytest.mark.parametrize("point", range(0, POINTS, 2))
def test_killed_at_every_point(tmp_path: Path, point: int) -> None:
    assert forked(begin, tmp_path) == 0
    assert forked(die, tmp_path, point) == -signal.SIGKILL
    assert forked(check, tmp_path) == 0
