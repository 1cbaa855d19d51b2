"""What a worker holds: one task, with everything that its attempt needs of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from windlass.engine.compiled import CompiledJob
from windlass.model.definition import Step
from windlass.model.rates import NOTHING, Takes


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a step before this one ended; of a fanned-out step the results of its tasks by their keys."""

    state: str
    outputs: Mapping[str, Any]
    exit_code: int | None = None
    items: Mapping[str, StepResult] | None = None


@dataclass(slots=True)
class Claim:
    """One claimed task."""

    queue_id: int
    fence: int
    run_id: bytes
    task: int
    #: Number that its attempt has, or will have once it is started.
    attempt: int
    job: CompiledJob
    step_number: int
    #: Matrix cell, and the values behind `matrix`.
    key: str
    values: Mapping[str, Any]
    #: JSON text of the run's parameters.
    parameters: str
    created_at: int
    queued_at: int
    first_started_at: int | None
    #: When the attempt was started; None while it is only claimed.
    started_at: int | None
    trigger: str | None
    correlation_id: str | None
    #: True where the run has this one task.
    single: bool
    #: True where others may wait for the end of the run.
    limited: bool = False
    #: True where the matrix of the step turned out empty: there is nothing to do.
    empty: bool = False
    #: Why no earlier result was taken for it, of a step whose results are kept.
    cache: dict[str, Any] | None = None
    #: Results of the steps before it that it reads, by name.
    results: Mapping[str, StepResult] = field(default_factory=dict)

    @property
    def step(self) -> Step:
        """The step that the task stands for."""
        return self.job.job.steps[self.step_number]

    @property
    def takes(self) -> Takes:
        """What its start takes of limited resources."""
        return NOTHING if self.job.takes is None else self.job.takes[self.step_number]


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a worker gets for its reports: new claims, and `(queue id, fence, why)` of attempts that are to stop."""

    claims: list[Claim]
    stops: list[tuple[int, int, str]]
    #: How many tasks the worker may hold; None where nobody says.
    slots: int | None = None
    #: Seconds after which there is more to take; None where nobody knows.
    again: float | None = None
