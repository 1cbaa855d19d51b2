"""How long a run may take is told by the right limit, and the instant is never one that is still to come."""

from __future__ import annotations

import pytest

from windlass.clock import SECOND
from windlass.model.run_time import run_time, time_was_up

HOUR = 3600 * SECOND


@pytest.mark.parametrize(
    ("timeout", "scheduled_at", "queued_at", "up_at"),
    [
        (60, None, HOUR, HOUR + 60 * SECOND),
        (60, 2 * HOUR, 2 * HOUR + SECOND, 2 * HOUR + 61 * SECOND),
        (60, 2 * HOUR, 3 * HOUR, 3 * HOUR + 60 * SECOND),
        # It came into the queue so late that the time from when it was to start was over: nobody had worked.
        (60, 2 * HOUR, 10 * HOUR - SECOND, 2 * HOUR + 60 * SECOND),
        # Nothing of what is stored fits: then it is when that was seen.
        (60, None, 10 * HOUR, 10 * HOUR),
    ],
)
def test_the_time_is_counted_from_when_it_began(
    timeout: float, scheduled_at: int | None, queued_at: int, up_at: int
) -> None:
    found = run_time(timeout, 999, created_at=0, scheduled_at=scheduled_at, queued_at=queued_at, seen_at=10 * HOUR)
    assert (found.up_at, found.seconds, found.own) == (up_at, timeout, True)


@pytest.mark.parametrize(
    ("timeout", "queued_at", "said"),
    [
        (2, SECOND, "the timeout of its job gives it 2s."),
        (None, SECOND, "a run whose job has no timeout gets 1h (WINDLASS_RUN_DEADLINE)."),
        (2, None, "a run waits for 1h at most (WINDLASS_RUN_DEADLINE)."),
        (7200, None, "a run waits for 2h at most."),
    ],
)
def test_the_limit_is_named_with_its_length(timeout: float | None, queued_at: int | None, said: str) -> None:
    found = run_time(timeout, 3600, created_at=0, scheduled_at=None, queued_at=queued_at, seen_at=10 * HOUR)
    assert str(time_was_up(found, [])["message"]).endswith(f": {said}")
