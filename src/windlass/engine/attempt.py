"""One started attempt: its folders, environment, log and context, opened before the step works and closed after it."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from windlass.clock import Clock
from windlass.engine.claim import Claim
from windlass.engine.compiled import CompiledJob
from windlass.engine.place import Place
from windlass.engine.queue import Desk, Secretary
from windlass.engine.report import Ended, KeptFile, Usage
from windlass.engine.room import Room
from windlass.engine.secret import SCHEME
from windlass.engine.shapes import secret_names
from windlass.engine.step_context import context_file, expression_context, step_environment, task_id
from windlass.engine.tracing import attempt_trace
from windlass.engine.workspace import Workspace, give_away, make_workspace, other_user, remove_workspace
from windlass.errors import ExpressionError, LimitExceeded, NoRoom, Refused, Unavailable, WindlassError
from windlass.ids import id_text
from windlass.model.masking import Masker
from windlass.model.outcome import Completed, Failed, Outcome, Skipped, Waiting
from windlass.model.secret_forms import secrets_digest
from windlass.steps.artifacts import ArtifactLimits, Collected, collect_artifacts
from windlass.steps.contract import StepContext, TaskIdentity
from windlass.steps.log_pipe import LogPipe
from windlass.steps.wanting import when_possible
from windlass.store.logs import NewChunk
from windlass.supervisor.contract import ProcessHost
from windlass.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from windlass.model.log_quota import Stream


_log = logging.getLogger(__name__)

#: Type of the trigger of a run that `exec` started.
EXEC = "exec"
#: Seconds between two reports of progress that are kept.
PROGRESS_PAUSE = 0.2


class Shop(Protocol):
    """What of the workshop an attempt needs."""

    processes: ProcessHost
    secrets: Secretary
    clock: Clock
    workspaces: Path
    artifacts: Path
    grace: float
    inline: bool


@dataclass(slots=True)
class Attempt:
    """A started attempt with everything that its step is given."""

    claim: Claim
    context: StepContext
    config: Mapping[str, Any]
    workspace: Workspace
    log: LogPipe
    masker: Masker
    artifacts: Path
    room: Room
    progress: PacedProgress
    desk: Desk

    async def close(self, outcome: Outcome) -> Ended:
        """Keep the artifacts and the rest of the log; return what the attempt leaves, without secrets."""
        await self.progress.flush()
        kept, outcome = await self._keep_artifacts(outcome)
        masked = await self._without_secrets(outcome)
        totals = await self.log.close()
        if totals.lost and totals.failure is not None:
            _log.warning(
                "%d bytes of the log of %s could not be kept: %s", totals.lost, self.claim.step.name, totals.failure
            )
        used = self.context.usage
        usage = Usage(
            cpu_micros=round(used.cpu_seconds * 1_000_000),
            max_rss_bytes=used.max_rss_bytes,
            bytes_out=totals.bytes_out,
            log_bytes=totals.log_bytes,
            chunks=totals.chunks,
            unsaid=totals.unsaid,
        )
        return Ended(masked, usage, kept, hid=masked != outcome)

    async def _keep_artifacts(self, outcome: Outcome) -> tuple[tuple[KeptFile, ...], Outcome]:
        """Copy the files that the step names or has put into its artifact folder; over a limit the step fails."""
        globs, offered = self.claim.step.artifacts, self.workspace.artifacts
        into = self.artifacts / id_text(self.claim.run_id)

        async def collected() -> Collected | None:
            if not globs and not any(offered.iterdir()):
                return None
            limits = ArtifactLimits(room=self.room.left(self.artifacts))
            return await asyncio.to_thread(
                collect_artifacts, self.workspace.work, globs, into, offered=offered, limits=limits
            )

        try:
            found = await when_possible(collected, f"The artifacts of {self.claim.step.name} wait")
        except (LimitExceeded, NoRoom, OSError) as error:
            return (), await self._unkept(error, outcome)
        if found is None:
            return (), outcome
        for sentence in found.left_out:
            await self._say(f"artifacts: {sentence}")
        kept = tuple(
            KeptFile(
                self.masker.mask_text(file.name), file.size, file.sha256, str(file.path.relative_to(self.artifacts))
            )
            for file in found.artifacts
        )
        try:
            await self.desk.place(self.claim, kept)
        except WindlassError as error:
            return (), await self._unkept(error, outcome)
        return kept, outcome

    async def _unkept(self, error: Exception, outcome: Outcome) -> Outcome:
        """Say why no file was kept; return what the attempt comes to without them."""
        message = f"its artifacts cannot be kept: {error}"
        await self._say(message)
        if isinstance(outcome, Completed):
            return Failed("error", message, outputs=outcome.outputs, reason="artifacts")
        return outcome

    async def _say(self, text: str) -> None:
        await self.log.write(f"[windlass: {self.masker.mask_text(text)}]\n".encode(), "system")

    async def _without_secrets(self, outcome: Outcome) -> Outcome:
        """Return the outcome masked, and say so where later steps will get other outputs than the step gave."""
        masked = self._masked(outcome)
        if not isinstance(outcome, Skipped) and not isinstance(masked, Skipped) and outcome.outputs != masked.outputs:
            await self._say(
                "outputs of this step held a secret: they are kept, and given to later steps, with *** in its place; "
                "give the secret to those steps by an expression of its own"
            )
        return masked

    def _masked(self, outcome: Outcome) -> Outcome:
        if not self.masker.active:
            return outcome
        text = self.masker.mask_text
        if isinstance(outcome, Skipped):
            return Skipped(text(outcome.reason))
        outcome = replace(outcome, outputs=self.masker.mask_json(dict(outcome.outputs)))
        if isinstance(outcome, Failed):
            reason = None if outcome.reason is None else text(outcome.reason)
            return replace(outcome, message=text(outcome.message), reason=reason)
        return self._masked_wait(outcome) if isinstance(outcome, Waiting) else outcome

    def _masked_wait(self, outcome: Waiting) -> Outcome:
        """Return a wait without secrets; a child run is given them, and it is told which of its parameters they are.

        What of an event is waited for is stored: with a secret in it the step fails.
        """
        if outcome.event is not None and self.masker.mask_json(dict(outcome.event)) != outcome.event:
            text = "a secret stands in `event`, which would be stored in the open: wait for something else of it"
            return Failed("error", text, reason="secret_in_event", may_retry=False)
        child = outcome.child
        if child is not None:
            masked = self.masker.mask_json(dict(child.parameters))
            hidden = frozenset(name for name, value in child.parameters.items() if masked.get(name) != value)
            child = replace(child, secret=hidden)
        return replace(outcome, reason=self.masker.mask_text(outcome.reason), child=child)

    async def remove(self) -> None:
        """Remove the folders of the attempt."""
        await remove_workspace(self.workspace)


async def open_attempt(
    engine: Place,
    queue: Desk,
    shop: Shop,
    claim: Claim,
    parameters: Mapping[str, Any],
    cancelled: asyncio.Event,
    leaving: Callable[[], bool],
) -> Attempt:
    """Resolve secrets, render the step, make its folders and its log; `leaving` says whether the worker ends.

    Raises SecretUnavailable, or ExpressionError where a value cannot be had or would not fit; Unavailable and Refused
    where its folders cannot be made, NoRoom for want of room. Nothing is left behind then.
    """
    compiled = claim.job.step(claim.step_number, engine.catalog)
    secret = secret_names(claim.job)
    hidden = {name: value for name, value in parameters.items() if name in secret and isinstance(value, str)}
    wanted = [*compiled.references.secrets, *(value for value in hidden.values() if value.startswith(SCHEME))]
    values = await shop.secrets.secrets(claim, wanted)
    parameters = {
        **parameters,
        **{name: values.get(value, value) for name, value in hidden.items()},
    }
    known = [*values.values(), *(str(parameters[name]) for name in secret if name in parameters)]
    masker = Masker(known)
    with masked_errors(masker):
        rendered = compiled.render(expression_context(claim, parameters), values)
        config = rendered.config
        if not compiled.is_constant and rendered.when:
            config = engine.catalog.checker(claim.step.type).settled(config)
    owner = other_user(config.get("run_as"))
    try:
        workspace = make_workspace(shop.workspaces, work=_folder(claim), owner=owner)
    except OSError as error:
        raise _untaken(error) from error
    try:
        identity = identity_of(claim)
        log = open_log(engine, queue, shop, claim, masker, leaving=leaving, folder=workspace.root)
        progress = PacedProgress(queue, claim, masker)
        trace = attempt_trace(claim, engine.tracer)
        environment = step_environment(
            claim,
            identity,
            rendered,
            parameters,
            secret,
            workspace,
            traceparent=None if trace is None else str(trace),
        )
        context_file(workspace).write_bytes(orjson.dumps(environment.context))
        if owner is not None:
            give_away(workspace, owner)
        for sentence in environment.left_out:
            await log.write(f"[windlass: {sentence}]\n".encode(), "system")
    except OSError as error:
        await uninterrupted(remove_workspace(workspace))
        raise _untaken(error) from error
    except BaseException:  # also where the attempt is cancelled: nobody else knows of the folder yet
        await uninterrupted(remove_workspace(workspace))
        raise
    context = StepContext(
        identity=identity,
        workdir=workspace.work,
        scratch=workspace.scratch,
        env=environment.variables,
        log=log,
        cancelled=cancelled,
        processes=shop.processes,
        grace=shop.grace,
        parameters=parameters,
        choices=_choices(claim.job, claim.step_number),
        progress=progress,
        clock=shop.clock,
        credentials=secrets_digest(known),
        inline=shop.inline,
    )
    return Attempt(claim, context, config, workspace, log, masker, shop.artifacts, engine.room, progress, queue)


def _untaken(error: OSError) -> Unavailable:
    """Return what an error of the disk means for an attempt that has not begun: without room it may begin later."""
    kind = NoRoom if error.errno in {errno.ENOSPC, errno.EDQUOT} else Unavailable
    return kind(f"The folders of the attempt cannot be made: {error.strerror}.")


@contextmanager
def masked_errors(masker: Masker) -> Iterator[None]:
    """Have the sentences of errors masked: those about values may quote them, and are kept with the task."""
    try:
        yield
    except ExpressionError as error:
        raise ExpressionError(masker.mask_text(str(error))) from None
    except WindlassError as error:
        raise WindlassError(masker.mask_text(str(error))) from None


def _folder(claim: Claim) -> Path | None:
    """Return the folder of the manifest that `exec` runs; None for every other run, whose steps have their own."""
    trigger = {} if claim.trigger is None else orjson.loads(claim.trigger)
    folder = trigger.get("folder") if trigger.get("type") in {EXEC, "retry", "resume"} else None
    return None if folder is None else Path(folder)


def identity_of(claim: Claim) -> TaskIdentity:
    """Return which attempt a claim stands for, as its step is told."""
    return TaskIdentity(
        project=claim.job.project,
        job=claim.job.alias,
        revision=claim.job.number,
        run_id=id_text(claim.run_id),
        task_id=task_id(claim.run_id, claim.task),
        step=claim.step.name,
        key=claim.key,
        attempt=claim.attempt,
    )


def _choices(job: CompiledJob, step: int) -> tuple[str, ...]:
    if not job.job.steps[step].branch:
        return ()
    return tuple(job.graph.names[after] for after in job.graph.successors[step])


def open_log(
    engine: Place,
    queue: Desk,
    shop: Shop,
    claim: Claim,
    masker: Masker,
    *,
    leaving: Callable[[], bool],
    folder: Path | None = None,
) -> LogPipe:
    """Return the log of an attempt; nothing is stored before something is written.

    In `folder` waits what the store cannot take while it is away.
    """
    quota = claim.step.log_quota or engine.settings.log_quota
    chunks = _Chunks(queue, claim, engine.room)
    return LogPipe(chunks, clock=shop.clock, masker=masker, quota=quota, leaving=leaving, folder=folder)


@dataclass(slots=True)
class _Chunks:
    """Hands chunks of a log to the queue under the claim that wrote them. Raises Refused where that stands no more."""

    queue: Desk
    claim: Claim
    room: Room

    async def __call__(self, seq: int, at: int, stream: Stream, data: bytes) -> None:
        claim = self.claim
        self.room.require()
        chunk = NewChunk(claim.queue_id, claim.fence, claim.run_id, claim.task, claim.attempt, seq, at, stream, data)
        if await self.queue.append([chunk]):
            raise Refused("its worker was found gone meanwhile, so that its output no longer counts")


class PacedProgress:
    """Hands reports of progress to the queue, no more often than a person could follow; the last one is never lost."""

    def __init__(self, queue: Desk, claim: Claim, masker: Masker) -> None:
        """Report for `claim`; messages are masked."""
        self._queue = queue
        self._claim = claim
        self._masker = masker
        self._said: tuple[float | None, str | None] | None = None
        self._told: tuple[float | None, str | None] | None = None
        self._next = 0.0
        self._late: asyncio.Task[None] | None = None
        #: Held while a report is on its way: the end of the attempt must not overtake it.
        self._handing = asyncio.Lock()

    async def __call__(self, percent: float | None = None, message: str | None = None) -> None:
        """Report percent done and what is going on."""
        self._said = (percent, None if message is None else self._masker.mask_text(message))
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next:
            await self.flush()
        elif self._late is None:
            self._late = loop.create_task(self._flush_at(self._next))

    async def _flush_at(self, moment: float) -> None:
        await asyncio.sleep(moment - asyncio.get_running_loop().time())
        self._late = None
        await self.flush()

    async def flush(self) -> None:
        """Return once what was said last is handed on."""
        if self._late is not None:
            self._late.cancel()
            self._late = None
        async with self._handing:
            await self._hand_on()

    async def _hand_on(self) -> None:
        if self._said is None or self._said == self._told:
            return
        told, self._told = self._told, self._said
        self._next = asyncio.get_running_loop().time() + PROGRESS_PAUSE
        try:
            await self._queue.progress(self._claim, *self._said)
        except Unavailable as error:  # no step fails because nobody could be told how far it is
            self._told = told
            _log.warning("Progress of %s was not kept: %s", self._claim.step.name, error)
