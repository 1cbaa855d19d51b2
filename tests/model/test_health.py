"""How a job is doing, by its last ends."""

from __future__ import annotations

import pytest

from windlass.model.health import job_health


@pytest.mark.promise("O05", part="health")
@pytest.mark.parametrize(
    ("ends", "found"),
    [
        ([], ("idle", 0)),
        (["cancelled"], ("idle", 0)),
        (["completed"], ("healthy", 0)),
        (["completed", "cancelled", "completed"], ("healthy", 0)),
        (["completed", "failed"], ("degraded", 0)),
        (["timeout", "failed", "completed"], ("failing", 2)),
        (["cancelled", "failed", "completed"], ("failing", 1)),
    ],
)
def test_a_job_is_judged_by_how_its_last_runs_ended(ends: list[str], found: tuple[str, int]) -> None:
    assert job_health(ends, enabled=True) == found
    assert job_health(ends, enabled=False) == ("disabled", found[1])
