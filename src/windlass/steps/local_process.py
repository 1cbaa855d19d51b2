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

from windlass.errors import LimitExceeded, UserError, WindlassError
from windlass.model.directives import DirectiveScanner
from windlass.model.outcome import Cancelled, Completed, Failed
from windlass.model.report import Report
from windlass.steps.output_file import read_output_file
from windlass.steps.pump import Pump
from windlass.steps.uninterrupted import uninterrupted
from windlass.supervisor.contract import Command, Limits

if TYPE_CHECKING:
    from windlass.model.outcome import Outcome
    from windlass.steps.contract import StepContext
    from windlass.supervisor.contract import Child, Exit

#: Seconds that output may still come after the process itself has ended, while something else holds its pipe.
_LINGER: Final = 5.0


async def run_process(context: StepContext, argv: Sequence[str], config: Mapping[str, Any]) -> Outcome:
    """Run `argv` with the settings that `shell`, `process` and `branch` share, and return how it ended."""
    if context.cancelled.is_set():
        return Cancelled()
    directory = context.workdir / config.get("working_directory", "")
    if not directory.is_dir():
        return Failed("error", f"working_directory {directory} is not a folder")
    attempt = _Attempt(context)
    try:
        child = await attempt.start(argv, config, directory)
    except OSError as error:
        return Failed("error", _start_error(error, argv))
    except WindlassError as error:
        return Failed("error", f"no process can be started: {error}", reason="supervisor_lost")
    return await attempt.finish(child)


class _Attempt:
    """One process from its start to the end of its output."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._report = Report(context.choices)
        self._scanner = DirectiveScanner()
        self._pumps: list[Pump] = []

    async def start(self, argv: Sequence[str], config: Mapping[str, Any], directory: Path) -> Child:
        """Start the process and the reading of its output. Raises OSError as exec would."""
        context = self._context
        limits = config.get("limits", {})
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        err_read, err_write = os.pipe2(os.O_CLOEXEC)
        command = Command(
            argv=argv,
            env={**context.env, **{name: _text(value) for name, value in config.get("environment", {}).items()}},
            cwd=directory,
            mark=f"{context.identity.task_id}.{context.identity.attempt}",
            limits=Limits(
                cpu_seconds=limits.get("cpu_seconds"),
                memory_bytes=limits.get("memory"),
                open_files=limits.get("open_files"),
            ),
            run_as=config.get("run_as"),
            stdout=out_write,
            stderr=err_write,
        )
        try:
            child = await context.processes.spawn(command)
        except BaseException:
            os.close(out_read)
            os.close(err_read)
            raise
        finally:
            os.close(out_write)
            os.close(err_write)
        self._pumps = [Pump(out_read, self._take_stdout), Pump(err_read, self._take_stderr)]
        return child

    async def finish(self, child: Child) -> Outcome:
        """Wait for the end, stop the process where the attempt is cancelled, and judge the result."""
        try:
            ended, stopped = await self._wait(child)
            await self._drain(child)
        except asyncio.CancelledError:
            await uninterrupted(self._abandon(child))
            raise
        except WindlassError as error:
            await uninterrupted(self._abandon(child))
            return Failed("lost", f"the process can no longer be watched: {error}", reason="supervisor_lost")
        self._context.usage.cpu_seconds += ended.cpu_seconds
        self._context.usage.max_rss_bytes = max(self._context.usage.max_rss_bytes, ended.max_rss_bytes)
        await self._read_outputs()
        outputs = dict(self._report.outputs)
        if stopped:
            return Cancelled(outputs)
        return _judge(ended, self._report, outputs)

    async def _wait(self, child: Child) -> tuple[Exit, bool]:
        """Return how the process ended, and whether a cancel stopped it."""
        end = asyncio.ensure_future(child.wait())
        cancel = asyncio.ensure_future(self._context.cancelled.wait())
        try:
            await asyncio.wait([end, cancel], return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                return end.result(), False
            await child.stop(self._context.grace)
            return await end, True
        finally:
            cancel.cancel()
            end.cancel()

    async def _drain(self, child: Child) -> None:
        """Read the output to its end; what holds the pipe longer than the process itself is ended."""
        await self._linger()
        swept = await child.sweep()
        if swept:
            await self._say(f"ended what the step left running: {swept} process{'es' if swept > 1 else ''}")
        await self._until_quiet()
        await self._close_pumps()

    async def _linger(self) -> None:
        """Wait for the end of the output, but only for some seconds and only until a cancel."""
        cancel = asyncio.ensure_future(self._context.cancelled.wait())
        deadline = asyncio.get_running_loop().time() + _LINGER
        while reading := [pump.task for pump in self._pumps if not pump.task.done()]:
            left = deadline - asyncio.get_running_loop().time()
            if cancel.done() or left <= 0:
                break
            await asyncio.wait([*reading, cancel], timeout=left, return_when=asyncio.FIRST_COMPLETED)
        cancel.cancel()

    async def _until_quiet(self) -> None:
        """Return at the end of the output, or when nothing came for some seconds although the log was ready for it."""
        while pending := [pump.task for pump in self._pumps if not pump.task.done()]:
            before = sum(pump.chunks for pump in self._pumps)
            await asyncio.wait(pending, timeout=_LINGER)
            if before == sum(pump.chunks for pump in self._pumps) and not any(pump.busy for pump in self._pumps):
                return

    async def _abandon(self, child: Child) -> None:
        with contextlib.suppress(WindlassError):
            await child.stop(self._context.grace)
        # No longer than this, whatever the log does: the attempt's time is up.
        await asyncio.wait([pump.task for pump in self._pumps], timeout=_LINGER)
        await self._close_pumps()

    async def _close_pumps(self) -> None:
        for pump in self._pumps:
            pump.task.cancel()
        await asyncio.wait([pump.task for pump in self._pumps])
        for directive in self._scanner.finish():
            self._report.take(directive)
        await self._say_warnings()

    async def _take_stdout(self, data: bytes) -> None:
        for directive in self._scanner.feed(data):
            self._report.take(directive)
        await self._context.log.write(data)
        await self._say_warnings()

    async def _take_stderr(self, data: bytes) -> None:
        await self._context.log.write(data, "stderr")

    async def _read_outputs(self) -> None:
        path = self._context.env.get("WINDLASS_OUTPUT")
        if path:
            try:
                self._report.take_lines(read_output_file(Path(path)))
            except LimitExceeded as error:
                self._report.refuse_outputs(str(error))
            except UserError as error:
                self._report.warn(str(error))
            await self._say_warnings()

    async def _say_warnings(self) -> None:
        for warning in self._report.drain_warnings():
            await self._say(warning)

    async def _say(self, text: str) -> None:
        await self._context.log.write(f"[windlass: {text}]\n".encode(), "system")


def _judge(ended: Exit, report: Report, outputs: Mapping[str, Any]) -> Outcome:
    if ended.out_of_memory:
        return Failed("exit", "it was killed because memory ran out", 137, outputs, reason="oom")
    if ended.status < 0:
        code = 128 - ended.status
        return Failed("exit", f"it was ended by {_signal_name(-ended.status)}", code, outputs)
    if ended.status > 0:
        return Failed("exit", f"it ended with exit code {ended.status}", ended.status, outputs)
    if report.problem is not None:
        return report.problem
    return Completed(outputs, 0, report.branches)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _start_error(error: OSError, argv: Sequence[str]) -> str:
    name = argv[0]
    match error.errno:
        case errno.ENOENT:
            return f'the program "{name}" was not found; give its full path, or set PATH in `env`'
        case errno.EACCES | errno.EPERM:
            return f'the program "{name}" may not be started: {error.strerror}'
        case errno.E2BIG:
            size = sum(map(len, argv))
            return f'the arguments of "{name}" ({size:,} characters) and its environment are too large for one command'
        case errno.ENOEXEC:
            return f'"{name}" is neither a program of this machine nor a script with a first line `#!`'
    return f'the program "{name}" cannot be started: {error.strerror or error}'
