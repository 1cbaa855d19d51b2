"""Jobs written in Python: a class with `execute`, or a function.

Little is imported here: this is also loaded by the process that runs an isolated step.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from windlass.errors import UserError
from windlass.sdk.retry import Duration, RetryPolicy

Ctx = TypeVar("Ctx")
Res = TypeVar("Res")
Given = ParamSpec("Given")
Out = TypeVar("Out")

Isolation = Literal["process", "thread", "inline"]


class Progress(Protocol):
    """Tells how far an attempt is; from asynchronous code and from threads, with `await` or without."""

    #: True once the attempt is to stop.
    cancelled: bool

    def __call__(self, percent: float | None = None, message: str | None = None) -> Awaitable[None]:
        """Report percent done (0 to 100) and what is going on; the last report wins."""
        ...


class Job(Generic[Ctx, Res]):
    """A job as a class; a new object serves each attempt.

    `execute` may be asynchronous. Besides it a job may have `should_retry(attempt) -> bool` and
    `retry_delay(attempt) -> float | None` (seconds), which are asked when an attempt failed: `attempt.number` counts
    from 1, `attempt.error` is what was raised.
    """

    #: The job's alias; None makes one of the class's name: `NightlyBackup` is `nightly-backup`.
    name: ClassVar[str | None] = None
    retry: ClassVar[RetryPolicy] = RetryPolicy()
    #: Running time of one attempt; None takes the setting.
    timeout: ClassVar[Duration | None] = None
    #: Where its tasks wait.
    queue: ClassVar[str] = "default"
    #: Which workers take it, as in a manifest: `{"pool": ..., "labels": {...}}`. It needs one that has the code of the
    #: application too, or of another one, `{"app": NAME}`; with None there any will do that can import it.
    requires: ClassVar[Mapping[str, Any]] = {}
    #: critical, high, normal, low, or 1 to 15.
    priority: ClassVar[str | int] = "normal"
    #: Where it runs: `process`, `thread`, or `inline` on the application's event loop. None takes `inline` for
    #: asynchronous code, `thread` for other.
    isolation: ClassVar[Isolation | None] = None
    #: What becomes of an attempt whose process is gone; `retry` starts it again.
    on_worker_lost: ClassVar[Literal["fail", "retry"]] = "fail"
    #: Whether a run takes the result of an earlier one that was given the same: True, or `{"ttl": ..., "version": ...}`
    #: as a manifest has it. Without a `version` a change of the job's own source counts as one.
    cache: ClassVar[bool | Mapping[str, Any]] = False
    #: By when a run should have ended: `{"duration": ..., "completedBy": "06:00"}`; alerts, nothing is stopped.
    sla: ClassVar[Mapping[str, Any] | None] = None
    labels: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        """Let `Job[Context, Result]` say what `execute` takes and gives where its own annotations do not."""
        super().__init_subclass__(**options)
        execute = cls.__dict__.get("execute")
        kinds = _arguments(cls)
        if not inspect.isfunction(execute) or kinds is None:
            return
        try:
            annotations = typing.get_type_hints(execute)
        except Exception:  # noqa: BLE001 - names that only a type checker knows
            annotations = {}
        names = [name for name in list(inspect.signature(execute).parameters)[1:] if name != "progress"]
        for name, kind in zip(("return", *names[:1]), reversed(kinds), strict=False):
            if not isinstance(kind, TypeVar | typing.ForwardRef):
                annotations.setdefault(name, kind)
        execute.__annotations__ = annotations

    def execute(self, context: Ctx, progress: Progress) -> Res | Awaitable[Res]:
        """Do the work of one attempt and return its result; raising is a failure."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What may be said of a function that is a job; the fields mean what they mean on `Job`."""

    name: str | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: Duration | None = None
    queue: str = "default"
    requires: Mapping[str, Any] = field(default_factory=dict)
    priority: str | int = "normal"
    isolation: Isolation | None = None
    on_worker_lost: Literal["fail", "retry"] = "fail"
    cache: bool | Mapping[str, Any] = False
    sla: Mapping[str, Any] | None = None
    labels: Mapping[str, str] | None = None


class FunctionJob(Generic[Given, Out]):
    """A function that is a job; it can still be called."""

    def __init__(self, function: Callable[Given, Out], options: JobOptions) -> None:
        """Take a function and what is said of it."""
        functools.update_wrapper(self, function)
        #: The function itself; named so that an isolated step, which knows nothing of this class, finds it.
        self.windlass_function = function
        self.options = options

    def __call__(self, *args: Given.args, **kwargs: Given.kwargs) -> Out:
        """Call the function here and now, without a run."""
        return self.windlass_function(*args, **kwargs)


@overload
def job(function: Callable[Given, Out], /) -> FunctionJob[Given, Out]: ...


@overload
def job(
    *,
    name: str | None = None,
    retry: RetryPolicy = ...,
    timeout: Duration | None = None,
    queue: str = "default",
    requires: Mapping[str, Any] = ...,
    priority: str | int = "normal",
    isolation: Isolation | None = None,
    on_worker_lost: Literal["fail", "retry"] = "fail",
    cache: bool | Mapping[str, Any] = False,
    sla: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Callable[[Callable[Given, Out]], FunctionJob[Given, Out]]: ...


def job(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a job: `@job`, or `@job(name=..., retry=..., ...)`; see `JobOptions`.

    A parameter named `progress` gets the reporter; the others are the job's parameters.
    """
    unknown = set(options) - set(JobOptions.__dataclass_fields__)
    if unknown:
        known = ", ".join(JobOptions.__dataclass_fields__)
        raise UserError(f"@job has no option {min(unknown)}; it has {known}.")
    said = JobOptions(**options)
    if function is None:
        return lambda found: FunctionJob(found, said)
    return FunctionJob(function, said)


def _arguments(cls: type) -> tuple[Any, ...] | None:
    """Return what stands in `Job[...]` among the bases of a class."""
    for base in getattr(cls, "__orig_bases__", ()):
        origin = typing.get_origin(base)
        arguments = typing.get_args(base)
        if isinstance(origin, type) and issubclass(origin, Job) and len(arguments) == 2:  # noqa: PLR2004 - two of them
            return arguments
    return None
