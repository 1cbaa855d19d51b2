"""What a step says whose child run failed names the way down and the cause, and does not grow with the depth."""

from __future__ import annotations

from uuid import UUID

from windlass.model.child_failure import child_failure


def run(number: int) -> str:
    """Return the id of a run."""
    return str(UUID(int=number))


def test_one_level_is_the_run_and_its_error() -> None:
    assert child_failure(run(1), "a", "failed", "no.") == f'Run {run(1)} of job "a" failed: no.'
    assert child_failure(run(1), "a", "cancelled", None) == f'Run {run(1)} of job "a" was cancelled.'


def test_the_cause_and_the_innermost_run_are_named_with_the_jobs_between() -> None:
    text: str | None = "it ended with exit code 1: bad"
    for number, job in enumerate("dcba"):
        text = child_failure(run(number), job, "failed", text)
    said = f'Run {run(3)} of job "a" failed through "b", "c", run {run(0)} of job "d": it ended with exit code 1: bad'
    assert text == said
    below = child_failure(run(2), "b", "failed", child_failure(run(1), "c", "timeout", None))
    assert below == f'Run {run(2)} of job "b" failed through run {run(1)} of job "c": that ran out of time.'


def test_it_stays_short_however_deep_the_cause_lies() -> None:
    text = "no."
    for number in range(1000):
        text = child_failure(run(number), "m5", "failed", text)
    assert text == f'Run {run(999)} of job "m5" failed through "m5", "m5", 996 more, run {run(0)} of job "m5": no.'
