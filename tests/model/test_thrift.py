"""Workers keep what there is room for, and no more than their share where there is none."""

from __future__ import annotations

import pytest

from windlass.model.thrift import PLENTY, beginning, thrift


@pytest.mark.parametrize(("room", "workers"), [(None, 10_000), (97, 1), (97, 19), (497, 99)])
def test_where_there_is_room_everybody_keeps_connections(room: int | None, workers: int) -> None:
    assert thrift(room, workers, workers - 1) == PLENTY


def test_where_there_is_little_the_first_listen_and_nobody_lingers() -> None:
    kept = [thrift(97, 100, before) for before in range(100)]
    assert [one.listens for one in kept] == [True] * 13 + [False] * 87
    assert all(one.linger < 1 and one.poll > PLENTY.poll for one in kept)


@pytest.mark.parametrize("workers", [20, 100, 400, 1000])
def test_all_together_look_at_the_queue_a_bounded_number_of_times(workers: int) -> None:
    poll = thrift(97, workers, 0).poll
    assert workers / poll <= 34
    assert poll <= 30


def test_one_that_begins_trusts_no_plenty_yet() -> None:
    assert not beginning(97, 50).listens
    assert beginning(97, 0).listens
    assert beginning(97, 0).linger < PLENTY.linger
