"""The step type `fake`: ends as it is told, with no effect on the world. For tests of jobs and of what runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from windlass.model.durations import parse_duration
from windlass.model.outcome import Cancelled, Completed, Failed, Skipped, TimedOut
from windlass.model.report import Report
from windlass.model.steptypes.control import FAKE

if TYPE_CHECKING:
    from windlass.model.outcome import Outcome
    from windlass.model.steptype import StepSpec
    from windlass.steps.contract import StepContext


class Fake:
    """Writes `log`, takes `duration`, and ends with `outcome`; the first `fail_times` attempts fail before that."""

    spec: StepSpec = FAKE

    async def run(self, context: StepContext, config: Mapping[str, Any]) -> Outcome:
        """Play the script of one attempt; a cancel ends it early."""
        if context.cancelled.is_set():
            return Cancelled()
        if config.get("log"):
            await context.log.write(str(config["log"]).encode())
        try:
            seconds = parse_duration(str(config.get("duration", 0)))
        except ValueError:
            return Failed("error", f'"duration" is not a duration: {str(config["duration"])[:80]}', may_retry=False)
        if seconds and await _cancelled_within(context, seconds):
            return Cancelled()
        report = Report(context.choices)
        report.put(config.get("outputs", {}))
        for name in config.get("branches", ()):
            report.choose(name)
        return _end(context, config, report, seconds)


async def _cancelled_within(context: StepContext, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await context.cancelled.wait()
    except TimeoutError:
        return False


def _end(context: StepContext, config: Mapping[str, Any], report: Report, seconds: float) -> Outcome:
    outputs = dict(report.outputs)
    code = config.get("exit_code")
    text = config.get("message")
    outcome = config.get("outcome", "completed")
    if context.identity.attempt <= config.get("fail_times", 0):
        outcome = "failed"
        text = text or f"it fails {config['fail_times']} times, and this is attempt {context.identity.attempt}"
    if outcome == "failed":
        return Failed("error" if code is None else "exit", text or "it fails as it was told", code, outputs)
    match outcome:
        case "timeout":
            return TimedOut(seconds, outputs)
        case "cancelled":
            return Cancelled(outputs)
        case "skipped":
            return Skipped(text or "it was told to skip")
        case "lost":
            return Failed("lost", text or "it was told to be lost", code, outputs, reason="worker_lost")
    return report.problem or Completed(outputs, code, report.branches)
