"""The output of one attempt's processes: two pipes, read into the log and searched for what the step reports."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from windlass.errors import LimitExceeded, UserError
from windlass.model.directives import DirectiveScanner
from windlass.model.report import Report
from windlass.steps.output_file import read_output_file
from windlass.steps.pump import Pump
from windlass.steps.wanting import when_possible

if TYPE_CHECKING:
    from windlass.steps.contract import StepContext

#: Seconds that output may still come after the process itself has ended, while something else holds its pipe.
LINGER: Final = 5.0


class Capture:
    """Standard output and error of an attempt, from the pipes' making to their end."""

    def __init__(self, context: StepContext) -> None:
        """Make the pipes. Raises OSError where the worker is out of descriptors."""
        self._context = context
        self._scanner = DirectiveScanner()
        self._pumps: list[Pump] = []
        self.report = Report(context.choices)
        out_read, self.stdout = os.pipe2(os.O_CLOEXEC)
        try:
            err_read, self.stderr = os.pipe2(os.O_CLOEXEC)
        except OSError:
            os.close(out_read)
            os.close(self.stdout)
            raise
        self._sources = (out_read, err_read)

    def handed_over(self, *, started: bool) -> None:
        """Close the ends for writing, which are another process's now; read the others, unless nothing was started."""
        os.close(self.stdout)
        os.close(self.stderr)
        if started:
            self._pumps = [Pump(self._sources[0], self._take_stdout), Pump(self._sources[1], self._take_stderr)]
        else:
            for source in self._sources:
                os.close(source)

    async def linger(self) -> bool:
        """Wait for the end of the output, but only for some seconds and only until a cancel; say whether it came."""
        cancel = asyncio.ensure_future(self._context.cancelled.wait())
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LINGER
        try:
            while reading := self._reading():
                left = deadline - loop.time()
                if cancel.done() or left <= 0:
                    return False
                await asyncio.wait([*reading, cancel], timeout=left, return_when=asyncio.FIRST_COMPLETED)
            return True
        finally:
            cancel.cancel()

    async def until_quiet(self) -> None:
        """Return at the end of the output, or when nothing came for some seconds although the log was ready for it."""
        while reading := self._reading():
            before = self._chunks()
            await asyncio.wait(reading, timeout=LINGER)
            if before == self._chunks() and not any(pump.busy for pump in self._pumps):
                return

    async def close(self, *, patience: float = 0.0) -> None:
        """Stop reading, after `patience` seconds for what is still under way; act on the last line.

        Raises what the log raised when it could not take output.
        """
        if reading := self._reading():
            if patience:
                await asyncio.wait(reading, timeout=patience)
            for task in reading:
                task.cancel()
            await asyncio.wait(reading)
        for pump in self._pumps:
            if not pump.task.cancelled() and (error := pump.task.exception()):
                raise error
        for directive in self._scanner.finish():
            self.report.take(directive)
        await self._say_warnings()

    async def read_output_file(self) -> None:
        """Take the outputs that the step wrote to the file `WINDLASS_OUTPUT`."""
        path = self._context.env.get("WINDLASS_OUTPUT")
        if path:

            async def content() -> bytes:
                return read_output_file(Path(path))

            try:
                self.report.take_lines(await when_possible(content, "The outputs of a step wait"))
            except LimitExceeded as error:
                self.report.refuse_outputs(str(error))
            except UserError as error:
                self.report.warn(str(error))
            await self._say_warnings()

    async def say(self, text: str) -> None:
        """Write a line of Windlass itself into the log."""
        await self._context.log.write(f"[windlass: {text}]\n".encode(), "system")

    def _reading(self) -> list[asyncio.Task[None]]:
        return [pump.task for pump in self._pumps if not pump.task.done()]

    def _chunks(self) -> int:
        return sum(pump.chunks for pump in self._pumps)

    async def _take_stdout(self, data: bytes) -> None:
        for directive in self._scanner.feed(data):
            self.report.take(directive)
        await self._context.log.write(data)
        await self._say_warnings()

    async def _take_stderr(self, data: bytes) -> None:
        await self._context.log.write(data, "stderr")

    async def _say_warnings(self) -> None:
        for warning in self.report.drain_warnings():
            await self.say(warning)
