"""When a failed attempt is followed by another one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from windlass.model.definition import Retry
from windlass.model.outcome import Cancelled, Completed, Failed, Outcome, Skipped, TimedOut, Waiting
from windlass.model.retry import decide_retry, delay_before

PLAIN = Retry(attempts=5, strategy="exponential", delay=5, max_delay=300, jitter=False)
EXIT = Failed("exit", "it ended with exit code 1", 1)


@pytest.mark.promise("H05")
@pytest.mark.parametrize(
    ("strategy", "delays"),
    [
        ("exponential", [5, 10, 20, 40, 80, 160, 300, 300]),
        ("linear", [5, 10, 15, 20, 25, 30, 35, 40]),
        ("fixed", [5, 5, 5, 5, 5, 5, 5, 5]),
    ],
)
def test_delays_grow_as_the_strategy_says_up_to_the_cap(strategy: str, delays: list[float]) -> None:
    policy = replace(PLAIN, strategy=strategy)  # type: ignore[arg-type]
    assert [delay_before(policy, attempt, 0.9) for attempt in range(2, 10)] == delays


@pytest.mark.promise("H05")
def test_jitter_spreads_between_half_of_the_delay_and_all_of_it() -> None:
    policy = replace(PLAIN, jitter=True)
    assert delay_before(policy, 3, 0.0) == 5
    assert delay_before(policy, 3, 0.5) == 7.5
    assert 9.99 < delay_before(policy, 3, 0.9999) < 10


def test_a_cap_below_the_delay_wins() -> None:
    assert delay_before(replace(PLAIN, max_delay=2), 2, 0) == 2


@pytest.mark.parametrize("attempt", [100, 10_000, 10**9])
def test_late_attempts_wait_for_the_cap_and_no_longer(attempt: int) -> None:
    assert delay_before(PLAIN, attempt, 0) == 300


@pytest.mark.promise("H05")
def test_attempts_count_every_start() -> None:
    policy = replace(PLAIN, attempts=3)
    assert [decide_retry(policy, EXIT, starts, 0).delay for starts in (1, 2, 3, 4)] == [5, 10, None, None]
    assert decide_retry(policy, EXIT, 3, 0).reason == "attempt 3 of 3 was the last"


def test_one_attempt_is_no_retry() -> None:
    assert not decide_retry(Retry(), EXIT, 1, 0).retries


@pytest.mark.parametrize("outcome", [Completed(), Cancelled(), Skipped("no"), Waiting(1, "later")])
def test_only_failures_are_retried(outcome: Outcome) -> None:
    assert decide_retry(PLAIN, outcome, 1, 0).delay is None


@pytest.mark.parametrize(
    ("on", "outcome", "retried"),
    [
        (("exit", "error", "connection"), EXIT, True),
        (("exit", "error", "connection"), Failed("error", "no"), True),
        (("exit", "error", "connection"), Failed("connection", "no"), True),
        (("exit", "error", "connection"), TimedOut(5), False),
        (("exit", "error", "connection"), Failed("expression", "no"), False),
        (("exit", "error", "connection"), Failed("lost", "no"), False),
        (("timeout",), TimedOut(5), True),
        (("timeout",), EXIT, False),
        (("exit:75,111",), Failed("exit", "no", 75), True),
        (("exit:75,111",), Failed("exit", "no", 111), True),
        (("exit:75,111",), Failed("exit", "no", 7), False),
        (("exit:75,111",), Failed("exit", "no", 1), False),
        (("exit:75,111",), Failed("exit", "no", None), False),
        (("exit:75", "error"), Failed("error", "no", 1), True),
        ((), EXIT, False),
    ],
)
def test_only_what_on_names_is_retried(on: tuple[str, ...], outcome: Outcome, retried: bool) -> None:
    assert decide_retry(replace(PLAIN, on=on), outcome, 1, 0).retries is retried


def test_expressions_and_lost_workers_are_not_retried_even_where_on_names_them() -> None:
    policy = replace(PLAIN, on=("expression", "lost", "poison"))
    for kind in ("expression", "lost", "poison"):
        assert not decide_retry(policy, Failed(kind, "no"), 1, 0).retries  # type: ignore[arg-type]


def test_the_step_may_name_the_delay_but_not_the_number_of_attempts() -> None:
    policy = replace(PLAIN, attempts=2)
    assert decide_retry(policy, replace(EXIT, retry_after=0.25), 1, 0).delay == 0.25
    assert decide_retry(policy, replace(EXIT, retry_after=-5), 1, 0).delay == 0
    assert decide_retry(policy, replace(EXIT, retry_after=0.25), 2, 0).delay is None


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1e300])
def test_a_delay_that_is_no_time_is_left_to_the_policy(wrong: float) -> None:
    assert decide_retry(PLAIN, replace(EXIT, retry_after=wrong), 1, 0).delay == 5


def test_a_step_may_say_that_another_attempt_is_of_no_use() -> None:
    assert not decide_retry(PLAIN, replace(EXIT, may_retry=False), 1, 0).retries
