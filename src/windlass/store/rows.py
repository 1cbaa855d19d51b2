"""Rows of runs and tasks as the hot statements read and write them."""

from __future__ import annotations

from typing import NamedTuple


class NewRun(NamedTuple):
    """A run to insert, in the order of its columns; JSON columns are text already."""

    id: bytes
    project: str
    job_id: bytes
    revision_id: int
    state: str
    priority: int
    queue: str
    parameters: str
    labels: str | None
    note: str | None
    trigger: str | None
    parent_id: bytes | None
    root_id: bytes | None
    correlation_id: str | None
    idempotency_key: str | None
    scheduled_at: int | None
    created_at: int
    queued_at: int | None
    deadline: int
    expansion: str | None


class NewTask(NamedTuple):
    """A queue row to insert."""

    run_id: bytes
    task: int
    revision_id: int
    state: str
    route_id: int
    priority: int
    due: int
    rank: int
    wake_at: int | None
    outstanding: int
    queued_at: int | None


class NewFact(NamedTuple):
    """A row of the event table to insert."""

    types: str
    run_id: bytes | None
    task: int | None
    at: int
    data: str | None


class Ready(NamedTuple):
    """A task that may be taken, with what its worker needs of its run."""

    id: int
    run_id: bytes
    task: int
    revision_id: int
    priority: int
    due: int
    attempt: int
    losses: int
    fence: int
    queued_at: int
    first_started_at: int | None
    rank: int
    run_state: str
    parameters: str
    #: 1 where the run has an expansion.
    fanned: int
    created_at: int
    trigger: str | None
    correlation_id: str | None


class Held(NamedTuple):
    """A queue row as the end of an attempt finds it."""

    id: int
    run_id: bytes
    task: int
    revision_id: int
    state: str
    priority: int
    due: int
    attempt: int
    losses: int
    losses_in_row: int
    fence: int
    worker_id: int | None
    queued_at: int | None
    first_started_at: int | None
    started_at: int | None
    stop: str | None
    detail: str | None


class PendingTask(NamedTuple):
    """What becomes of a task that waits for its predecessors."""

    run_id: bytes
    task: int
    outstanding: int
    #: 1 where it may be taken now.
    ready: int


class TaskEnd(NamedTuple):
    """A final task to insert, in the order of its columns."""

    run_id: bytes
    task: int
    state: str
    reason: str | None
    attempt: int
    outcome: str | None
    allowed: int
    outputs: str | None
    branches: str | None
    queued_at: int | None
    first_started_at: int | None
    ended_at: int
    worker: str | None
    exit_code: int | None
    error: str | None
    started_at: int | None
    finished_at: int | None
    cpu_micros: int | None
    max_rss_bytes: int | None
    bytes_out: int | None
    log_bytes: int | None


class AttemptEnd(NamedTuple):
    """An attempt that another one follows, to insert, in the order of its columns."""

    run_id: bytes
    task: int
    number: int
    outcome: str
    worker: str | None
    exit_code: int | None
    error: str | None
    started_at: int | None
    finished_at: int | None
    cpu_micros: int | None
    max_rss_bytes: int | None
    bytes_out: int | None
    log_bytes: int | None


class Standing(NamedTuple):
    """How things stand for a worker."""

    #: How many tasks it may hold, 0 where it is to take no more; None where it has ended.
    slots: int | None
    #: Another text after each change of what is handed out; see `dispatch.changes`.
    changes: str | None
    #: `(queue id, fence, why)` of what it holds and is to stop.
    stops: list[tuple[int, int, str]]


class ShortEnd(NamedTuple):
    """The completion of a task that is all of its run, as its worker tells it; the rest stands in the queue."""

    queue_id: int
    fence: int
    finished_at: int
    exit_code: int | None
    outputs: str | None
    cpu_micros: int | None
    max_rss_bytes: int | None
    bytes_out: int | None
    log_bytes: int | None
    #: Data of the event that tells of it.
    data: str | None


class Turn(NamedTuple):
    """What came of ending attempts and beginning others together."""

    #: When all that was, in microseconds.
    now: int
    standing: Standing
    #: Places of the ends that must be looked at by themselves, and of which nothing was changed.
    left: list[int]
    #: Tasks that were begun, as they were before.
    begun: list[Ready]
    #: The lowest rank of all that could have been taken; None where there was nothing.
    first: int | None
    #: True where there are others that could have been taken, about which something must be decided first.
    more: bool


class RunFlags(NamedTuple):
    """What of a run decides about its tasks."""

    state: str
    cancels: int
    expired: int
    deadline: int
    #: 1 where the run has an expansion.
    fanned: int
    project: str
