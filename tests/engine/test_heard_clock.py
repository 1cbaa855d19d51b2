"""The clock of a worker follows the one of the store, whatever an answer takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.clock import SECOND
from windlass.engine import heard_clock
from windlass.engine.heard_clock import HeardClock

#: What an answer may be off by without moving anything, in microseconds.
NOISE = SECOND // 4
HOUR = 3600 * SECOND


class Steady:
    """Time that passes here, as it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of the clock that nobody can set."""
        self.now = 5 * HOUR
        monkeypatch.setattr(heard_clock, "_steady", lambda: self.now)


def asked(steady: Steady, clock: HeardClock, ahead: int, there: int, back: int) -> None:
    """Ask a server whose clock is `ahead` of the steady one here; the way there and back takes so long."""
    began = steady.now / SECOND
    steady.now += there
    said = steady.now + ahead
    steady.now += back
    clock.hear(said, began)


@given(
    ahead=st.integers(-HOUR, HOUR),
    ways=st.lists(st.tuples(st.integers(0, 9 * SECOND), st.integers(0, 9 * SECOND)), min_size=1, max_size=5),
)
def test_it_is_never_further_off_than_an_answer_took(ahead: int, ways: list[tuple[int, int]]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        steady = Steady(monkeypatch)
        clock = HeardClock()
        for there, back in ways:
            asked(steady, clock, ahead, there, back)
            assert abs(clock.now() - (steady.now + ahead)) <= max(there, back) + NOISE + 1
        asked(steady, clock, ahead, 0, 0)
        assert abs(clock.now() - (steady.now + ahead)) <= NOISE + 1


def test_a_late_answer_moves_nothing_that_it_agrees_with(monkeypatch: pytest.MonkeyPatch) -> None:
    steady = Steady(monkeypatch)
    clock = HeardClock()
    asked(steady, clock, HOUR, 1000, 1000)
    right = clock.now() - steady.now
    for there, back in ((4 * SECOND, 0), (0, 4 * SECOND), (2 * SECOND, 2 * SECOND)):
        asked(steady, clock, HOUR, there, back)
        assert clock.now() - steady.now == right


def test_a_clock_that_was_set_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    steady = Steady(monkeypatch)
    clock = HeardClock()
    clock.hear_now(steady.now)
    clock.hear_now(steady.now - HOUR)
    assert clock.now() == steady.now - HOUR
    clock.hear_now(steady.now + HOUR)
    assert clock.now() == steady.now + HOUR
