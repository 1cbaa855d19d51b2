"""How long a run could take is told by the limit that it had, whatever the settings say since."""

from __future__ import annotations

import pytest

from windlass.clock import SECOND
from windlass.model.run_time import run_time, time_was_up

HOUR = 3600 * SECOND


@pytest.mark.parametrize(
    ("timeout", "lasted", "waited", "said"),
    [
        (2.5, 2.5, False, "the timeout of its job gives it 2s500ms."),
        (None, 3600, False, "a run whose job has no timeout gets 1h (WINDLASS_RUN_DEADLINE)."),
        (2, 3600, True, "a run waits for 1h at most (WINDLASS_RUN_DEADLINE)."),
        (7200, 7200, True, "a run waits for 2h at most."),
    ],
)
def test_the_limit_is_named_with_its_length(timeout: float | None, lasted: float, said: str, *, waited: bool) -> None:
    up_at = HOUR + round(lasted * SECOND)
    found = run_time(timeout, begins=HOUR, up_at=up_at, waited=waited)
    assert (found.seconds, found.up_at) == (lasted, up_at)
    assert str(time_was_up(found, [])["message"]).endswith(f": {said}")
