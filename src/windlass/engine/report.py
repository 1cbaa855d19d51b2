"""What a worker says about an attempt that ended."""

from __future__ import annotations

from dataclasses import dataclass

from windlass.model.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt used."""

    cpu_micros: int | None = None
    max_rss_bytes: int | None = None
    #: Bytes that the step wrote, and those kept of them.
    bytes_out: int | None = None
    log_bytes: int | None = None


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Report:
    """The end of one attempt, or of a claim that was never started."""

    queue_id: int
    fence: int
    run_id: bytes
    task: int
    attempt: int
    outcome: Outcome
    #: Name of the worker.
    worker: str
    started_at: int | None
    finished_at: int
    usage: Usage = NO_USAGE
    #: True where the run has this one task: its end is the run's.
    single: bool = False
    queued_at: int | None = None
    first_started_at: int | None = None
