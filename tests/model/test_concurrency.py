"""Who enters, who waits and who leaves under a limit of runs."""

from __future__ import annotations

import pytest

from windlass.errors import ExpressionError
from windlass.model.concurrency import (
    as_ranges,
    decide_entry,
    free_places,
    key_value,
    limit_key,
    to_replace,
    waits_for_ever,
)

JOB = b"j" * 16


def test_without_a_key_all_runs_of_the_job_count() -> None:
    assert key_value({"limit": 1}, {"region": "eu"}) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("${{ parameters.region }}", "eu"),
        ("${{ parameters.shard + 1 }}", 4),
        ("${{ parameters.region }}-${{ parameters.shard }}", "eu-3"),
        ("all", "all"),
    ],
)
def test_a_key_keeps_the_type_of_its_one_expression(key: str, value: object) -> None:
    assert key_value({"key": key}, {"region": "eu", "shard": 3}) == value


def test_a_key_without_a_value_is_an_error() -> None:
    with pytest.raises(ExpressionError, match="region"):
        key_value({"key": "${{ parameters.region }}"}, {})


def test_keys_differ_with_job_value_and_type_and_do_not_show_the_value() -> None:
    keys = {limit_key(job, value) for job in (JOB, b"k" * 16) for value in (None, "1", 1, True, [1], "secret")}
    assert len(keys) == 12
    assert not any("secret" in key for key in keys)
    assert limit_key(JOB, {"a": 1, "b": 2}) == limit_key(JOB, {"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("strategy", "verdict"), [("queue", "wait"), ("skip", "skip"), ("replace", "replace"), ("fail", "fail")]
)
def test_one_too_many_is_what_the_strategy_says(strategy: str, verdict: str) -> None:
    assert decide_entry(strategy, limit=2, holding=2, waiting=False) == verdict
    assert decide_entry(strategy, limit=2, holding=1, waiting=True) == verdict
    assert decide_entry(strategy, limit=2, holding=1, waiting=False) == "enter"
    assert decide_entry(strategy, limit=None, holding=99, waiting=True) == "enter"


def test_the_oldest_are_replaced_until_one_more_fits() -> None:
    assert to_replace("abc", 1) == "abc"
    assert to_replace("abc", 2) == "ab"
    assert to_replace("abc", 4) == ""


def test_places_are_never_negative_and_never_more_than_asked_for() -> None:
    assert [free_places(limit, 3, 10) for limit in (1, 3, 5, 99, None)] == [0, 0, 2, 10, 10]


def test_numbers_side_by_side_are_one_range() -> None:
    assert as_ranges([0, 1, 2, 5, 7, 8]) == [[0, 2], [5, 5], [7, 8]]
    assert as_ranges([]) == []


def test_a_run_waits_for_ever_where_all_that_could_let_it_in_wait_for_it() -> None:
    circle = {b"a": [[b"b"]], b"b": [[b"c", b"d"]], b"c": [[b"a"]], b"d": [[b"a"], [b"e"]]}
    assert waits_for_ever(b"a", circle)
    assert not waits_for_ever(b"a", {**circle, b"d": [[b"e"]]})
    assert not waits_for_ever(b"e", circle)
    assert waits_for_ever(b"z", {**circle, b"z": [[b"e"], [b"a"]]})
