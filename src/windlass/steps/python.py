"""The step type `python`: a function or a Job class by its import path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from windlass.model.outcome import Cancelled
from windlass.model.steptypes.local import PYTHON
from windlass.steps import python_call
from windlass.steps.python_inplace import call_in_place, call_in_thread
from windlass.steps.python_process import call_in_process
from windlass.steps.runner_pool import RunnerPool

if TYPE_CHECKING:
    from windlass.model.outcome import Outcome
    from windlass.model.steptype import StepSpec
    from windlass.steps.contract import StepContext
    from windlass.supervisor.contract import ProcessHost


class Python:
    """Calls Python code: in a warm process of its own, in a thread, or in place."""

    spec: StepSpec = PYTHON

    def __init__(self, find: Callable[[str], Any] = python_call.find) -> None:
        """Keep no process warm yet; `find` returns the code behind a path for calls inside the worker."""
        self._find = find
        self._pools: WeakKeyDictionary[ProcessHost, RunnerPool] = WeakKeyDictionary()

    async def run(self, context: StepContext, config: Mapping[str, Any]) -> Outcome:
        """Call the function; what it returns are the outputs."""
        if context.cancelled.is_set():
            return Cancelled()
        match config.get("isolation", "process"):
            case "inline":
                return await call_in_place(context, config, self._find)
            case "thread":
                return await call_in_thread(context, config, self._find)
            case _:
                pool = self._pools.setdefault(context.processes, RunnerPool())
                return await call_in_process(pool, context, config)

    async def close(self) -> None:
        """End the warm processes."""
        for pool in list(self._pools.values()):
            await pool.close()
        self._pools.clear()
