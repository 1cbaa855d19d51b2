"""One attempt of a light step: no folders and no environment, a log and progress only where it has something to say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from windlass.engine.attempt import PacedProgress, Shop, identity_of, open_log
from windlass.engine.claim import Claim
from windlass.engine.place import Place
from windlass.engine.queue import Desk
from windlass.engine.report import Usage
from windlass.engine.shapes import secret_names
from windlass.model.masking import Masker
from windlass.steps.log_pipe import LogPipe

if TYPE_CHECKING:
    from windlass.clock import Clock
    from windlass.engine.worker import StopSignal
    from windlass.steps.contract import LogSink, Progress, StepContext, StepType, TaskIdentity
    from windlass.steps.light import LightCall, LightType

#: What an attempt used that wrote nothing.
QUIET: Final = Usage(bytes_out=0, log_bytes=0)
_NOTHING_TO_HIDE: Final = Masker()


@dataclass(slots=True)
class OpenLightAttempt:
    """A started attempt; see `windlass.steps.light.LightAttempt`."""

    engine: Place
    queue: Desk
    shop: Shop
    claim: Claim
    parameters: Mapping[str, Any]
    stop: StopSignal
    _log: LogPipe | None = None
    _progress: PacedProgress | None = None

    @property
    def identity(self) -> TaskIdentity:
        """Which attempt this is."""
        return identity_of(self.claim)

    @property
    def choices(self) -> tuple[str, ...]:
        """Nothing: a step that chooses is not light."""
        return ()

    @property
    def cancelled(self) -> asyncio.Event:
        """Set when the attempt is to stop."""
        return self.stop.event

    @property
    def log(self) -> LogSink:
        """Where output goes."""
        if self._log is None:
            stop = self.stop
            self._log = open_log(
                self.engine, self.queue, self.shop, self.claim, _NOTHING_TO_HIDE, leaving=lambda: stop.leaving
            )
        return self._log

    @property
    def progress(self) -> Progress:
        """Reports how far the step is."""
        if self._progress is None:
            self._progress = PacedProgress(self.queue, self.claim, _NOTHING_TO_HIDE)
        return self._progress

    @property
    def grace(self) -> float:
        """Seconds between asking code to stop and stopping it."""
        return self.shop.grace

    @property
    def clock(self) -> Clock:
        """The worker's clock."""
        return self.shop.clock

    def stopping(self) -> bool:
        """Say whether the attempt is to stop."""
        return self.stop.why is not None

    def on_stop(self, call: Callable[[], object] | None) -> None:
        """Have `call` called when the attempt is to stop; None takes it back."""
        self.stop.listen(call)

    async def close(self) -> Usage:
        """Store the rest of what was said; return what was used."""
        if self._progress is not None:
            await self._progress.flush()
        if self._log is None:
            return QUIET
        totals = await self._log.close()
        return Usage(bytes_out=totals.bytes_out, log_bytes=totals.log_bytes, chunks=totals.chunks, unsaid=totals.unsaid)


def light_call(engine: Place, claim: Claim, step_type: StepType, *, inline: bool) -> LightCall | None:
    """Return what runs the attempts of a claim's step where it is light, None where it is not.

    Light is what its type says is light, where its config is the same in every run, no secret can come into it and no
    file is kept of it. Raises NotFound and ExpressionError as rendering the step would.
    """
    step = claim.step
    compiled = claim.job.step(claim.step_number, engine.catalog)
    if not compiled.is_constant or step.branch or step.artifacts or secret_names(claim.job):
        return None
    config = compiled.render({}).config
    if step_type.spec.light:
        # Such a type starts nothing, and so has no use for what a light attempt lacks.
        return partial(_run_type, step_type, config)
    if hasattr(step_type, "light"):
        return cast("LightType", step_type).light(config, inline=inline)
    return None


async def _run_type(step_type: StepType, config: Mapping[str, Any], attempt: Any) -> Any:
    return await step_type.run(cast("StepContext", attempt), config)
