"""Which event ends which wait."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.errors import UserError
from windlass.model.event import EVENT_TYPES
from windlass.model.event_types import read_event_types
from windlass.model.event_wait import EventPattern, EventWait, Happening, Waiters, ends, first_seen, outside_type

ME, OTHER = b"1" * 16, b"2" * 16


def event(type_: str = "deploy.done", **fields: Any) -> Happening:
    """Return an event from outside."""
    said: dict[str, Any] = {"seq": 5, "source": "ci", "project": "default", "run_id": None, "at": 50, "facts": {}}
    return Happening(type=type_, **{**said, **fields})


def wait(pattern: dict[str, Any], **fields: Any) -> EventWait[int]:
    """Return a wait of the run `ME`."""
    said: dict[str, Any] = {"key": 1, "project": "default", "run_id": ME, "after": 0, "until": 100}
    return EventWait(pattern=EventPattern.read(pattern), **{**said, **fields})


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ({"type": "deploy.done"}, True),
        ({"type": "deploy.*"}, True),
        ({"type": "deploy"}, False),
        ({"type": "*", "source": "ci"}, True),
        ({"type": "*", "source": "cd"}, False),
        ({"type": "*", "source": "c*"}, True),
        ({"type": "*", "source": "x*"}, False),
        ({"type": "*", "filter": {"env": "prod"}}, True),
        ({"type": "*", "filter": {"env": "prod", "count": 3, "ok": True}}, True),
        ({"type": "*", "filter": {"env": "test"}}, False),
        ({"type": "*", "filter": {"repo.name": "shop"}}, True),
        ({"type": "*", "filter": {"labels.a.b": "c"}}, True),
        ({"type": "*", "filter": {"repo": "shop"}}, False),
        ({"type": "*", "filter": {"missing": ""}}, False),
        ({"type": "*", "filter": {"env.deeper": "prod"}}, False),
    ],
)
def test_type_source_and_texts_decide(pattern: dict[str, Any], *, fits: bool) -> None:
    facts = {"env": "prod", "count": 3, "ok": True, "repo": {"name": "shop"}, "labels": {"a.b": "c"}}
    told = event(facts=facts)
    assert ends(wait(pattern), told) is fits
    assert bool(Waiters([wait(pattern)]).ended_by([told])) is fits


@pytest.mark.parametrize(
    "fields", [{"seq": 0}, {"at": 101}, {"project": "other"}, {"run_id": ME}], ids=["seen", "late", "project", "own"]
)
def test_what_does_not_count(fields: dict[str, Any]) -> None:
    assert not ends(wait({"type": "*"}), event(**fields))
    assert ends(wait({"type": "*"}), event(run_id=OTHER, at=100))


def test_each_wait_is_ended_once_by_the_first_event_that_fits() -> None:
    waits = [
        wait({"type": "a.*"}, key=1),
        wait({"type": "a.b", "filter": {"x": "1"}}, key=2),
        wait({"type": "c"}, key=3),
    ]
    told = [event("a.b", seq=1), event("a.b", seq=2, facts={"x": 1}), event("a.b", seq=3, facts={"x": 1})]
    assert {one.key: found.seq for one, found in Waiters(waits).ended_by(told)} == {1: 1, 2: 2}


def test_only_types_that_somebody_waits_for_are_read() -> None:
    assert Waiters([wait({"type": "deploy.done"})]).types() == frozenset()
    assert Waiters([wait({"type": "run.completed"}), wait({"type": "run.f*"})]).types() == {
        "run.completed",
        "run.failed",
    }
    assert Waiters([wait({"type": "*"})]).types() is None


def test_a_pattern_reads_as_it_was_written_and_says_itself() -> None:
    said = {"type": "deploy.*", "source": "ci", "filter": {"env": "prod", "ok": "true"}}
    assert EventPattern.read(said).to_json() == said
    assert str(EventPattern.read(said)) == "deploy.* from ci with env=prod, ok=true"
    assert str(EventPattern.read({"type": "x"})) == "x"


def test_a_wait_begins_behind_the_acceptance_and_what_ended_the_waits_before() -> None:
    assert first_seen(10, []) == 10
    assert first_seen(10, [4, 30, 20]) == 30


@pytest.mark.parametrize("name", ["deploy.done", "a", "A/b:c-d_e.f", "runs.done"])
def test_types_that_may_come_from_outside(name: str) -> None:
    assert outside_type(name) is None


@pytest.mark.parametrize("name", ["", ".a", "a b", "a,b", "run.completed", "task.x", "x" * 129, "é"])
def test_types_that_may_not(name: str) -> None:
    assert outside_type(name) is not None


def test_listeners_name_types_of_both_kinds() -> None:
    found = read_event_types(["run.f*", "deploy.*"])
    assert [name for name in (*sorted(EVENT_TYPES), "deploy.done", "x") if name in found] == [
        "run.failed",
        "deploy.done",
    ]
    assert list(found) == ["run.failed", "deploy.*"]
    everything = read_event_types([])
    assert not everything
    assert "anything" in everything
    assert set(EVENT_TYPES) < set(read_event_types(["*"]))
    with pytest.raises(UserError, match=r'"run\.complete"; did you mean "run\.completed"'):
        read_event_types(["run.complete"])


def test_waits_that_are_dropped_are_ended_by_nothing() -> None:
    waits = [wait({"type": "deploy.done"}, key=number) for number in range(10)]
    waiters = Waiters(waits)
    for number in range(10):
        waiters.drop([number, 99])
        found = {one.key for one, _ in waiters.ended_by([event()])}
        assert found == set(range(number + 1, 10)) == set(waiters.keys())
        assert len(waiters) == len(list(waiters)) == len(found)
    waiters.add(waits[:1])
    assert [one.key for one, _ in waiters.ended_by([event()])] == [0]
