"""What the end of one run means for another that waits for it."""

from __future__ import annotations

from typing import Final, Literal

from windlass.errors import UserError
from windlass.model.did_you_mean import suggestion

Condition = Literal["success", "always", "failure"]
#: `met`: it need not be waited for any more; `broken`: the waiting run fails; `not_needed`: the waiting run was there
#: for the case of a failure, which did not come.
Verdict = Literal["met", "broken", "not_needed"]

CONDITIONS: Final[tuple[Condition, ...]] = ("success", "always", "failure")
_FAILURES: Final = frozenset({"failed", "timeout"})


def judge(condition: str, state: str) -> Verdict:
    """Say what the final state of a run means for one that waits for it on a condition.

    A run that was cancelled has neither succeeded nor failed.
    """
    if condition == "always":
        return "met"
    if condition == "failure":
        return "met" if state in _FAILURES else "not_needed"
    return "met" if state == "completed" else "broken"


def read_condition(text: str) -> Condition:
    """Return a condition by its name. Raises UserError where there is none of that name."""
    for condition in CONDITIONS:
        if condition == text:
            return condition
    known = ", ".join(CONDITIONS)
    raise UserError(f'There is no condition "{text[:40]}"{suggestion(text, CONDITIONS)}; one of {known} is meant.')
