"""The way of one task through a worker: decide, start, resolve secrets, render, execute, mask, report."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import orjson

from windlass.clock import Clock
from windlass.engine.attempt import Attempt, masked_errors, open_attempt
from windlass.engine.claim import Claim
from windlass.engine.compiled import CompiledJob
from windlass.engine.deadline import DeadlinePassed, within
from windlass.engine.heartbeat import SILENCE
from windlass.engine.light_attempt import OpenLightAttempt, light_call
from windlass.engine.place import Place
from windlass.engine.queue import Queue, Secretary
from windlass.engine.report import Ended, Report, report_on
from windlass.engine.secret import SecretUnavailable
from windlass.engine.shapes import secret_names
from windlass.engine.shortage import Shortage
from windlass.engine.step_cache import Wanted, offer_result, wanted_result
from windlass.engine.step_context import expression_context
from windlass.engine.subject import work_on
from windlass.engine.tracing import enter_trace
from windlass.engine.worker import StopSignal
from windlass.errors import ExpressionError, NoRoom, Unavailable, WindlassError
from windlass.model.ending import UNASKED, WORKER_STOPPED
from windlass.model.masking import Masker
from windlass.model.outcome import NO_RESOURCES, Cancelled, Failed, Outcome, Skipped, TimedOut
from windlass.steps.contract import StepContext, StepType
from windlass.steps.light import LightCall
from windlass.supervisor.contract import SHORTAGES, ProcessHost

_log = logging.getLogger(__name__)

#: Seconds between two tries to start what was claimed while the store is away.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0


#: Jobs of which it is known which steps are light; more than are in use at a time.
_MOST_LIGHTS = 1024


@dataclass(frozen=True, slots=True)
class _Lights:
    """What runs the light steps of a compiled job, by their numbers; None where a step is not light."""

    job: CompiledJob
    calls: dict[int, LightCall | None]


class StepTypes(Protocol):
    """Where step types are found."""

    def get(self, name: str) -> StepType:
        """Return a step type by name; raises WindlassError where it cannot be had."""
        ...


@dataclass(slots=True, kw_only=True)
class Workshop:
    """What attempts are run with in this process."""

    types: StepTypes
    processes: ProcessHost
    secrets: Secretary
    clock: Clock
    #: Below it each attempt has its own folders.
    workspaces: Path
    artifacts: Path
    #: Seconds between asking a process to stop and killing it.
    grace: float = 10.0
    #: True in an application's own worker.
    inline: bool = False
    shortage: Shortage = field(default_factory=Shortage)


class Pipeline:
    """Runs one claimed task to its end."""

    def __init__(self, engine: Place, queue: Queue, workshop: Workshop, *, worker: str) -> None:
        """Run attempts of the worker named `worker`."""
        self._engine = engine
        self._queue = queue
        self._shop = workshop
        self._worker = worker
        self._lights: dict[int, _Lights] = {}

    async def run(self, claim: Claim, stop: StopSignal) -> Report | None:
        """Run the attempt of `claim`; None where it was never started and nothing is to be reported."""
        work_on(claim, self._worker)
        enter_trace(claim, self._engine.tracer)
        telling = _log.isEnabledFor(logging.DEBUG)
        if telling:
            _log.debug("An attempt begins")
        try:
            parameters = orjson.loads(claim.parameters)
            light = self._light(claim)
            if light is not None:
                ended = await self._light_attempt(claim, parameters, light, stop)
            else:
                early, wanted = await self._early(claim, parameters)
                if early is not None:
                    return self._report(claim, early)
                if claim.started_at is None and not await self._start(claim, stop):
                    return None
                ended = await self._attempt(claim, parameters, stop, wanted)
        except Exception as error:  # noqa: BLE001 - a defect ends this attempt, never the worker
            _log.exception("An attempt of %s failed in an unexpected way", claim.step.name)
            message = f"An unexpected {type(error).__name__} in Windlass itself; the worker's log has the details."
            ended = Ended(Failed("error", message, reason="internal_error"))
        outcome = _after_stop(ended.outcome, stop)
        if telling:
            _log.debug("An attempt ended: %s", type(outcome).__name__)
        return self._report(claim, ended if outcome is ended.outcome else replace(ended, outcome=outcome))

    def _light(self, claim: Claim) -> LightCall | None:
        """Return what runs the attempt of a started claim whose step is light; None where it needs all there is."""
        if claim.started_at is None:
            return None
        lights = self._lights.get(claim.job.revision_id)
        if lights is None or lights.job is not claim.job:
            if len(self._lights) >= _MOST_LIGHTS:
                self._lights.clear()
            lights = self._lights[claim.job.revision_id] = _Lights(claim.job, {})
        if claim.step_number not in lights.calls:
            lights.calls[claim.step_number] = self._find_light(claim)
        return lights.calls[claim.step_number]

    def _find_light(self, claim: Claim) -> LightCall | None:
        try:
            step_type = self._shop.types.get(claim.step.type)
            return light_call(self._engine, claim, step_type, inline=self._shop.inline)
        except WindlassError:
            return None  # the whole way says what is wrong

    async def _light_attempt(
        self, claim: Claim, parameters: Mapping[str, Any], light: LightCall, stop: StopSignal
    ) -> Ended:
        """Run an attempt of a light step and return what it leaves."""
        attempt = OpenLightAttempt(self._engine, self._queue, self._shop, claim, parameters, stop)
        outcome = await self._within_timeout(claim, light(attempt))
        return Ended(outcome, await attempt.close())

    async def _start(self, claim: Claim, stop: StopSignal) -> bool:
        """Start a claim, however long the store is away; False where it no longer stands or the worker goes away."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._queue.start(claim)
            except Unavailable as error:
                _log.warning("The start of %s waits for the store: %s", claim.step.name, error)
            if await _stopped_within(stop, pause):
                return False
            pause = min(pause * 2, LONGEST_PAUSE)

    def _decide(self, claim: Claim, parameters: Mapping[str, Any]) -> Outcome | None:
        """Return the end of a task that has nothing to do, before anything is started."""
        if claim.empty:
            return Skipped("its matrix is empty")
        if claim.step.when is None:
            return None
        try:
            compiled = claim.job.step(claim.step_number, self._engine.catalog)
            with masked_errors(_masker(claim, parameters)):
                if compiled.decide(expression_context(claim, parameters)):
                    return None
        except ExpressionError as error:
            return _expression(error)
        return Skipped(f"when: {claim.step.when} is false")

    async def _early(self, claim: Claim, parameters: Mapping[str, Any]) -> tuple[Ended | None, Wanted | None]:
        """Return the end of a task that needs no work, and by what the result of one that does is to be kept."""
        decided = self._decide(claim, parameters)
        if decided is not None or claim.step.cache is None:
            return None if decided is None else Ended(decided), None
        try:
            with masked_errors(_masker(claim, parameters)):
                wanted = wanted_result(self._engine, claim, parameters)
        except ExpressionError as error:
            return Ended(_expression(error)), None
        if wanted is None:
            return None, None
        try:
            found = await self._queue.recall(claim, wanted)
        except Unavailable as error:
            _log.warning("No result of %s was looked for: %s", claim.step.name, error)
            return None, wanted
        if isinstance(found, dict):
            claim.cache = found
            return None, wanted
        return found, wanted

    async def _attempt(
        self, claim: Claim, parameters: Mapping[str, Any], stop: StopSignal, wanted: Wanted | None
    ) -> Ended:
        """Run a started attempt and return what it leaves; while the machine cannot begin anything it waits."""
        with self._shop.shortage.spell(stop) as spell:
            while True:
                ended = await self._try(claim, parameters, stop, wanted)
                # What was said to the log stands there: another try would number its chunks anew.
                if not _is_short(ended.outcome) or ended.usage.chunks or not await spell.pause(ended.outcome.message):
                    return ended

    async def _try(self, claim: Claim, parameters: Mapping[str, Any], stop: StopSignal, wanted: Wanted | None) -> Ended:
        """Run a started attempt and return what it leaves, masked."""
        try:
            step_type = self._shop.types.get(claim.step.type)
            attempt = await self._opened(claim, parameters, stop)
        except ExpressionError as error:
            return Ended(_expression(error))
        except SecretUnavailable as error:
            return Ended(Failed("error", str(error), reason="secret_unavailable"))
        except (WindlassError, OSError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            return Ended(Failed("error", _sentence(error), reason=_shortage_of(cause)))
        if attempt is None:
            return Ended(Cancelled())
        stop.listen(lambda: _hasten(attempt.context, stop, self._engine.settings.lease))
        try:
            working = step_type.run(attempt.context, attempt.config)
            ended = await attempt.close(await self._within_timeout(claim, working))
            if wanted is not None:
                await offer_result(self._engine, partial(self._queue.keep, claim), ended, wanted, attempt.masker)
            return ended
        finally:
            await attempt.remove()

    async def _opened(self, claim: Claim, parameters: Mapping[str, Any], stop: StopSignal) -> Attempt | None:
        """Make everything that an attempt needs; None where it is to stop. Without room on the disk that is waited for.

        Raises what `open_attempt` raises, NoRoom once the attempt has waited for as long as it may run.
        """
        pause, loop = FIRST_PAUSE, asyncio.get_running_loop()
        end = loop.time() + self._seconds(claim)
        while True:
            try:
                return await open_attempt(
                    self._engine, self._queue, self._shop, claim, parameters, stop.event, lambda: stop.leaving
                )
            except NoRoom as error:
                if loop.time() >= end:
                    raise
                _log.warning("%s waits for room: %s", claim.step.name, error)
            if await _stopped_within(stop, pause):
                return None
            pause = min(pause * 2, LONGEST_PAUSE)

    def _seconds(self, claim: Claim) -> float:
        """Return how long an attempt may run."""
        settings = self._engine.settings
        return min(claim.step.timeout or settings.default_timeout, settings.max_timeout)

    async def _within_timeout(self, claim: Claim, working: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Let a step type work, within the attempt's timeout."""
        seconds = self._seconds(claim)
        try:
            return await within(working, seconds)
        except DeadlinePassed:
            return TimedOut(seconds)
        except Exception as error:  # noqa: BLE001 - whatever a step type raises is its step's failure
            return Failed("error", f"{type(error).__name__}: {error}")

    def _report(self, claim: Claim, ended: Ended) -> Report:
        return report_on(claim, ended, worker=self._worker, finished_at=self._shop.clock.now())


async def _stopped_within(stop: StopSignal, seconds: float) -> bool:
    """Wait so long, or until the attempt is asked to stop; say whether it is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.event.wait()
            return True
    return False


def _hasten(context: StepContext, stop: StopSignal, lease: float) -> None:
    """Leave a step that is stopped for the sake of the lease no more time than is left of it."""
    if stop.why == "lease":
        context.grace = min(context.grace, lease * (1 - SILENCE) / 2)


def _is_short(outcome: Outcome) -> TypeGuard[Failed]:
    return isinstance(outcome, Failed) and outcome.reason == NO_RESOURCES


def _shortage_of(cause: BaseException | None) -> str | None:
    return NO_RESOURCES if isinstance(cause, OSError) and cause.errno in SHORTAGES else None


def _sentence(error: WindlassError | OSError) -> str:
    if isinstance(error, OSError):
        return f"The files of the attempt cannot be made: {error.strerror or error}."
    return str(error)


def _masker(claim: Claim, parameters: Mapping[str, Any]) -> Masker:
    """Return what masks the secret parameters of a run as they were given."""
    return Masker([str(parameters[name]) for name in secret_names(claim.job) if name in parameters])


def _expression(error: ExpressionError) -> Failed:
    return Failed("expression", str(error), reason="expression_error")


def _after_stop(outcome: Outcome, stop: StopSignal) -> Outcome:
    """Return what the end of a stopped attempt means: one that its own worker stopped is lost, not cancelled."""
    if stop.why in {"drain", "lost", "lease"} and isinstance(outcome, Cancelled):
        message = "Its worker was stopped while it ran; what the step had done by then is not known."
        if stop.why == "lease":
            message = "Its worker stopped it, for it could not reach the store and the task may start elsewhere."
        return Failed("lost", message, reason=WORKER_STOPPED)
    if stop.why is None and isinstance(outcome, Cancelled):
        return Failed("error", UNASKED)
    return outcome
