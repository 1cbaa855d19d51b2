"""What a worker says about an attempt that ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from windlass.engine.claim import Claim
from windlass.model.outcome import Outcome
from windlass.store.rows import Held

if TYPE_CHECKING:
    from windlass.engine.step_cache import Wanted


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt used."""

    cpu_micros: int | None = None
    max_rss_bytes: int | None = None
    #: Bytes that the step wrote, and those kept of them.
    bytes_out: int | None = None
    log_bytes: int | None = None
    #: Number of the last chunk of its log: whoever reads along knows by it when he has read all.
    chunks: int = 0
    #: The last of them where the store took it not: what was lost of the log. It is kept with the end itself.
    unsaid: bytes = b""


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of an attempt that was kept."""

    name: str
    size: int
    sha256: str
    #: Where the copy is, relative to the artifact folder.
    path: str


@dataclass(slots=True)  # not frozen: one is made for every attempt, and freezing is most of what that costs
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
    #: True where a completion of this task is one of its run, whatever became of that meanwhile.
    single: bool = False
    #: Files that were kept, under their names.
    artifacts: tuple[KeptFile, ...] = ()
    #: By what its result is to be kept for later tasks.
    keep: Wanted | None = None
    queued_at: int | None = None
    first_started_at: int | None = None


@dataclass(slots=True)  # not frozen, as Report
class Ended:
    """What an attempt leaves: how it ended, what it used, and the files kept of it."""

    outcome: Outcome
    usage: Usage = NO_USAGE
    artifacts: tuple[KeptFile, ...] = ()
    #: True where a secret was masked in what it gave.
    hid: bool = False
    #: By what its result is to be kept for later tasks.
    keep: Wanted | None = None


def report_on(claim: Claim, ended: Ended, *, worker: str, finished_at: int) -> Report:
    """Return the report on the end of what `claim` holds."""
    return Report(
        queue_id=claim.queue_id,
        fence=claim.fence,
        run_id=claim.run_id,
        task=claim.task,
        attempt=claim.attempt,
        outcome=ended.outcome,
        worker=worker,
        started_at=claim.started_at,
        finished_at=finished_at,
        usage=ended.usage,
        artifacts=ended.artifacts,
        keep=ended.keep,
        single=ends_run(claim),
        queued_at=claim.queued_at,
        first_started_at=claim.first_started_at,
    )


def ends_run(claim: Claim) -> bool:
    """Say whether a completion of what `claim` holds is one of its run, whatever became of that meanwhile.

    A step with the rule `always` goes on when its run is past its deadline: the run does not end as such a step does.
    """
    step = claim.step
    return claim.single and not claim.limited and not step.branch and step.trigger_rule != "always"


def report_of(row: Held, outcome: Outcome, *, finished_at: int, worker: str | None = None) -> Report:
    """Return the report on an attempt that ends without its worker: that one is gone, or the task waited without one.

    `worker` is the name of the one that had it; None takes what a waiting row says.
    """
    if worker is None:
        worker = orjson.loads(row.detail).get("worker", "") if row.detail else ""
    return Report(
        queue_id=row.id,
        fence=row.fence,
        run_id=row.run_id,
        task=row.task,
        attempt=row.attempt,
        outcome=outcome,
        worker=worker,
        started_at=row.started_at,
        finished_at=finished_at,
    )
