"""What the end of an attempt makes of its task."""

from __future__ import annotations

import pytest

from windlass.model.definition import Retry, Step
from windlass.model.ending import WORKER_STOPPED, Circumstances, Ending, decide_ending, losses_in_row
from windlass.model.outcome import Cancelled, Completed, Failed, Outcome, Skipped, TimedOut, Waiting
from windlass.model.state import TASK_MOVES

EXIT = Failed("exit", "it ended with exit code 1", 1)
LOST = Failed("lost", "its worker is gone")
OUTCOMES: list[Outcome] = [Completed(), EXIT, LOST, TimedOut(5), Cancelled(), Skipped("no"), Waiting(10, "later")]
STOPS = [None, "cancel", "timeout", "fail_fast"]


def end(outcome: Outcome, *, attempts: int = 1, losses: int = 0, stop: str | None = None, **step: object) -> Ending:
    facts = Circumstances(attempts=attempts, losses_in_row=losses, stop=stop, chance=0.5)
    return decide_ending(Step(name="a", type="fake", **step), outcome, facts)  # type: ignore[arg-type]


RETRY = Retry(attempts=3, delay=10, jitter=False, on=("exit", "timeout"))


def test_done_is_done_even_where_it_was_asked_to_stop() -> None:
    assert end(Completed()) == Ending("completed", "completed")
    assert end(Completed(), stop="cancel") == Ending("completed", "completed")


def test_a_failure_ends_the_task_with_its_reason() -> None:
    assert end(EXIT) == Ending("failed", "failed", "exit", message=EXIT.message)
    named = Failed("expression", "no such name", reason="expression_error")
    assert end(named) == Ending("failed", "failed", "expression_error", message="no such name")


def test_an_allowed_failure_is_marked() -> None:
    assert end(EXIT, allow_failure=True).allowed
    assert end(TimedOut(5), allow_failure=True).allowed
    assert end(LOST, allow_failure=True, losses=1).allowed


@pytest.mark.promise("H06")
def test_a_timeout_is_its_own_state_and_says_how_long_was_allowed() -> None:
    ending = end(TimedOut(90))
    assert (ending.attempt, ending.state, ending.reason) == ("timeout", "timeout", "timeout")
    assert ending.message == "It ran longer than its timeout of 90 s and was stopped."


@pytest.mark.promise("H05")
def test_a_retry_schedules_the_task_and_keeps_the_reason() -> None:
    ending = end(EXIT, attempts=2, retry=RETRY, allow_failure=True)
    assert ending == Ending("failed", "scheduled", "exit", delay=20, message=EXIT.message)
    assert end(TimedOut(5), retry=RETRY) == Ending(
        "timeout", "scheduled", "timeout", delay=10, message="It ran longer than its timeout of 5 s and was stopped."
    )
    assert end(EXIT, attempts=3, retry=RETRY).state == "failed"


@pytest.mark.parametrize("stop", STOPS[1:])
def test_what_is_asked_to_stop_is_not_retried(stop: str) -> None:
    assert end(EXIT, retry=RETRY, stop=stop).state == "failed"
    assert end(LOST, losses=1, on_worker_lost="retry", stop=stop).state != "scheduled"


@pytest.mark.promise("H11")
def test_a_stopped_attempt_says_why_it_was_stopped() -> None:
    assert end(Cancelled(), stop="cancel") == Ending("cancelled", "cancelled", "cancelled")
    assert end(Cancelled(), stop="fail_fast") == Ending("cancelled", "cancelled", "fail_fast")
    assert end(Cancelled(), stop="timeout") == Ending("timeout", "timeout", "run_deadline")
    assert end(Cancelled(), stop="timeout", allow_failure=True).allowed


def test_a_cancel_that_nobody_asked_for_is_a_failure() -> None:
    ending = end(Cancelled())
    assert (ending.attempt, ending.state, ending.reason) == ("failed", "failed", "error")
    assert ending.message


def test_a_lost_worker_fails_its_task_unless_the_step_says_otherwise() -> None:
    assert end(LOST, losses=1) == Ending("lost", "failed", "worker_lost", message=LOST.message)
    assert end(LOST, losses=1, retry=Retry(attempts=9, on=("error", "exit"))).state == "failed"
    again = Ending("lost", "scheduled", "worker_lost", delay=0, message=LOST.message)
    assert end(LOST, losses=1, on_worker_lost="retry") == again


def test_a_loss_does_not_use_up_attempts() -> None:
    assert end(LOST, attempts=0, losses=1, on_worker_lost="retry").state == "scheduled"
    assert end(LOST, attempts=99, losses=1, on_worker_lost="retry").state == "scheduled"


def test_only_losses_that_the_step_may_have_caused_count() -> None:
    stopped = Failed("lost", "stopped", reason=WORKER_STOPPED)
    assert [losses_in_row(2, one) for one in (LOST, stopped, Completed(), Failed("exit", "no", 1))] == [3, 2, 0, 0]
    assert end(stopped, losses=2, on_worker_lost="retry").state == "scheduled"


def test_three_losses_in_a_row_set_the_task_aside() -> None:
    states = [end(LOST, losses=losses, on_worker_lost="retry").state for losses in (1, 2, 3, 4)]
    assert states == ["scheduled", "scheduled", "failed", "failed"]
    assert end(LOST, losses=3, on_worker_lost="retry").reason == "quarantined"
    assert end(LOST, losses=3, on_worker_lost="retry", allow_failure=True).allowed


def test_a_loss_during_a_stop_ends_as_the_stop_says() -> None:
    assert end(LOST, losses=1, stop="cancel") == Ending("lost", "cancelled", "cancelled")
    assert end(LOST, losses=1, stop="timeout") == Ending("lost", "timeout", "run_deadline")


def test_a_wait_gives_the_slot_back_unless_the_run_stops() -> None:
    assert end(Waiting(10, "until ten")) == Ending("rescheduled", "waiting", "until ten")
    assert end(Waiting(10, "until ten"), stop="cancel").state == "cancelled"


def test_nothing_to_do_is_a_skip_without_an_attempt() -> None:
    assert end(Skipped("when: false")) == Ending(None, "skipped", "when: false")


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("lost", ["fail", "retry"])
def test_every_end_is_a_move_that_a_running_task_may_make(outcome: Outcome, stop: str | None, lost: str) -> None:
    ending = end(outcome, stop=stop, losses=int(outcome is LOST), retry=RETRY, on_worker_lost=lost)
    assert ending.state in TASK_MOVES["running"]
    assert (ending.delay is not None) == (ending.state == "scheduled")
