"""Waits for events against the sentence that describes them, however the events are cut into looks and restarts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.model.event_wait import EventPattern, EventWait, Happening, Waiters, ends

_TYPES = ("a.b", "a.c", "b", "run.completed")
_RUNS = (None, b"1", b"2")
patterns = st.builds(
    EventPattern,
    st.sampled_from([*_TYPES, "a.*", "*", "?"]),
    st.sampled_from([None, "x"]),
    st.dictionaries(st.sampled_from(["k", "l.m"]), st.sampled_from(["1", "2"]), max_size=2),
)
facts = st.fixed_dictionaries({}, optional={"k": st.sampled_from([1, "2", True]), "l": st.just({"m": "1"})})
events = st.lists(
    st.tuples(
        st.sampled_from(_TYPES), st.sampled_from(["", "x"]), st.sampled_from(["p", "q"]), st.sampled_from(_RUNS), facts
    ),
    max_size=25,
).map(
    lambda told: [
        Happening(seq=number, type=kind, source=source, project=project, run_id=run, at=number * 10, facts=said)
        for number, (kind, source, project, run, said) in enumerate(told, 1)
    ]
)
waits = st.lists(
    st.tuples(
        patterns, st.sampled_from(["p", "q"]), st.sampled_from([b"1", b"2"]), st.integers(0, 25), st.integers(0, 250)
    ),
    max_size=8,
).map(
    lambda said: [
        EventWait(key=key, pattern=pattern, project=project, run_id=run, after=after, until=until)
        for key, (pattern, project, run, after, until) in enumerate(said)
    ]
)


@pytest.mark.promise("H08")
@given(waits, events, st.data())
def test_each_wait_ends_once_by_the_first_event_that_fits_through_all_restarts(
    waiting: list[EventWait[int]], told: list[Happening], data: st.DataObject
) -> None:
    expected = {}
    for wait in waiting:
        first = next((event for event in told if ends(wait, event)), None)
        if first is not None:
            expected[wait.key] = first.seq
    found: dict[int, int] = {}
    noted = reached = min((wait.after for wait in waiting), default=0)
    while reached < len(told):
        if data.draw(st.booleans(), "restart"):
            reached = noted  # what was read since the last note is read again, by those who still wait
        page = [event for event in told if event.seq > reached][: data.draw(st.integers(1, 6), "page")]
        still = Waiters([wait for wait in waiting if wait.key not in found])
        for wait, event in still.ended_by(page):
            assert wait.key not in found
            found[wait.key] = event.seq
        reached = page[-1].seq
        if data.draw(st.booleans(), "note"):
            noted = reached
    assert found == expected
