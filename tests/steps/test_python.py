"""Python code as steps, each in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from windlass.model.outcome import Cancelled, Completed, Failed
from windlass.steps.python import Python
from windlass.steps.workbench import RecordedLog, RecordedProgress, step_context
from windlass.supervisor.client import Supervisor

HERE = Path(__file__).parent
NO_MODULE = 'there is no module "no_such" for "no_such.module:f"; install it, or set PYTHONPATH'


@pytest.fixture
async def python() -> AsyncIterator[Python]:
    step_type = Python()
    yield step_type
    await step_type.close()


@pytest.fixture
def call(tmp_path: Path, processes: Supervisor, log: RecordedLog, python: Python) -> Any:
    async def call_sample(name: str, config: dict[str, Any] | None = None, **context: Any) -> Any:
        context.setdefault("log", log)
        context["env"] = {"PYTHONPATH": str(HERE), **context.get("env", {})}
        given = {"function": name if ":" in name else f"sample_jobs:{name}", **(config or {})}
        return await python.run(step_context(tmp_path, processes, **context), given)

    return call_sample


async def test_parameters_enter_by_name_and_the_result_is_an_output(call: Any) -> None:
    assert await call("fibo", parameters={"n": 10, "other": 1}) == Completed({"result": 55})
    assert await call("double", parameters={"x": 4}) == Completed({"value": 8})
    assert await call("double", {"arguments": {"x": 4, "factor": 3}}) == Completed({"value": 12})


async def test_a_dataclass_takes_all_parameters_and_is_checked(call: Any) -> None:
    assert await call("span", parameters={"day": "2026-01-02"}) == Completed({"result": "date 2026-01-02 24"})
    outcome = await call("span", parameters={"day": "soon"})
    assert outcome == Failed("error", "the context does not fit: Invalid RFC3339 encoded date - at `$.day`")


async def test_a_job_class_reports_progress_and_gives_its_result(call: Any) -> None:
    progress = RecordedProgress()
    outcome = await call("Count", parameters={"day": "2026-01-02", "hours": 3}, progress=progress)
    assert outcome == Completed({"rows": 3})
    assert progress.reports == [(50.0, "half"), (100.0, None)]


async def test_the_hooks_of_a_job_class_decide_on_another_attempt(call: Any) -> None:
    first = await call("Stubborn", attempt=1)
    assert (first.kind, first.message) == ("error", "ConnectionError: refused")
    assert (first.may_retry, first.retry_after) == (True, 7.5)
    assert (await call("Stubborn", attempt=2)).may_retry is False


async def test_print_and_children_write_to_the_log(call: Any, log: RecordedLog) -> None:
    assert await call("talk", parameters={"region": "eu"}) == Completed({"said": 1})
    assert log.text("stdout") == 'hello eu\n##windlass::output {"said": 1}\nfrom a child\n'
    assert log.text("stderr") == "oh\n"


async def test_an_exception_is_a_failure_with_its_traceback_in_the_log(call: Any, log: RecordedLog) -> None:
    assert await call("fail") == Failed("error", "ValueError: no luck")
    lines = log.text("stderr").splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "sample_jobs.py" in lines[1]
    assert lines[-1] == "ValueError: no luck"


@pytest.mark.parametrize(
    ("function", "parameters", "expected"),
    [
        ("leave", {"code": 0}, Completed({})),
        ("leave", {"code": 3}, Failed("exit", "it ended with exit code 3", 3)),
        ("crash", {"signal": 11}, Failed("exit", "it was ended by SIGSEGV", 139)),
        ("crash", {"signal": 9}, Failed("exit", "it was ended by SIGKILL", 137)),
        ("vanish", {}, Failed("error", "the process ended before the function returned", 0)),
        ("odd", {}, Failed("error", "the result holds a object, which JSON does not have")),
        ("huge", {}, Failed("error", "the result is larger than outputs may be")),
        ("missing", {}, Failed("error", 'there is no "missing" in the module "sample_jobs"')),
        ("no_such.module:f", {}, Failed("error", NO_MODULE)),
        ("Empty", {}, Failed("error", '"sample_jobs:Empty" is a class without a method `execute`')),
        ("fibo", {"m": 1}, Failed("error", '"sample_jobs:fibo" needs "n", which is not among its arguments (m)')),
        ("fibo", {"n": "1"}, Failed("error", '"n" does not fit: Expected `int`, got `str`')),
    ],
)  # fmt: skip
async def test_ways_to_end(call: Any, function: str, parameters: dict[str, Any], expected: Any) -> None:
    assert await call(function, parameters=parameters) == expected


async def test_arguments_that_are_left_over_are_an_error(call: Any) -> None:
    outcome = await call("fibo", {"arguments": {"n": 1, "m": 2}})
    assert outcome == Failed("error", '"sample_jobs:fibo" has no parameter "m"')


async def test_too_large_a_result_is_refused(call: Any) -> None:
    outcome = await call("large")
    assert (outcome.reason, outcome.may_retry) == ("outputs_too_large", False)


async def test_calls_of_one_run_share_a_warm_process(call: Any) -> None:
    first = await call("pid")
    await call("fail")
    assert await call("pid") == first
    assert await call("pid", {"environment": {"TOKEN": "other"}}) != first


async def test_another_run_or_other_credentials_get_another_process(
    python: Python, tmp_path: Path, processes: Supervisor
) -> None:
    async def pid_of(**changes: Any) -> int:
        context = step_context(tmp_path, processes, env={"PYTHONPATH": str(HERE)})
        for name in ("project", "job", "revision", "run_id"):
            if name in changes:
                context.identity = type(context.identity)(
                    **{one: changes.get(one, getattr(context.identity, one)) for one in IDENTITY}
                )
        context.credentials = changes.get("credentials")
        outcome = await python.run(context, {"function": "sample_jobs:pid"})
        assert isinstance(outcome, Completed)
        return int(outcome.outputs["pid"])

    first = await pid_of()
    assert await pid_of() == first
    assert await pid_of(run_id="other") != first
    shared = await pid_of(credentials="none")
    assert await pid_of(credentials="none", run_id="other") == shared
    assert await pid_of(credentials="some") != shared
    for name in ("project", "job"):
        assert await pid_of(credentials="none", **{name: "other"}) != shared
    assert await pid_of(credentials="none", revision=2) != shared


IDENTITY = ("project", "job", "revision", "run_id", "task_id", "step", "key", "attempt")


async def test_each_call_has_its_own_environment_and_nothing_of_the_workers(call: Any) -> None:
    os.environ["WINDLASS_TEST_CANARY"] = "seen"
    try:
        await call("variables", env={"WINDLASS_RUN_ID": "1", "WINDLASS_TASK_ID": "1"})
        outcome = await call("variables", env={"WINDLASS_RUN_ID": "2"})
    finally:
        del os.environ["WINDLASS_TEST_CANARY"]
    assert outcome.outputs["WINDLASS_RUN_ID"] == "2"
    assert not {"WINDLASS_TEST_CANARY", "WINDLASS_TASK_ID"} & set(outcome.outputs)


async def test_modules_of_the_steps_folder_are_found_and_never_stale(call: Any, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "local_tasks.py").write_text("def f(): return 1")
    assert await call("local_tasks:f") == Completed({"result": 1})
    (folder / "local_tasks.py").write_text("def f(): return 'new'")
    assert await call("local_tasks:f") == Completed({"result": "new"})


async def test_what_a_call_leaves_running_ends_with_it(call: Any) -> None:
    first = await call("pid")
    left = await call("leave_child")
    assert not exists(left.outputs["result"])
    assert await call("pid") != first


@pytest.mark.parametrize("function", ["forge", "forge_much"])
async def test_a_job_that_breaks_into_the_channel_only_harms_itself(call: Any, function: str) -> None:
    first = await call("pid")
    outcome = await call(function)
    assert isinstance(outcome, Failed)
    assert await call("pid") != first


@pytest.mark.parametrize("function", ["fork", "close_stdout"])
async def test_a_process_that_is_no_longer_fit_serves_no_other_call(call: Any, function: str) -> None:
    first = await call("pid")
    await call(function)
    assert await call("pid") != first


async def test_what_a_call_changes_for_its_process_is_undone(call: Any) -> None:
    fresh = await call("settings", {"environment": {"X": "other"}})
    assert await call("meddle") == Completed({})
    assert await call("settings") == fresh


async def test_a_result_that_is_nested_too_deeply(call: Any) -> None:
    outcome = await call("deep")
    assert isinstance(outcome, Failed)
    assert "the result is no JSON" in outcome.message


@pytest.mark.promise("H11")
@pytest.mark.parametrize("function", ["hang_and_tidy", "hang_softly"])
async def test_a_cancel_lets_the_code_tidy_up(
    function: str, python: Python, tmp_path: Path, processes: Supervisor
) -> None:
    log = Started()
    target = tmp_path / "tidied"
    context = step_context(
        tmp_path, processes, log=log, parameters={"path": str(target)}, env={"PYTHONPATH": str(HERE)}
    )
    running = asyncio.ensure_future(python.run(context, {"function": f"sample_jobs:{function}"}))
    await log.line.wait()
    context.cancelled.set()
    assert await running == Cancelled()
    assert target.read_text() == "tidied"


@pytest.mark.promise("H06")
async def test_a_deadline_ends_the_process(python: Python, tmp_path: Path, processes: Supervisor) -> None:
    log = Started()
    context = step_context(tmp_path, processes, log=log, env={"PYTHONPATH": str(HERE)}, grace=0.1)
    running = asyncio.ensure_future(python.run(context, {"function": "sample_jobs:hang"}))
    await log.line.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert log.text() == "started\n"


async def test_an_interpreter_that_is_none(call: Any) -> None:
    outcome = await call("pid", {"python": "/bin/false"})
    assert outcome.message == 'the interpreter "/bin/false" ended before it took the call; its own words are in the log'
    outcome = await call("pid", {"python": "no-such-python"})
    assert 'the program "no-such-python" was not found' in outcome.message


async def test_another_interpreter_needs_nothing_of_ours(call: Any) -> None:
    bare = {"python": sys._base_executable}  # type: ignore[attr-defined]
    assert await call("fibo", bare, parameters={"n": 5}) == Completed({"result": 5})
    assert await call("knows_us", bare) == Completed({"result": False})
    outcome = await call("span", bare, parameters={"day": "2026-01-02"})
    assert outcome.message == "the context is a dataclass, for which this interpreter needs the package msgspec"


@pytest.mark.promise("O08", part="attempts")
async def test_usage_is_kept(python: Python, tmp_path: Path, processes: Supervisor) -> None:
    context = step_context(tmp_path, processes, parameters={"n": 18}, env={"PYTHONPATH": str(HERE)})
    await python.run(context, {"function": "sample_jobs:fibo"})
    assert context.usage.max_rss_bytes > 4_000_000
    assert context.usage.cpu_seconds > 0


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


class Started(RecordedLog):
    """A log that tells when the first line is there."""

    def __init__(self) -> None:
        """Start without a line."""
        super().__init__()
        self.line = asyncio.Event()

    async def write(self, data: bytes, stream: Any = "stdout") -> None:
        await super().write(data, stream)
        self.line.set()
