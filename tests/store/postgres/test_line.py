"""Who gets which units of work, and in which company."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from windlass.errors import Unavailable
from windlass.store.postgres.line import Line, Waiting
from windlass.store.requests import Request
from windlass.store.transaction import beside_others, follows_others, leads_others, may_run_beside

#: Seconds within which what must happen has to.
DEADLINE = 20


def alone(_: object) -> None: ...


@beside_others
def beside(_: object) -> None: ...


@leads_others
def leading(_: object) -> None: ...


@follows_others
def following(_: object) -> None: ...


@pytest.fixture
def line() -> Line:
    return Line(3)


def put(line: Line, *units: Any) -> list[Waiting]:
    found = [Waiting(Request(unit, None, Future()), unit, alone=not may_run_beside(unit)) for unit in units]
    for one in found:
        line.put(one)
    return found


def taken(line: Line) -> list[Any] | None:
    group = line.take(0)
    return None if group is None else [waiting.unit for waiting in group]


def test_units_of_one_kind_go_together_in_their_order_and_so_many_at_once(line: Line) -> None:
    put(line, beside, beside, leading, beside, beside)
    assert taken(line) == [beside, beside]
    assert taken(line) == [leading]
    assert taken(line) == [beside, beside]
    assert taken(line) == []


def test_units_that_run_alone_are_given_to_one_at_a_time(line: Line) -> None:
    put(line, alone, alone, beside, alone, alone)
    first = line.take(0)
    assert first is not None
    assert [waiting.unit for waiting in first] == [alone, alone, alone]
    assert taken(line) == [beside]
    assert taken(line) == []
    line.done(first)
    assert taken(line) == [alone]


def test_a_unit_that_follows_goes_to_who_leads_and_to_nobody_else_meanwhile(line: Line) -> None:
    put(line, leading)
    group = line.take(0)
    assert group is not None
    (follower,) = put(line, following)
    assert taken(line) == []
    assert line.followers(group) == [follower.request]
    assert follower.request.follows
    put(line, following)
    assert line.followers(group) == []
    assert taken(line) == [following]


def test_a_unit_that_follows_runs_by_itself_where_nobody_leads_or_who_did_was_undone(line: Line) -> None:
    put(line, following)
    assert taken(line) == [following]
    put(line, leading)
    group = line.take(0)
    assert group is not None
    put(line, following)
    line.done(group)
    assert taken(line) == [following]


def test_who_waits_is_told_and_at_the_end_everybody_is(line: Line) -> None:
    found: list[list[Waiting] | None] = []

    def wait() -> None:
        while (group := line.take(None)) is not None:
            found.append(group)
            line.done(group)
        found.append(None)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    put(line, alone, alone, beside, following)
    line.close()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()
    assert sum(len(group) for group in found if group is not None) == 4
    assert found.count(None) == 3
    with pytest.raises(Unavailable):
        put(line, beside)
