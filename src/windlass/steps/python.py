"""The step type `python`: a function or a Job class by its import path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from windlass.model.outcome import Cancelled, Failed
from windlass.model.steptypes.local import PYTHON
from windlass.steps import python_call
from windlass.steps.call_threads import CallThreads
from windlass.steps.python_inplace import Target, call_in_place, call_in_thread
from windlass.steps.python_light import call_in_task
from windlass.steps.python_process import call_in_process
from windlass.steps.runner_pool import RunnerPool

if TYPE_CHECKING:
    from windlass.model.outcome import Outcome
    from windlass.model.steptype import StepSpec
    from windlass.steps.contract import StepContext
    from windlass.steps.light import LightCall
    from windlass.supervisor.contract import ProcessHost


class Python:
    """Calls Python code: in a warm process of its own, in a thread, or in place."""

    spec: StepSpec = PYTHON

    def __init__(self, find: Callable[[str], Any] = python_call.find) -> None:
        """Keep nothing warm yet; `find` returns the code behind a path for calls inside the worker."""
        self._find = find
        self._threads = CallThreads()
        self._pools: WeakKeyDictionary[ProcessHost, RunnerPool] = WeakKeyDictionary()

    async def run(self, context: StepContext, config: Mapping[str, Any]) -> Outcome:
        """Call the function; what it returns are the outputs."""
        if context.cancelled.is_set():
            return Cancelled()
        match config.get("isolation", "process"):
            case "inline" if not context.inline:
                why = "asks for isolation `inline`, which only an application's own worker allows"
                return Failed("error", f'"{config["function"]}" {why}', may_retry=False)
            case "inline":
                return await call_in_place(context, Target(config, self._find))
            case "thread":
                return await call_in_thread(context, Target(config, self._find), self._threads)
            case _:
                pool = self._pools.setdefault(context.processes, RunnerPool())
                return await call_in_process(pool, context, config)

    def light(self, config: Mapping[str, Any], *, inline: bool) -> LightCall | None:
        """Return what calls the function inside the worker; see `LightType.light`."""
        isolation = config.get("isolation")
        if isolation == "inline" and inline:
            return partial(call_in_task, target=Target(config, self._find))
        if isolation == "thread":
            return partial(call_in_thread, target=Target(config, self._find), threads=self._threads)
        return None

    async def close(self) -> None:
        """End the warm processes and the idle threads."""
        self._threads.close()
        for pool in list(self._pools.values()):
            await pool.close()
        self._pools.clear()
