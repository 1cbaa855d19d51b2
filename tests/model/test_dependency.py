"""What the end of one run means for another that waits for it."""

from __future__ import annotations

import pytest

from windlass.errors import UserError
from windlass.model.dependency import CONDITIONS, judge, read_condition
from windlass.model.state import RUN_FINAL

pytestmark = pytest.mark.promise("H03")


@pytest.mark.parametrize(
    ("condition", "state", "verdict"),
    [
        ("success", "completed", "met"),
        ("success", "failed", "broken"),
        ("success", "timeout", "broken"),
        ("success", "cancelled", "broken"),
        ("failure", "completed", "not_needed"),
        ("failure", "failed", "met"),
        ("failure", "timeout", "met"),
        ("failure", "cancelled", "not_needed"),
    ],
)
def test_each_condition_judges_each_final_state(condition: str, state: str, verdict: str) -> None:
    assert judge(condition, state) == verdict


def test_always_is_met_by_every_end() -> None:
    assert {judge("always", state) for state in RUN_FINAL} == {"met"}


def test_conditions_are_read_by_name_and_a_wrong_one_names_the_nearest() -> None:
    assert tuple(read_condition(name) for name in CONDITIONS) == CONDITIONS
    with pytest.raises(UserError, match=r'There is no condition "succes"; did you mean "success"\?; one of success'):
        read_condition("succes")
