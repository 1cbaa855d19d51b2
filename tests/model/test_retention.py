"""Which rule a run is under: the first that covers it, by project, job, state and partition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.model.retention import FinalRun, RetentionRule, rule_of

pytestmark = pytest.mark.promise("K06")
JOBS = [b"a" * 16, b"b" * 16]
STATES = ["completed", "failed", "cancelled"]
PARTITIONS = [None, "hot", "cold"]

RUNS = st.builds(
    FinalRun,
    id=st.just(b"1" * 16),
    project=st.sampled_from(["p", "q"]),
    job_id=st.sampled_from(JOBS),
    state=st.sampled_from(STATES),
    partition=st.sampled_from(PARTITIONS),
    finished_at=st.just(0),
)
RULES = st.builds(
    RetentionRule,
    name=st.just("rule"),
    min_age=st.just(1),
    project=st.sampled_from([None, "p", "q"]),
    jobs=st.none() | st.frozensets(st.sampled_from(JOBS)),
    states=st.frozensets(st.sampled_from(STATES)),
    partition=st.sampled_from(PARTITIONS),
)


def run(**fields: object) -> FinalRun:
    values = {
        "id": b"1",
        "project": "p",
        "job_id": JOBS[0],
        "state": "completed",
        "partition": "cold",
        "finished_at": 0,
    }
    return FinalRun(**(values | fields))  # type: ignore[arg-type]


def test_each_field_that_a_rule_names_must_fit() -> None:
    rule = RetentionRule(
        name="r", min_age=1, project="p", jobs=frozenset(JOBS[:1]), states=frozenset({"completed"}), partition="cold"
    )
    assert rule.covers(run())
    others = ({"project": "q"}, {"job_id": JOBS[1]}, {"state": "failed"}, {"partition": "hot"}, {"partition": None})
    assert not any(rule.covers(run(**other)) for other in others)
    assert RetentionRule(name="all", min_age=1).covers(run(partition=None))


@given(st.lists(RULES, max_size=6), RUNS)
def test_a_run_is_under_the_first_rule_that_covers_it_and_no_other(rules: list[RetentionRule], one: FinalRun) -> None:
    found = rule_of(rules, one)
    covering = [rule for rule in rules if rule.covers(one)]
    assert found is (covering[0] if covering else None)
    assert rule_of([*rules, RetentionRule(name="own", min_age=1)], one) is not None
