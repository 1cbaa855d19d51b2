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


class RunFlags(NamedTuple):
    """What of a run decides about its tasks."""

    state: str
    cancels: int
    expired: int
    deadline: int
    #: 1 where the run has an expansion.
    fanned: int
    project: str
