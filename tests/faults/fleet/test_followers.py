"""F21: who follows lives through the absence of the database, from where it was: no line is lost or told twice."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, aclosing
from pathlib import Path
from subprocess import Popen

import pytest

import windlass as sdk
from tests.faults.fleet.database import Database
from tests.faults.fleet.fleet import Fleet, FleetScene
from tests.fixtures.fleet import MakeFleet
from tests.fixtures.program import PROGRAM, program_environment
from tests.oracle.crash import until
from tests.oracle.scene import step
from windlass.errors import Unavailable

pytestmark = [pytest.mark.promise("H08"), pytest.mark.fault("F21"), pytest.mark.timeout(300)]
AWAY = "windlass: The store cannot be reached; waiting for it to come back, up to 5m00s.\n"
BACK = "windlass: The store is back.\n"
COUNTS = "seq 1 50; until [ -e {0}/go ]; do sleep 0.05; done; seq 51 100"
LINES = [str(number) for number in range(1, 101)]


class Follower:
    """A command that follows, with what it writes in files."""

    def __init__(self, fleet: Fleet, home: Path, *arguments: str) -> None:
        """Start it in a home: that of a server, or one where no server is."""
        number = len(list(fleet.folder.glob("follower*.out")))
        self._out, self._err = (fleet.folder / f"follower{number}.{name}" for name in ("out", "err"))
        env = program_environment(home, fleet.folder) | {"WINDLASS_DATABASE_URL": str(fleet.url)}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = Popen([PROGRAM, *arguments], env=env, stdout=out, stderr=err)

    @property
    def said(self) -> str:
        """What it has printed."""
        return self._out.read_text()

    @property
    def told(self) -> str:
        """What it has said beside that."""
        return self._err.read_text()

    def wait(self) -> int:
        """Return its exit status, once it has ended."""
        return self._process.wait(200)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
def fleet(make_fleet: MakeFleet, pg: Database) -> Fleet:
    return make_fleet(pg.make(), servers=1, lease="60s", heartbeat="5s", worker_slots="2")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


@pytest.mark.parametrize("place", ["server", "database"])
def test_commands_go_on_when_the_database_is_back(fleet: Fleet, pg: Database, stack: ExitStack, place: str) -> None:
    client = fleet.start()[0]
    scene = FleetScene(fleet)
    scene.define(counts=step(COUNTS.format(scene.folder)))
    run = scene.begin(client, "counts")
    home = fleet.servers[0].home if place == "server" else fleet.folder / "apart"

    def begin(*arguments: str) -> Follower:
        found = Follower(fleet, home, *arguments, "--reconnect", "5m")
        stack.callback(found.close)
        return found

    watch, logs = begin("run", "watch", run, "--logs"), begin("run", "logs", run, "--follow")
    tail = begin("event", "tail", "--json", "--after", "0")
    followers = (watch, logs, tail)
    until(lambda: all("a | 50" in one.said for one in (watch, logs)), "the first half", patience=120)
    until(lambda: "task.started" in tail.said, "the first events")
    pg.end("kill")
    for one in followers:
        until(lambda one=one: one.told == AWAY, "news of the absence", patience=120)  # type: ignore[misc]
    pg.start()
    for one in followers:
        until(lambda one=one: one.told == AWAY + BACK, "news of the return", patience=120)  # type: ignore[misc]
    (scene.folder / "go").touch()
    assert [watch.wait(), logs.wait()] == [0, 0]
    for one in (watch, logs):
        assert [line[4:] for line in one.said.splitlines() if line.startswith("a | ")] == LINES
    assert watch.said.count("a started") == watch.said.count("a completed") == 1
    until(lambda: "run.completed" in tail.said, "the end")
    stored = [event.json()["seq"] for event in client.events("events", last_event_id="0", follow=False)]
    until(lambda: tail.said.count("\n") == len(stored), "all events")
    assert sorted(json.loads(line)["seq"] for line in tail.said.splitlines()) == stored
    assert all(one.told == AWAY + BACK for one in followers)


def test_commands_end_where_the_database_stays_away(fleet: Fleet, pg: Database, stack: ExitStack) -> None:
    client = fleet.start()[0]
    scene = FleetScene(fleet)
    scene.define(counts=step(COUNTS.format(scene.folder)))
    run = scene.begin(client, "counts")
    watch = Follower(fleet, fleet.servers[0].home, "run", "watch", run, "--logs", "--reconnect", "1s")
    stack.callback(watch.close)
    until(lambda: "a | 50" in watch.said, "the first half", patience=120)
    pg.end()
    assert watch.wait() == 3
    first, last = watch.told.splitlines()
    assert first == "windlass: The store cannot be reached; waiting for it to come back, up to 1.0s."
    assert last.endswith("The store did not come back within 1.0s; see that its database runs, and follow again.")
    pg.start()
    (scene.folder / "go").touch()
    fleet.settle(client)


async def test_an_application_goes_on_when_the_database_is_back(
    pg: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    go, here = asyncio.Event(), asyncio.Event()

    @sdk.job
    async def counts(progress: sdk.Progress) -> None:
        await progress(50, "half")
        here.set()
        await go.wait()

    url = await asyncio.to_thread(pg.make)
    caplog.set_level(logging.WARNING, "windlass.sdk")
    async with sdk.Windlass(url, workers=2, home=tmp_path) as app:
        told = app.subscribe([f"run.{what}" for what in ("created", "queued", "started", "completed")])
        run = await app.submit(counts)
        logs = asyncio.create_task(_all(run))
        assert [(await anext(told))["type"] for _ in range(3)] == ["run.created", "run.queued", "run.started"]
        await here.wait()
        upcoming = asyncio.ensure_future(anext(told))
        await asyncio.to_thread(pg.end, "kill")
        await asyncio.to_thread(until, lambda: "tried again for" in caplog.text, "news of the absence")
        await asyncio.to_thread(pg.start)
        await asyncio.to_thread(until, lambda: "can be reached again" in caplog.text, "news of the return")
        go.set()
        assert (await upcoming)["type"] == "run.completed"
        await logs
        async with aclosing(app.subscribe("run.created", after="0")) as again:  # type: ignore[type-var]
            assert (await anext(again))["runId"] == run.id
            await asyncio.to_thread(pg.end)
            impatient = app.subscribe(after="0", reconnect=0)
            with pytest.raises(Unavailable):
                await anext(impatient)
            await asyncio.to_thread(pg.start)


async def _all(run: sdk.Run[None]) -> list[bytes]:
    return [chunk["data"] async for chunk in run.logs(follow=True)]
