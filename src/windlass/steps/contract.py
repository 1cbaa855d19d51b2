"""What a step type is, and what it is given to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from windlass.clock import Clock, SystemClock
from windlass.model.log_quota import Stream

if TYPE_CHECKING:
    import asyncio

    from windlass.model.outcome import Outcome
    from windlass.model.steptype import StepSpec
    from windlass.supervisor.contract import ProcessHost

__all__ = ["LogSink", "Progress", "StepContext", "StepType", "Stream", "TaskIdentity", "Usage"]


class Progress(Protocol):
    """Reports how far a step is."""

    async def __call__(self, percent: float | None = None, message: str | None = None) -> None:
        """Report percent done (0 to 100) and what is going on; the last report wins."""
        ...


class LogSink(Protocol):
    """Where the output of an attempt goes: masked, cut into chunks and kept up to its quota behind it."""

    async def write(self, data: bytes, stream: Stream = "stdout") -> None:
        """Take bytes as they came, in any size; waits while the store is behind."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskIdentity:
    """Which attempt this is; all texts, as they stand in `WINDLASS_*` variables."""

    project: str
    job: str
    revision: int
    run_id: str
    task_id: str
    step: str
    #: Matrix cell or target; empty where the step makes one task.
    key: str
    attempt: int


@dataclass(slots=True)
class Usage:
    """What an attempt has used so far; a step adds to it."""

    cpu_seconds: float = 0.0
    #: The largest resident size of any of its processes; 0 where none was started.
    max_rss_bytes: int = 0


@dataclass(slots=True, kw_only=True)
class StepContext:
    """Everything one attempt may use. It never holds the store."""

    identity: TaskIdentity
    #: The attempt's own empty folder (under `exec`: the folder of the file); the step starts in it.
    workdir: Path
    #: A private folder for the attempt's own files (`WINDLASS_OUTPUT`, `WINDLASS_CONTEXT`, HOME, TMPDIR below it).
    scratch: Path
    #: The complete, clean environment of the step.
    env: Mapping[str, str]
    log: LogSink
    #: Set when the attempt is to stop because of a cancel; a step stops its effect and returns `Cancelled`.
    cancelled: asyncio.Event
    #: Starts local processes.
    processes: ProcessHost
    #: Seconds between asking a process to stop and killing it.
    grace: float
    #: Values of the job's parameters, secrets resolved.
    parameters: Mapping[str, Any]
    #: Names of the steps that a branch may choose from; empty where the step is no branch.
    choices: tuple[str, ...] = ()
    #: Reports how far the step is; the last report wins.
    progress: Progress
    clock: Clock = field(default_factory=SystemClock)
    #: Read by the worker when the attempt has ended.
    usage: Usage = field(default_factory=Usage)
    #: Names the secrets that this attempt was given, as a digest: attempts with another text never share a warm
    #: process. None: it is shared with attempts of the same run only.
    credentials: str | None = None
    #: True in an application's own worker, where a step may call the application's functions in place.
    inline: bool = False


class StepType(Protocol):
    """One kind of step. Built-ins and plug-ins register by the entry point group `windlass.steps`.

    One object serves all attempts of a worker, many at a time. A type that keeps something warm between them also has
    a coroutine method `close()`, called when the worker ends.
    """

    spec: StepSpec

    async def run(self, context: StepContext, config: Mapping[str, Any]) -> Outcome:
        """Do the work of one attempt and say how it ended.

        `config` is rendered and valid against the spec's schema. Raising is a failure of kind `error`. Being cancelled
        (`asyncio.CancelledError`) means that the deadline passed: the effect must be stopped before this returns.
        """
        ...
