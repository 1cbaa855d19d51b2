"""Running one local process as the work of an attempt: its output, its end, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from windlass.errors import WindlassError
from windlass.model.outcome import NO_RESOURCES, Cancelled, Completed, Failed
from windlass.steps.capture import LINGER, Capture
from windlass.supervisor.contract import SHORTAGES, Command, Limits, NotStarted, SupervisorLost
from windlass.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from windlass.model.outcome import Outcome
    from windlass.model.report import Report
    from windlass.steps.contract import StepContext
    from windlass.supervisor.contract import Child, Exit


#: Characters of a name that a sentence shows.
_LONGEST_NAME: Final = 200


async def run_process(context: StepContext, argv: Sequence[str], config: Mapping[str, Any]) -> Outcome:
    """Run `argv` with the settings that `shell`, `process` and `branch` share, and return how it ended."""
    if context.cancelled.is_set():
        return Cancelled()
    directory = context.workdir / config.get("working_directory", "")
    if not _is_folder(directory):
        return Failed("error", f"working_directory {str(directory)[:_LONGEST_NAME]} is not a folder")
    try:
        capture = Capture(context)
        child = await _start(context, capture, argv, config, directory)
    except OSError as error:
        return not_started(error, argv, {**context.env, **step_environment(config)}, config)
    except WindlassError as error:
        return lost_start(error)
    return await _finish(context, capture, child)


def not_started(error: OSError, argv: Sequence[str], env: Mapping[str, str], config: Mapping[str, Any]) -> Failed:
    """Say why `argv` could not be started, and whether that is for want of what this machine has none of just now."""
    own_limit = error.errno == errno.ENOMEM and "memory" in config.get("limits", {})
    short = error.errno in SHORTAGES and not own_limit
    return Failed("error", start_error(error, argv, env), reason=NO_RESOURCES if short else None)


def lost_start(error: WindlassError) -> Failed:
    """Say how an attempt ends whose process was asked for in vain: it may have begun once the request was sent."""
    if isinstance(error, SupervisorLost) and not isinstance(error, NotStarted):
        return Failed("lost", f"nobody knows whether the process was started: {error}", reason="supervisor_lost")
    return Failed("error", f"no process can be started: {error}", reason="supervisor_lost")


async def _start(
    context: StepContext, capture: Capture, argv: Sequence[str], config: Mapping[str, Any], directory: Path
) -> Child:
    command = Command(
        argv=argv,
        env={**context.env, **step_environment(config)},
        cwd=directory,
        mark=f"{context.identity.task_id}.{context.identity.attempt}",
        limits=process_limits(config),
        run_as=config.get("run_as"),
        stdout=capture.stdout,
        stderr=capture.stderr,
    )
    started = False
    try:
        child = await context.processes.spawn(command)
        started = True
    finally:
        capture.handed_over(started=started)
    return child


async def _finish(context: StepContext, capture: Capture, child: Child) -> Outcome:
    """Wait for the end, stop the process where the attempt is cancelled, and judge the result."""
    try:
        ended, stopped = await _wait(context, child)
        await drain(capture, child)
    except SupervisorLost as error:
        await capture.close(patience=LINGER)
        return Failed("lost", f"nobody knows how the process ended: {error}", reason="supervisor_lost")
    except BaseException:  # mostly the deadline's CancelledError
        await uninterrupted(abandon(context, capture, child))
        raise
    context.usage.cpu_seconds += ended.cpu_seconds
    context.usage.max_rss_bytes = max(context.usage.max_rss_bytes, ended.max_rss_bytes)
    await capture.read_output_file()
    if stopped:
        return Cancelled(dict(capture.report.outputs))
    return judge(ended, capture.report)


async def _wait(context: StepContext, child: Child) -> tuple[Exit, bool]:
    """Return how the process ended, and whether a cancel stopped it."""
    end = asyncio.ensure_future(child.wait())
    cancel = asyncio.ensure_future(context.cancelled.wait())
    try:
        await asyncio.wait([end, cancel], return_when=asyncio.FIRST_COMPLETED)
        if end.done():
            return end.result(), False
        await child.stop(context.grace)
        return await end, True
    finally:
        cancel.cancel()
        end.cancel()


async def drain(capture: Capture, child: Child) -> None:
    """Read the output to its end; what holds the pipe longer than the process itself is ended."""
    await capture.linger()
    swept = await child.sweep()
    if swept:
        await capture.say(f"ended what the step left running: {swept} process{'es' if swept > 1 else ''}")
    await capture.until_quiet()
    await capture.close()


async def abandon(context: StepContext, capture: Capture, child: Child) -> None:
    """Stop the process because the attempt's time is up, and wait no longer for the log than for a process."""
    with contextlib.suppress(WindlassError):
        await child.stop(context.grace)
    await capture.close(patience=LINGER)


def judge(ended: Exit, report: Report) -> Outcome:
    """Say what the end of a process means for its attempt."""
    outputs = dict(report.outputs)
    if ended.out_of_memory:
        return Failed("exit", "it was killed because memory ran out", 137, outputs, reason="oom")
    if ended.status < 0:
        return Failed("exit", f"it was ended by {_signal_name(-ended.status)}", 128 - ended.status, outputs)
    if ended.status > 0:
        return Failed("exit", f"it ended with exit code {ended.status}", ended.status, outputs)
    if report.problem is not None:
        return report.problem
    return Completed(outputs, 0, report.branches)


def step_environment(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a config's `environment` as text."""
    return {name: _text(value) for name, value in config.get("environment", {}).items()}


def process_limits(config: Mapping[str, Any]) -> Limits:
    """Return the resource limits of a config."""
    limits = {name: int(limit) for name, limit in config.get("limits", {}).items()}  # 5.0 is an integer in JSON Schema
    return Limits(
        cpu_seconds=limits.get("cpu_seconds"),
        memory_bytes=limits.get("memory"),
        open_files=limits.get("open_files"),
    )


def start_error(error: OSError, argv: Sequence[str], env: Mapping[str, str]) -> str:
    """Return one sentence for why `argv` could not be started with the variables `env`."""
    name = argv[0][:_LONGEST_NAME]
    match error.errno:
        case errno.ENOENT:
            return f'the program "{name}" was not found; give its full path, or set PATH in `env`'
        case errno.EACCES | errno.EPERM:
            return f'the program "{name}" may not be started: {error.strerror}'
        case errno.E2BIG:
            largest = max(env, key=lambda variable: len(env[variable]), default="")
            if len(env.get(largest, "")) > max(map(len, argv)):
                what = f'the environment of "{name}"; its largest variable is {largest} with {len(env[largest]):,}'
            else:
                what = f'the arguments of "{name}"; the largest has {max(map(len, argv)):,} of {sum(map(len, argv)):,}'
            return f"no command takes as much as {what} characters"
        case errno.ENOEXEC:
            return f'"{name}" is neither a program of this machine nor a script with a first line `#!`'
    return f'the program "{name}" cannot be started: {error.strerror or error}'


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - pathlib raises where a name is too long


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
