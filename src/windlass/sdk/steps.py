"""The step types of an application: those that are installed; `python` knows the application's own code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass.steps.python import Python
from windlass.steps.registry import StepTypes

if TYPE_CHECKING:
    from windlass.model.catalog import StepCatalog
    from windlass.sdk.registry import Registry
    from windlass.steps.contract import StepType


class ApplicationSteps:
    """Step types by name."""

    def __init__(self, registry: Registry) -> None:
        """Find code in `registry` before it is imported."""
        self._installed = StepTypes()
        self._python = Python(registry.find)

    def get(self, name: str) -> StepType:
        """Return a step type; see `StepTypes.get`."""
        return self._python if name == Python.spec.name else self._installed.get(name)

    def catalog(self) -> StepCatalog:
        """Return what is known of every type."""
        return self._installed.catalog()

    async def close(self) -> None:
        """Let go of what is kept warm."""
        await self._python.close()
        await self._installed.close()
