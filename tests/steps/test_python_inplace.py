"""Python code as steps inside the worker: in a thread, and on an application's own event loop."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from windlass.model.outcome import Cancelled, Completed, Failed
from windlass.steps.python import Python
from windlass.steps.workbench import RecordedLog, RecordedProgress, step_context
from windlass.supervisor.client import Supervisor

MODULE = """
import asyncio, time

def here(): ...

def add(a: int, b: int = 1) -> int:
    return a + b

async def wait_long():
    here()
    await asyncio.sleep(600)

def spin():
    here()
    while True:
        time.sleep(0.001)

class Job:
    async def execute(self, context, progress):
        await progress(10, "begun")
        raise KeyError(context["key"])
    def should_retry(self, attempt):
        return False

def leave():
    raise SystemExit(3)
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "inplace_jobs.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("inplace_jobs", None)


@pytest.fixture
def context(tmp_path: Path, processes: Supervisor, log: RecordedLog) -> Any:
    return lambda **given: step_context(tmp_path, processes, log=log, inline=True, grace=0.2, **given)


def config(name: str, isolation: str) -> dict[str, Any]:
    return {"function": f"inplace_jobs:{name}", "isolation": isolation}


async def test_a_function_in_a_thread(context: Any) -> None:
    outcome = await Python().run(context(parameters={"a": 2}), config("add", "thread"))
    assert outcome == Completed({"result": 3})


@pytest.mark.parametrize("isolation", ["thread", "inline"])
async def test_a_job_class_fails_with_its_hooks_asked(context: Any, log: RecordedLog, isolation: str) -> None:
    progress = RecordedProgress()
    outcome = await Python().run(context(parameters={"key": "k"}, progress=progress), config("Job", isolation))
    assert outcome == Failed("error", "KeyError: 'k'", may_retry=False)
    assert "Traceback" in log.text("stderr")
    assert progress.reports == [(10, "begun")]


@pytest.mark.parametrize(("name", "isolation"), [("wait_long", "inline"), ("wait_long", "thread"), ("spin", "thread")])
@pytest.mark.parametrize("how", ["cancel", "deadline"])
async def test_it_can_be_stopped(context: Any, name: str, isolation: str, how: str, log: RecordedLog) -> None:
    given = context()
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    importlib.import_module("inplace_jobs").here = lambda: loop.call_soon_threadsafe(begun.set)
    running = asyncio.ensure_future(Python().run(given, config(name, isolation)))
    await begun.wait()
    if how == "cancel":
        given.cancelled.set()
        assert await running == Cancelled()
    else:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert not log.entries


async def test_inline_is_for_an_applications_own_worker(tmp_path: Path, processes: Supervisor) -> None:
    outcome = await Python().run(step_context(tmp_path, processes), config("wait_long", "inline"))
    assert isinstance(outcome, Failed)
    assert "only an application's own worker allows" in outcome.message


async def test_inline_never_holds_the_event_loop(context: Any) -> None:
    outcome = await Python().run(context(parameters={"a": 1}), config("add", "inline"))
    assert isinstance(outcome, Failed)
    assert "use isolation `thread`" in outcome.message


async def test_a_thread_that_exits_does_not_end_the_worker(context: Any) -> None:
    outcome = await Python().run(context(), config("leave", "thread"))
    assert outcome == Failed("error", "RuntimeError: SystemExit: 3")
