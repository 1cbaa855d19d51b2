"""Python code as a step inside the worker itself: in a thread, or on the event loop of an application's own worker."""

from __future__ import annotations

import asyncio
import ctypes
import threading
import traceback
from collections.abc import Callable, Generator, Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from windlass.model.outcome import Cancelled, Completed, Failed
from windlass.model.report import Report
from windlass.steps import python_call
from windlass.steps.call_threads import Stopped
from windlass.steps.capture import LINGER
from windlass.steps.python_process import completed
from windlass.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from windlass.model.outcome import Outcome
    from windlass.steps.call_threads import CallThreads
    from windlass.steps.light import LightContext
    from windlass.steps.python_call import Call, Plan

#: Plans of one step, for arguments of different names.
_MOST_PLANS: Final = 64
_NO_OUTPUTS: Final = Completed()


class Target:
    """The code of one step, with the ways of calling it that were worked out so far."""

    def __init__(self, config: Mapping[str, Any], find: Callable[[str], Any]) -> None:
        """Take the config of a step; `find` returns the code behind a path."""
        self.path: str = config["function"]
        self._arguments: Mapping[str, Any] | None = config.get("arguments")
        self._find = find
        self._found: Any = None
        self._plans: dict[tuple[str, ...], Plan] = {}

    def bind(self, context: LightContext) -> tuple[Call, Progress | None]:
        """Return the call of one attempt and what it reports with. Raises what finding the code raises, and Refused."""
        arguments = context.parameters if self._arguments is None else self._arguments
        found = self._find(self.path)
        if found is not self._found or len(self._plans) >= _MOST_PLANS:
            self._found, self._plans = found, {}
        names = tuple(arguments)
        plan = self._plans.get(names)
        if plan is None:
            chosen = self._arguments is not None
            plan = self._plans[names] = python_call.plan_call(found, self.path, names, chosen=chosen)
        progress = Progress(context) if plan.reports else None
        return plan.bind(arguments, progress), progress


class Progress:
    """What a step gets to report how far it is; works with and without `await`, from any thread."""

    def __init__(self, context: LightContext) -> None:
        """Report to `context`, from the event loop's own thread and from others."""
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        #: Keeps the reports that are under way.
        self._reports: set[asyncio.Future[None]] = set()
        #: True once the attempt is to stop.
        self.cancelled = False

    def __call__(self, percent: float | None = None, message: str | None = None) -> Progress:
        """Report percent done (0 to 100) and what is going on."""
        if threading.get_ident() == self._thread:
            self._report(percent, message)
        else:
            self._loop.call_soon_threadsafe(self._report, percent, message)
        return self

    def __await__(self) -> Generator[Any, None, None]:
        """Have nothing more to do."""
        yield from ()

    async def settle(self) -> None:
        """Return once every report so far was taken."""
        while self._reports:
            await asyncio.wait(self._reports)

    def _report(self, percent: float | None, message: str | None) -> None:
        report = asyncio.ensure_future(self._context.progress(percent, message))
        self._reports.add(report)
        report.add_done_callback(self._reports.discard)


async def call_in_place(context: LightContext, target: Target) -> Outcome:
    """Await an asynchronous function on the worker's event loop, and return how it ended."""
    call: Call | None = None
    try:
        call, progress = target.bind(context)
        if not call.asynchronous:
            text = f'"{target.path}" is not asynchronous, so it would hold the event loop; use isolation `thread`'
            return Failed("error", text, may_retry=False)
        task = asyncio.ensure_future(call.start())
        stopped = await _until_done(context, task, progress)
        if progress is not None:
            await progress.settle()
        if stopped:
            return Cancelled()
        value = task.result()
    except (Exception, asyncio.CancelledError) as error:
        if _is_ours(error):
            raise
        return await failed(context, call, error)
    return ended(context, call, value)


def _is_ours(error: BaseException) -> bool:
    """Say whether a cancellation is that of the attempt's own task, and not one that the code raised by itself."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


async def _until_done(context: LightContext, task: asyncio.Future[Any], progress: Progress | None) -> bool:
    """Wait for `task`; cancel it where the attempt is to stop, and say whether that was so."""
    cancel = asyncio.ensure_future(context.cancelled.wait())
    try:
        await asyncio.wait([task, cancel], return_when=asyncio.FIRST_COMPLETED)
        stopped = not task.done()
        if stopped:
            if progress is not None:
                progress.cancelled = True
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


async def call_in_thread(context: LightContext, target: Target, threads: CallThreads) -> Outcome:
    """Call a function in a thread of the worker, and return how it ended.

    A thread cannot be killed: a stop raises an exception in it, which waits for a blocking call to return.
    """
    call: Call | None = None
    try:
        call, progress = target.bind(context)
        value, stopped = await _ThreadCall(context, call, progress, threads).finish()
        if progress is not None:
            await progress.settle()
    except Exception as error:  # noqa: BLE001 - whatever the step raises is its failure
        return await failed(context, call, error)
    return Cancelled() if stopped else ended(context, call, value)


class _ThreadCall:
    """One call in one thread."""

    def __init__(self, context: LightContext, call: Call, progress: Progress | None, threads: CallThreads) -> None:
        self._context = context
        self._call = call
        self._progress = progress
        self._threads = threads
        self._thread = threads.take()
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[Any] = self._loop.create_future()
        #: The loop and the task of asynchronous code.
        self._inner: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    async def finish(self) -> tuple[Any, bool]:
        """Return the value and whether the call was stopped. Raises what the code raised."""
        self._thread.start(self._run)
        cancel = asyncio.ensure_future(self._context.cancelled.wait())
        try:
            await asyncio.wait([self._done, cancel], return_when=asyncio.FIRST_COMPLETED)
            if self._done.done():
                self._threads.give_back(self._thread)
                return self._done.result(), False
            await self._stop()
        except asyncio.CancelledError:
            await uninterrupted(self._stop())
            raise
        finally:
            cancel.cancel()
        return None, True

    async def _stop(self) -> None:
        if self._progress is not None:
            self._progress.cancelled = True
        if self._inner:
            self._inner[0].call_soon_threadsafe(self._inner[1].cancel)
        await asyncio.wait([self._done], timeout=self._context.grace)
        if not self._done.done() and self._thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), ctypes.py_object(Stopped))
            await asyncio.wait([self._done], timeout=LINGER)
        # Not kept: what was raised in it may still be on its way.
        self._thread.end()
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


def ended(context: LightContext, call: Call, value: Any) -> Outcome:
    """Return the outcome of a call that returned `value`."""
    if value is None and (call.result is Any or call.result is NoneType) and not context.choices:
        return _NO_OUTPUTS
    try:
        outputs = python_call.outputs_of(call, value)
    except python_call.Refused as error:
        return Failed("error", str(error), may_retry=False)
    return completed(Report(context.choices), outputs)


async def failed(context: LightContext, call: Call | None, error: BaseException) -> Outcome:
    """Return the outcome of a call that raised, or could not be made; its traceback goes to the log."""
    may_retry, delay = True, None
    if not isinstance(error, python_call.Refused):
        await _write_traceback(context, error)
        try:
            may_retry, delay = python_call.after_failure(call, context.identity.attempt, error)
        except Exception as second:  # noqa: BLE001 - a broken hook leaves it to the policy
            await _write_traceback(context, second)
    return Failed("error", python_call.error_text(error), retry_after=delay, may_retry=may_retry)


async def _write_traceback(context: LightContext, error: BaseException) -> None:
    """Write how an error came about, from the step's own code on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename in _OURS:
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    await context.log.write(text.encode("utf-8", "replace"), "stderr")


#: Files whose frames say nothing about the step.
_OURS: Final = frozenset({__file__, python_call.__file__})
