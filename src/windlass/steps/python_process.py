"""Python code as a step in a process of its own, kept warm for the next call of the same kind."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Final

from windlass.errors import UserError, WindlassError
from windlass.model.outcome import Cancelled, Completed, Failed
from windlass.model.outputs import check_json
from windlass.steps.capture import LINGER, Capture
from windlass.steps.local_process import drain, judge, lost_start, not_started, process_limits, step_environment
from windlass.steps.runner_link import RunnerGone, RunnerLink, new_mark
from windlass.supervisor.contract import SupervisorLost
from windlass.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from windlass.model.outcome import Outcome
    from windlass.steps.contract import StepContext
    from windlass.steps.runner_pool import RunnerPool

#: Variables that differ from attempt to attempt and are set anew for each call.
_PER_ATTEMPT: Final = frozenset({"HOME", "TMPDIR", "TRACEPARENT", "TRACESTATE"})
_PER_ATTEMPT_PREFIXES: Final = ("WINDLASS_", "CAESIUM_")


async def call_in_process(pool: RunnerPool, context: StepContext, config: Mapping[str, Any]) -> Outcome:
    """Call the function that `config` names in a warm process, and return how it ended."""
    try:
        capture = Capture(context)
        runner = await _begin(pool, context, config, capture)
    except OSError as error:
        return not_started(error, [config.get("python", "python")], context.env, config)
    except WindlassError as error:
        return lost_start(error)
    if runner is None:
        return await _never_ready(capture, config)
    return await _IsolatedCall(pool, context, config, capture, runner).finish()


async def _begin(
    pool: RunnerPool, context: StepContext, config: Mapping[str, Any], capture: Capture
) -> RunnerLink | None:
    """Return the runner that has begun the call; None where even a new one ended before that."""
    streams = (capture.stdout, capture.stderr)
    env = {**context.env, **step_environment(config)}
    call = {
        "function": config["function"],
        "arguments": dict(config.get("arguments", context.parameters)),
        "chosen": "arguments" in config,
        "env": env,
        "cwd": str(context.workdir),
        "attempt": context.identity.attempt,
    }
    started = False
    try:
        while True:
            # Limits count for a process, so one with limits serves one call.
            runner = None if "limits" in config else pool.take(pool_key(context, config))
            new = runner is None
            if runner is None:
                runner = await RunnerLink.start(
                    context.processes,
                    python=config.get("python"),
                    env=env,
                    cwd=context.workdir,
                    mark=new_mark(),
                    limits=process_limits(config),
                    streams=streams,
                )
            try:
                if await runner.begin(call, streams):
                    started = True
                    return runner
            except RunnerGone:
                pass
            except BaseException:
                await uninterrupted(runner.end())
                raise
            await runner.end()
            if new:
                started = True  # its last words are in the pipes
                return None
    finally:
        capture.handed_over(started=started)


async def _never_ready(capture: Capture, config: Mapping[str, Any]) -> Outcome:
    await capture.close(patience=LINGER)
    name = config.get("python", "Python")
    return Failed("error", f'the interpreter "{name}" ended before it took the call; its own words are in the log')


class _IsolatedCall:
    """A call that has begun."""

    def __init__(
        self, pool: RunnerPool, context: StepContext, config: Mapping[str, Any], capture: Capture, runner: RunnerLink
    ) -> None:
        self._pool = pool
        self._context = context
        self._config = config
        self._capture = capture
        self._runner = runner
        self._used_before = runner.cpu_seconds

    async def finish(self) -> Outcome:
        """Wait for the end, stop the process where the attempt is cancelled, and judge the result."""
        try:
            answer, stopped = await self._wait()
            if answer is None or not await self._is_clean(answer):
                await self._end_process()
        except SupervisorLost as error:
            self._runner.hang_up()
            await self._capture.close(patience=LINGER)
            return Failed("lost", f"nobody knows how the call ended: {error}", reason="supervisor_lost")
        except BaseException:  # mostly the deadline's CancelledError
            await uninterrupted(self._abandon())
            raise
        await self._capture.read_output_file()
        if stopped:
            return Cancelled(dict(self._capture.report.outputs))
        if answer is None:
            ended = await self._runner.child.wait()
            if ended.status == 0 and not ended.out_of_memory:
                return Failed("error", "the process ended before the function returned", 0)
            return judge(ended, self._capture.report)
        return self._judge(answer)

    async def _wait(self) -> tuple[dict[str, Any] | None, bool]:
        """Return the answer, None where the process ended without one, and whether a cancel stopped it."""
        answer = asyncio.ensure_future(self._runner.answer(self._context.progress))
        end = asyncio.ensure_future(self._runner.child.wait())
        cancel = asyncio.ensure_future(self._context.cancelled.wait())
        waiting = (answer, end, cancel)
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() and not end.done():
                await self._runner.child.stop(self._context.grace)
                return None, True
            if not answer.done():
                end.result()
                # What the process said last may still be on its way.
                await asyncio.wait([answer], timeout=LINGER)
            try:
                return (answer.result() if answer.done() else None), False
            except RunnerGone:
                return None, False
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
            if not answer.cancelled():
                answer.exception()

    async def _is_clean(self, answer: Mapping[str, Any]) -> bool:
        """Keep the process for the next call if nothing of this one is left in it; say whether that is so."""
        self._use(answer["cpu"], answer["rss"])
        if not answer["reusable"] or "limits" in self._config or not await self._capture.linger():
            return False
        await self._capture.close()
        self._pool.give_back(pool_key(self._context, self._config), self._runner)
        return True

    async def _end_process(self) -> None:
        self._runner.hang_up()
        await self._runner.child.stop(0.0)
        ended = await self._runner.child.wait()
        self._use(max(0.0, ended.cpu_seconds - self._runner.cpu_seconds), ended.max_rss_bytes)
        await drain(self._capture, self._runner.child)

    async def _abandon(self) -> None:
        self._runner.hang_up()
        await self._runner.child.stop(self._context.grace)
        await self._capture.close(patience=LINGER)

    def _use(self, cpu_seconds: float, rss: int) -> None:
        self._context.usage.cpu_seconds += cpu_seconds
        self._context.usage.max_rss_bytes = max(self._context.usage.max_rss_bytes, rss)

    def _judge(self, answer: Mapping[str, Any]) -> Outcome:
        report = self._capture.report
        match answer:
            case {"value": dict(value)}:
                return completed(report, value)
            case {"failure": "exit", "message": str(text), "code": int(code)}:
                return Failed("exit", text, code, dict(report.outputs))
            case {"failure": str(), "message": str(text)}:
                delay, may_retry = answer.get("retry_after"), answer.get("may_retry") is not False
                return Failed(
                    "error",
                    text,
                    outputs=dict(report.outputs),
                    retry_after=float(delay) if isinstance(delay, (int, float)) else None,
                    may_retry=may_retry,
                )
        return Failed("error", "the process gave an answer that no runner gives")


def completed(report: Any, value: dict[str, Any]) -> Outcome:
    """Return the outcome of a call that returned `value`, whose keys come after what the step reported itself."""
    try:
        check_json(value)
    except UserError as error:
        return Failed("error", f"the result cannot be kept: {error}", outputs=dict(report.outputs), may_retry=False)
    report.put(value)
    if report.problem is not None:
        failed: Failed = report.problem
        return failed
    return Completed(dict(report.outputs), branches=report.branches)


def pool_key(context: StepContext, config: Mapping[str, Any]) -> Hashable:
    """Return what two calls must have in common to share a process."""
    identity = context.identity
    env = {**context.env, **step_environment(config)}
    stable = tuple(
        sorted(
            (name, value)
            for name, value in env.items()
            if name not in _PER_ATTEMPT and not name.startswith(_PER_ATTEMPT_PREFIXES)
        )
    )
    secrets = ("run", identity.run_id) if context.credentials is None else ("credentials", context.credentials)
    return (identity.project, identity.job, identity.revision, config.get("python"), stable, secrets)
