"""Runs that are kept, and runs that are in memory only: an application chooses for each."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.sdk import sample
from tests.sdk.conftest import MakeApp
from windlass import NotFound, RetryPolicy, RunNotCompleted, Windlass
from windlass import job as as_job
from windlass.clock import ManualClock, SystemClock
from windlass.engine.archiving import sweep

pytestmark = pytest.mark.promise("K02")
SECONDS = 20.0


def engine_of(app: Windlass) -> Any:
    return app._backend._engine  # type: ignore[union-attr]


async def test_one_run_is_kept_and_another_is_not(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/kept.db"
    async with Windlass("memory://", workers=1) as memory, Windlass(url, workers=1) as kept:
        runs = [await app.submit(sample.double, 2) for app in (kept, memory)]
        assert [await run.wait(SECONDS) for run in runs] == [4, 4]
    async with Windlass("memory://") as memory, Windlass(url) as kept:
        assert await (await kept.get(runs[0].id)).wait(SECONDS) == {"result": 4}
        with pytest.raises(NotFound):
            await memory.get(runs[1].id)


async def test_memory_forgets_what_completed_after_an_hour_and_the_rest_after_two(sdk: Windlass) -> None:
    @as_job(retry=RetryPolicy(attempts=1))
    def fails() -> None:
        raise ValueError("no")

    good, bad = await sdk.submit(sample.double, 2), await sdk.submit(fails)
    assert await good.wait(SECONDS) == 4
    with pytest.raises(RunNotCompleted):
        await bad.wait(SECONDS)
    engine = engine_of(sdk)
    engine.store.clock = clock = ManualClock(SystemClock().now())
    found = []
    for minutes in (59, 2, 58, 2):
        clock.advance(minutes * 60)
        await sweep(engine)
        found.append([await _is_there(sdk, run.id) for run in (good, bad)])
    if engine.store.kind == "memory":
        assert found == [[True, True], [False, True], [False, True], [False, False]]
    else:
        assert found == [[True, True]] * 4


async def test_a_cancel_is_kept_with_the_run(make_app: MakeApp, url: str) -> None:
    app = await make_app(workers=0)
    waiting, later = (
        await app.submit(sample.double, 1),
        await app.submit(sample.double, 2, start_after=timedelta(days=1)),
    )
    for run in (waiting, later):
        await run.cancel()
        assert (await run.refresh())["cancelRequestedAt"] is not None
    if url != "memory://":
        await app.__aexit__(None, None, None)
        app = await make_app()
    await app.set_workers(1)
    assert await (await app.submit(sample.double, 3)).wait(SECONDS) == 6
    for run in (waiting, later):
        found = await (await app.get(run.id)).refresh()
        assert (found["state"], found["startedAt"]) == ("cancelled", None)


async def _is_there(app: Windlass, run_id: str) -> bool:
    try:
        await app.get(run_id)
    except NotFound:
        return False
    return True
