"""Attempts that need nothing but their values: no folders, no environment, no process, and a log only if they write."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio

    from windlass.model.outcome import Outcome
    from windlass.steps.contract import LogSink, Progress, TaskIdentity


class LightContext(Protocol):
    """What a light attempt may use. A `StepContext` has it all; here each part is made when it is first asked for."""

    @property
    def identity(self) -> TaskIdentity:
        """Which attempt this is."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Values of the job's parameters."""
        ...

    @property
    def choices(self) -> tuple[str, ...]:
        """Names of the steps that a branch may choose from."""
        ...

    @property
    def cancelled(self) -> asyncio.Event:
        """Set when the attempt is to stop."""
        ...

    @property
    def log(self) -> LogSink:
        """Where output goes."""
        ...

    @property
    def progress(self) -> Progress:
        """Reports how far the step is."""
        ...

    @property
    def grace(self) -> float:
        """Seconds between asking code to stop and stopping it."""
        ...


class LightAttempt(LightContext, Protocol):
    """A light attempt as its worker sees it."""

    def stopping(self) -> bool:
        """Say whether the attempt is to stop."""
        ...

    def on_stop(self, call: Callable[[], object] | None) -> None:
        """Have `call` called when the attempt is to stop; None takes it back."""
        ...


LightCall = Callable[[LightAttempt], Coroutine[Any, Any, "Outcome"]]


class LightType(Protocol):
    """A step type some of whose steps are light."""

    def light(self, config: Mapping[str, Any], *, inline: bool) -> LightCall | None:
        """Return what runs the attempts of a step with this config; None where they need a whole `StepContext`.

        Asked once for a step whose config is the same in every run. `inline` is true in an application's own worker.
        What it returns ends as `StepType.run` does, but that a deadline and a stop reach it by its task's cancellation
        where it does not ask for `on_stop`.
        """
        ...
