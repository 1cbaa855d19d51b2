"""Delays of any policy are times, in order, and never beyond its cap."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.model.definition import Retry, RetryStrategy
from windlass.model.outcome import Failed
from windlass.model.retry import LONGEST_DELAY, decide_retry, delay_before

seconds = st.floats(0, 1e9, allow_nan=False)
policies = st.builds(
    Retry,
    attempts=st.integers(1, 1000),
    strategy=st.sampled_from(get_args(RetryStrategy)),
    delay=seconds,
    max_delay=seconds,
    jitter=st.booleans(),
)
chances = st.floats(0, 1, exclude_max=True)


@pytest.mark.promise("H05")
@given(policies, st.integers(2, 10_000), chances)
def test_a_delay_is_never_negative_nor_beyond_the_cap(policy: Retry, attempt: int, chance: float) -> None:
    delay = delay_before(policy, attempt, chance)
    assert 0 <= delay <= policy.max_delay
    full = delay_before(replace(policy, jitter=False), attempt, chance)
    assert full / 2 <= delay <= full


@pytest.mark.promise("H05")
@given(policies, chances)
def test_delays_without_jitter_do_not_shrink(policy: Retry, chance: float) -> None:
    plain = replace(policy, jitter=False)
    delays = [delay_before(plain, attempt, chance) for attempt in range(2, 90)]
    assert delays == sorted(delays)


@pytest.mark.promise("H05")
@given(policies, chances, st.none() | st.floats())
def test_a_task_is_started_exactly_as_often_as_its_policy_says(
    policy: Retry, chance: float, named: float | None
) -> None:
    outcome = Failed("exit", "it failed", 1, retry_after=named)
    starts = 1
    while (delay := decide_retry(policy, outcome, starts, chance).delay) is not None:
        assert 0 <= delay <= max(policy.max_delay, LONGEST_DELAY)
        starts += 1
    assert starts == policy.attempts
