"""Tasks that were lost twice in a row run beside none that was lost; all others as they come."""

from __future__ import annotations

import pytest

from windlass.model.alone import LIMIT, needs_of, room_beside
from windlass.model.dispatch import choose

pytestmark = pytest.mark.promise("H05")


@pytest.mark.parametrize(
    ("held", "ready", "taken"),
    [
        ([], [0, 0, 0], [0, 1, 2]),
        ([], [1, 1, 0, 1], [0, 1, 2, 3]),
        ([], [2, 2, 0, 1], [0, 2]),
        ([], [1, 2, 1, 0], [0, 3]),
        ([2], [2, 1, 0], [2]),
        ([1, 1], [2, 1, 0], [2]),
        ([1, 1], [1, 2, 0], [0, 2]),
        ([5], [0], [0]),
        ([2, 2, 1], [1, 0], [1]),
    ],
)
def test_who_runs_beside_whom(held: list[int], ready: list[int], taken: list[int]) -> None:
    tasks = [(number, needs_of(losses)) for number, losses in enumerate(ready)]
    assert choose(tasks, 9, {LIMIT: room_beside(held)}).tasks == taken
