"""Jobs as frozen values: what a normalised manifest means, with every default in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

TriggerRule = Literal["all_success", "none_failed", "one_success", "all_failed", "all_done", "always"]
RetryStrategy = Literal["fixed", "linear", "exponential"]
WorkerLost = Literal["fail", "retry"]

#: Types whose steps do nothing before their end is told: a second start of one whose worker is gone does no harm.
HARMLESS_TWICE: frozenset[str] = frozenset({"wait", "job"})

#: Points of the four named priorities; `priority` may also be a number from 1 to 15.
PRIORITIES: Mapping[str, int] = {"critical": 15, "high": 10, "normal": 5, "low": 1}
NORMAL_PRIORITY = PRIORITIES["normal"]


def when_lost(step_type: str | None) -> WorkerLost:
    """Return what becomes of an attempt whose worker is gone, where its step does not say."""
    return "retry" if step_type in HARMLESS_TWICE else "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When a failed attempt is followed by another one; times in seconds."""

    #: Starts in all, the first one included.
    attempts: int = 1
    strategy: RetryStrategy = "exponential"
    delay: float = 5.0
    max_delay: float = 300.0
    jitter: bool = True
    #: `exit`, `exit:75,111`, `error`, `connection`, `timeout`.
    on: tuple[str, ...] = ("exit", "error", "connection")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requires:
    """Which workers may take a job's tasks."""

    pool: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    #: The application in Python whose code they must have; None where any worker will do.
    app: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A node of a job's graph."""

    name: str
    #: The step type, such as `shell` or `container.docker`.
    type: str
    #: Config of the step type, as written: expressions are not yet rendered.
    config: Mapping[str, Any] = field(default_factory=dict)
    #: Names of all predecessors, whichever side the edge was written on, in file order.
    depends_on: tuple[str, ...] = ()
    trigger_rule: TriggerRule = "all_success"
    #: Text of the expression; None always runs.
    when: str | None = None
    #: True where the step chooses among its successors.
    branch: bool = False
    env: Mapping[str, Any] = field(default_factory=dict)
    retry: Retry = Retry()
    #: Seconds one attempt may run; None takes the default of the settings.
    timeout: float | None = None
    allow_failure: bool = False
    on_worker_lost: WorkerLost = "fail"
    #: Values by name: lists, or one expression that gives a list.
    matrix: Mapping[str, Any] | None = None
    #: `{group|target|selector, maxParallel, canary, maxFailures}` as written.
    targets: Mapping[str, Any] | None = None
    #: Globs of files to keep, from the step's folder.
    artifacts: tuple[str, ...] = ()
    #: Bytes of output kept for one attempt; None takes the default of the settings.
    log_quota: int | None = None
    cache: Mapping[str, Any] | None = None
    #: `{resource, units}` that one task takes of a limited resource.
    rate_limit: Mapping[str, Any] | None = None
    #: The same, of several resources; `{resource, limit, window, units}` states a limit that the job does not.
    rate_limits: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is stored: immutable, complete, with file order kept in `steps`."""

    alias: str
    steps: tuple[Step, ...]
    title: str | None = None
    description: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    category: str | None = None
    #: JSON Schema of each parameter by name; None: any map of strings is taken.
    parameters: Mapping[str, Mapping[str, Any]] | None = None
    triggers: tuple[Mapping[str, Any], ...] = ()
    callbacks: tuple[Mapping[str, Any], ...] = ()
    queue: str = "default"
    requires: Requires = Requires()
    priority: int = NORMAL_PRIORITY
    #: Seconds the whole run may take; None takes the run deadline of the settings.
    timeout: float | None = None
    fail_fast: bool = False
    concurrency: Mapping[str, Any] | None = None
    rate_limits: tuple[Mapping[str, Any], ...] = ()
    sla: Mapping[str, Any] | None = None
    retention: Mapping[str, Any] | None = None
    #: Tasks of one run that may run at the same time; None is no limit of the job's own.
    max_parallel_tasks: int | None = None
