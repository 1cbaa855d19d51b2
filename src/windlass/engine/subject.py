"""What is worked on where a log record is written: the attempt whose task of the event loop says it."""

from __future__ import annotations

from contextvars import ContextVar

from windlass.engine.claim import Claim
from windlass.engine.step_context import task_id
from windlass.ids import id_text

_subject: ContextVar[tuple[Claim, str] | None] = ContextVar("windlass-subject", default=None)


def work_on(claim: Claim, worker: str) -> None:
    """Say from now on, in this task of the event loop and in what it starts, what is worked on."""
    _subject.set((claim, worker))


def subject_ids() -> dict[str, str | int]:
    """Return the ids of what is worked on here; nothing where no attempt is."""
    found = _subject.get()
    if found is None:
        return {}
    claim, worker = found
    ids: dict[str, str | int] = {
        "run": id_text(claim.run_id),
        "task": task_id(claim.run_id, claim.task),
        "attempt": claim.attempt,
        "job": claim.job.alias,
        "step": claim.step.name,
        "worker": worker,
    }
    if claim.correlation_id is not None:
        ids["correlationId"] = claim.correlation_id
    return ids
