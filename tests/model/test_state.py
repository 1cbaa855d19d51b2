"""The tables of states and moves."""

from __future__ import annotations

from typing import get_args

import pytest

from windlass.model.state import RUN_FINAL, RUN_MOVES, TASK_FINAL, TASK_MOVES, RunState, TaskState, may_move

TABLES = [(RUN_MOVES, RUN_FINAL, RunState), (TASK_MOVES, TASK_FINAL, TaskState)]


@pytest.mark.parametrize(("moves", "final", "states"), TABLES, ids=["run", "task"])
def test_every_state_has_a_row_and_every_move_leads_to_a_state(
    moves: dict[str, frozenset[str]], final: frozenset[str], states: object
) -> None:
    assert set(moves) == set(get_args(states))
    assert set().union(*moves.values()) <= set(moves)
    assert final <= set(moves)


@pytest.mark.parametrize(("moves", "final", "states"), TABLES, ids=["run", "task"])
def test_final_states_move_nowhere_and_others_reach_one(
    moves: dict[str, frozenset[str]], final: frozenset[str], states: object
) -> None:
    del states
    assert {state for state, following in moves.items() if not following} == final
    for state in set(moves) - final:
        reached, open_states = {state}, [state]
        while open_states:
            for following in moves[open_states.pop()] - reached:
                reached.add(following)
                open_states.append(following)
        assert reached & final, f"{state} never ends"


@pytest.mark.parametrize("state", sorted(set(TASK_MOVES) - TASK_FINAL))
def test_every_task_that_is_not_final_can_be_cancelled_and_time_out(state: str) -> None:
    assert may_move(TASK_MOVES, state, "cancelled")
    assert may_move(TASK_MOVES, state, "timeout")


@pytest.mark.parametrize("state", sorted(set(RUN_MOVES) - RUN_FINAL))
def test_every_run_that_is_not_final_can_be_cancelled_and_time_out(state: str) -> None:
    assert may_move(RUN_MOVES, state, "cancelled")
    assert may_move(RUN_MOVES, state, "timeout")


def test_nothing_starts_from_a_state_in_which_it_is_not_queued() -> None:
    assert {state for state, following in TASK_MOVES.items() if "running" in following} == {"queued"}
