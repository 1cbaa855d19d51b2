"""Python code as a step inside the worker itself: in a thread, or on the event loop of an application's own worker."""

from __future__ import annotations

import asyncio
import ctypes
import threading
import traceback
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

from windlass.model.outcome import Cancelled, Failed
from windlass.model.report import Report
from windlass.steps import python_call
from windlass.steps.capture import LINGER
from windlass.steps.python_process import completed
from windlass.steps.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from windlass.model.outcome import Outcome
    from windlass.steps.contract import StepContext
    from windlass.steps.python_call import Call


class _Stopped(BaseException):
    """Raised in a thread that is to end."""


class _Progress:
    """What a step gets to report how far it is; works with and without `await`, from any thread."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        #: Keeps the reports that are under way.
        self._reports: set[asyncio.Future[None]] = set()
        #: True once the attempt is to stop.
        self.cancelled = False

    def __call__(self, percent: float | None = None, message: str | None = None) -> _Progress:
        self._loop.call_soon_threadsafe(self._report, percent, message)
        return self

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()

    def _report(self, percent: float | None, message: str | None) -> None:
        report = asyncio.ensure_future(self._context.progress(percent, message))
        self._reports.add(report)
        report.add_done_callback(self._reports.discard)


async def call_in_place(context: StepContext, config: Mapping[str, Any], find: Callable[[str], Any]) -> Outcome:
    """Await an asynchronous function on the worker's event loop, and return how it ended."""
    function = config["function"]
    if not context.inline:
        text = f'"{function}" asks for isolation `inline`, which only an application\'s own worker allows'
        return Failed("error", text, may_retry=False)
    call: Call | None = None
    try:
        call = _prepare(context, config, _Progress(context), find)
        if not call.asynchronous:
            text = f'"{function}" is not asynchronous, so it would hold the event loop; use isolation `thread`'
            return Failed("error", text, may_retry=False)
        task = asyncio.ensure_future(call.start())
        stopped = await _until_done(context, task)
        if stopped:
            return Cancelled()
        value = task.result()
    except Exception as error:  # noqa: BLE001 - whatever the step raises is its failure
        return await _failed(context, call, error)
    return _completed(context, call, value)


async def _until_done(context: StepContext, task: asyncio.Future[Any]) -> bool:
    """Wait for `task`; cancel it where the attempt is to stop, and say whether that was so."""
    cancel = asyncio.ensure_future(context.cancelled.wait())
    try:
        await asyncio.wait([task, cancel], return_when=asyncio.FIRST_COMPLETED)
        stopped = not task.done()
        if stopped:
            task.cancel()
            await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        await uninterrupted(_settled(task))
        raise
    else:
        return stopped
    finally:
        cancel.cancel()
        if task.done() and not task.cancelled():
            task.exception()


async def _settled(task: asyncio.Future[Any]) -> None:
    await asyncio.wait([task])


async def call_in_thread(context: StepContext, config: Mapping[str, Any], find: Callable[[str], Any]) -> Outcome:
    """Call a function in a thread of the worker, and return how it ended.

    A thread cannot be killed: a stop raises an exception in it, which waits for a blocking call to return.
    """
    progress = _Progress(context)
    call: Call | None = None
    try:
        call = _prepare(context, config, progress, find)
        value, stopped = await _ThreadCall(context, call, progress).finish()
    except Exception as error:  # noqa: BLE001 - whatever the step raises is its failure
        return await _failed(context, call, error)
    return Cancelled() if stopped else _completed(context, call, value)


class _ThreadCall:
    """One call in one thread."""

    def __init__(self, context: StepContext, call: Call, progress: _Progress) -> None:
        self._context = context
        self._call = call
        self._progress = progress
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[Any] = self._loop.create_future()
        #: Cancels the code's own task, where it is asynchronous.
        self._cancel_task: asyncio.Handle | None = None
        self._inner: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self._thread = threading.Thread(target=self._run, name=f"step {context.identity.step}", daemon=True)

    async def finish(self) -> tuple[Any, bool]:
        """Return the value and whether the call was stopped. Raises what the code raised."""
        self._thread.start()
        cancel = asyncio.ensure_future(self._context.cancelled.wait())
        try:
            await asyncio.wait([self._done, cancel], return_when=asyncio.FIRST_COMPLETED)
            if self._done.done():
                return self._done.result(), False
            await self._stop()
        except asyncio.CancelledError:
            await uninterrupted(self._stop())
            raise
        finally:
            cancel.cancel()
        return None, True

    async def _stop(self) -> None:
        self._progress.cancelled = True
        if self._inner:
            self._inner[0].call_soon_threadsafe(self._inner[1].cancel)
        await asyncio.wait([self._done], timeout=self._context.grace)
        if not self._done.done() and self._thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), ctypes.py_object(_Stopped))
            await asyncio.wait([self._done], timeout=LINGER)
        if self._done.done():
            self._done.exception()
        else:
            text = "[windlass: the thread could not be stopped and runs on; use isolation `process`]\n"
            await self._context.log.write(text.encode(), "system")

    def _run(self) -> None:
        value: Any = None
        error: BaseException | None = None
        try:
            value = self._call.start()
            if hasattr(value, "__await__"):
                value = asyncio.run(self._await(value))
        except BaseException as raised:  # noqa: BLE001 - it belongs to the one who waits
            error = raised
        try:
            self._loop.call_soon_threadsafe(self._settle, value, error)
        except RuntimeError:  # the worker's loop is closed: nobody waits any more
            return

    async def _await(self, awaitable: Any) -> Any:
        task = asyncio.ensure_future(awaitable)
        self._inner = (asyncio.get_running_loop(), task)
        return await task

    def _settle(self, value: Any, error: BaseException | None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(value)
        elif isinstance(error, Exception):
            self._done.set_exception(error)
        else:
            # SystemExit and its kin would end the worker.
            self._done.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))


def _prepare(context: StepContext, config: Mapping[str, Any], progress: Any, find: Callable[[str], Any]) -> Call:
    path = config["function"]
    arguments = config.get("arguments", context.parameters)
    return python_call.prepare(find(path), path, arguments, progress, chosen="arguments" in config)


def _completed(context: StepContext, call: Call, value: Any) -> Outcome:
    try:
        outputs = python_call.outputs_of(call, value)
    except python_call.Refused as error:
        return Failed("error", str(error), may_retry=False)
    return completed(Report(context.choices), outputs)


async def _failed(context: StepContext, call: Call | None, error: Exception) -> Outcome:
    may_retry, delay = True, None
    if not isinstance(error, python_call.Refused):
        await context.log.write("".join(traceback.format_exception(error)).encode("utf-8", "replace"), "stderr")
        try:
            may_retry, delay = python_call.after_failure(call, context.identity.attempt, error)
        except Exception as second:  # noqa: BLE001 - a broken hook leaves it to the policy
            await context.log.write("".join(traceback.format_exception(second)).encode("utf-8", "replace"), "stderr")
    return Failed("error", python_call.error_text(error), retry_after=delay, may_retry=may_retry)
