"""Scripts and programs as steps, with real processes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from windlass.model.outcome import Cancelled, Completed, Failed
from windlass.steps.fake_processes import FakeProcesses, Script
from windlass.steps.process import Process
from windlass.steps.python_process import call_in_process
from windlass.steps.runner_pool import RunnerPool
from windlass.steps.shell import Shell
from windlass.steps.workbench import RecordedLog, step_context
from windlass.supervisor.client import Supervisor
from windlass.supervisor.contract import NotStarted, SupervisorLost


@pytest.fixture
def run(tmp_path: Path, processes: Supervisor, log: RecordedLog) -> Any:
    async def shell(config: dict[str, Any] | str, **context: Any) -> Any:
        given = {"run": config} if isinstance(config, str) else config
        return await Shell().run(step_context(tmp_path, processes, log=log, **context), given)

    return shell


@pytest.mark.promise("C14", part="processes")
async def test_a_script_completes_with_its_output_in_the_log(run: Any, log: RecordedLog) -> None:
    assert await run("echo hello; echo oh >&2") == Completed({}, 0)
    assert log.text("stdout") == "hello\n"
    assert log.text("stderr") == "oh\n"


async def test_the_exit_code_is_the_scripts(run: Any) -> None:
    assert await run("exit 75") == Failed("exit", "it ended with exit code 75", 75)


async def test_a_signal_is_named(run: Any) -> None:
    assert await run("kill -SEGV $$") == Failed("exit", "it was ended by SIGSEGV", 139)


async def test_a_script_larger_than_an_argument_may_be(run: Any, log: RecordedLog) -> None:
    assert await run("#" + "x" * 300_000 + "\necho done") == Completed({}, 0)
    assert log.text() == "done\n"


async def test_the_shell_and_its_options_are_the_authors(run: Any, log: RecordedLog) -> None:
    assert isinstance(await run({"run": "false; echo on", "shell": ["/bin/sh", "-e"]}), Failed)
    assert await run({"run": "false; echo on"}) == Completed({}, 0)
    assert log.text() == "on\n"


async def test_a_command_is_read_by_no_shell(run: Any, log: RecordedLog) -> None:
    assert await run({"command": ["echo", "$HOME; *", "'"]}) == Completed({}, 0)
    assert log.text() == "$HOME; * '\n"


async def test_environment_and_working_directory(run: Any, log: RecordedLog, tmp_path: Path) -> None:
    (tmp_path / "work" / "sub").mkdir(parents=True)
    config = {"run": "pwd; echo $N $B", "working_directory": "sub", "environment": {"N": 3, "B": True}}
    assert await run(config, env={"N": "2"}) == Completed({}, 0)
    assert log.text() == f"{tmp_path}/work/sub\n3 true\n"


async def test_nothing_of_the_workers_environment_is_seen(run: Any, log: RecordedLog) -> None:
    os.environ["WINDLASS_TEST_CANARY"] = "seen"
    try:
        await run("env")
    finally:
        del os.environ["WINDLASS_TEST_CANARY"]
    assert "CANARY" not in log.text()


async def test_a_missing_folder_is_named(run: Any, tmp_path: Path) -> None:
    outcome = await run({"run": "true", "working_directory": "nowhere"})
    assert outcome == Failed("error", f"working_directory {tmp_path}/work/nowhere is not a folder")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["no-such-program"], 'the program "no-such-program" was not found; give its full path, or set PATH in `env`'),
        (["/etc/passwd"], 'the program "/etc/passwd" may not be started: Permission denied'),
        (
            ["echo", "x" * 200_000],
            'no command takes as much as the arguments of "echo"; the largest has 200,000 of 200,004',
        ),
        (["echo", "a\0b"], 'the program "echo" cannot be started'),
    ],
)
async def test_what_cannot_be_started_fails_with_one_sentence(
    argv: list[str], message: str, tmp_path: Path, processes: Supervisor
) -> None:
    outcome = await Process().run(step_context(tmp_path, processes), {"command": argv})
    assert isinstance(outcome, Failed)
    assert outcome.kind == "error"
    assert message in outcome.message
    assert "\n" not in outcome.message


@pytest.mark.promise("C12")
async def test_outputs_from_lines_and_from_the_file(run: Any) -> None:
    outcome = await run(
        """echo '##windlass::output {"rows": 42, "at": "x"}'
        printf '%s\\n' '{"at": "y"}' '{"list": [1, null]}' > "$WINDLASS_OUTPUT"
        echo '##caesium::output {"route": "fast"}'"""
    )
    assert outcome == Completed({"rows": 42, "route": "fast", "at": "y", "list": [1, None]}, 0)


async def test_outputs_of_a_failed_script_are_kept(run: Any) -> None:
    outcome = await run("""echo '##windlass::output {"rows": 42}'; exit 3""")
    assert outcome == Failed("exit", "it ended with exit code 3", 3, {"rows": 42})


async def test_an_output_that_is_no_json_is_a_warning(run: Any, log: RecordedLog) -> None:
    assert await run("echo '##windlass::output {rows}'") == Completed({}, 0)
    assert "an output line is left out: expecting property name" in log.text("system")


async def test_too_large_outputs_fail_the_step(run: Any) -> None:
    value = "head -c 30000 /dev/zero | tr '\\0' x"
    outcome = await run(f"for i in 1 2 3; do echo '##windlass::output {{\"k'$i'\": \"'$({value})'\"}}'; done")
    assert isinstance(outcome, Failed)
    assert outcome.reason == "outputs_too_large"
    assert "over the limit of 65,536" in outcome.message


@pytest.mark.parametrize("make", ["ln -s /etc/hostname", "touch other && ln other", "mkdir", "mkfifo"])
async def test_an_output_file_that_is_no_plain_file_is_left_out(run: Any, log: RecordedLog, make: str) -> None:
    assert await run(f'{make} "$WINDLASS_OUTPUT"') == Completed({}, 0)
    assert "$WINDLASS_OUTPUT is left out" in log.text("system")


@pytest.mark.promise("H11")
async def test_a_cancel_stops_the_whole_tree(tmp_path: Path, processes: Supervisor) -> None:
    started = Started()
    context = step_context(tmp_path, processes, log=started, grace=0.2)
    running = asyncio.ensure_future(
        Shell().run(context, {"run": "trap '' TERM; (trap '' TERM; setsid sleep 600) & echo $!; wait; sleep 600"})
    )
    await started.line.wait()
    context.cancelled.set()
    assert await running == Cancelled()
    assert not alive(started.text())


@pytest.mark.promise("H06")
async def test_a_deadline_stops_the_process_before_it_is_raised(tmp_path: Path, processes: Supervisor) -> None:
    started = Started()
    context = step_context(tmp_path, processes, log=started, grace=0.2)
    running = asyncio.ensure_future(Shell().run(context, {"run": "trap '' TERM; echo $$; while :; do sleep 600; done"}))
    await started.line.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not alive(started.text())


async def test_cancelled_before_it_began(tmp_path: Path, processes: Supervisor) -> None:
    context = step_context(tmp_path, processes)
    context.cancelled.set()
    assert await Shell().run(context, {"run": "touch ran"}) == Cancelled()
    assert not (context.workdir / "ran").exists()


async def test_what_is_left_running_is_ended(run: Any, log: RecordedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("windlass.steps.capture.LINGER", 0.2)
    assert await run("sleep 600 & echo $!") == Completed({}, 0)
    assert not alive(log.text("stdout"))
    assert log.text("system") == "[windlass: ended what the step left running: 1 process]\n"


@pytest.mark.promise("O08", part="attempts")
async def test_usage_is_kept(tmp_path: Path, processes: Supervisor) -> None:
    context = step_context(tmp_path, processes)
    await Shell().run(context, {"run": "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"})
    assert context.usage.cpu_seconds > 0
    assert context.usage.max_rss_bytes > 500_000


async def test_no_descriptors_are_left_open(run: Any) -> None:
    await run("true")
    before = open_files()
    for _ in range(5):
        await run("true")
        await run({"command": ["no-such-program"]})
    assert open_files() == before


def alive(pid: str) -> bool:
    return Path(f"/proc/{pid.strip()}").exists()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Started(RecordedLog):
    """A log that tells when the first line is there."""

    def __init__(self) -> None:
        """Start without a line."""
        super().__init__()
        self.line = asyncio.Event()

    async def write(self, data: bytes, stream: Any = "stdout") -> None:
        await super().write(data, stream)
        self.line.set()


@pytest.mark.parametrize(("error", "kind"), [(SupervisorLost("gone"), "lost"), (NotStarted("gone"), "error")])
async def test_a_start_that_may_have_been_made_is_not_tried_again(
    tmp_path: Path, error: SupervisorLost, kind: str
) -> None:
    processes = FakeProcesses.playing([Script(error=error), Script(error=error)])
    ended = [await Shell().run(step_context(tmp_path / "shell", processes), {"run": "true"})]
    pool = RunnerPool()
    ended.append(await call_in_process(pool, step_context(tmp_path / "python", processes), {"function": "m:f"}))
    assert [(one.kind, one.reason) for one in ended if isinstance(one, Failed)] == [(kind, "supervisor_lost")] * 2
