"""Which tasks a run has: one for a step, or one for each cell of its matrix."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from windlass.errors import ExpressionError, LimitExceeded, UserError
from windlass.model.definition import Job, Step
from windlass.model.graph import TaskLayout, layout_of

#: Cells are not counted further.
_UNCOUNTED: Final = 10**12
#: How many times the limit of one step all steps of a run may have together.
_OF_A_RUN: Final = 10
#: Characters of the longest key of a cell: it stands in the queue and in every list of tasks.
_LONGEST_KEY: Final = 1000


@dataclass(frozen=True, slots=True)
class Cell:
    """One task of a fanned-out step: its key and the values behind `matrix`."""

    key: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expansion:
    """The cells of each step of a run; a step without fan-out has None."""

    cells: tuple[tuple[Cell, ...] | None, ...]

    def layout(self) -> TaskLayout:
        """Return which tasks stand for which step; a matrix without cells still has one task, which is skipped."""
        return layout_of([1 if cells is None else max(len(cells), 1) for cells in self.cells])

    def to_json(self) -> list[list[Any] | None]:
        """Return the form that is kept with the run: for each step None or `[[key, values], ...]`."""
        return [None if cells is None else [[cell.key, dict(cell.values)] for cell in cells] for cells in self.cells]

    @staticmethod
    def from_json(kept: Sequence[Sequence[Any] | None]) -> Expansion:
        """Return what `to_json` kept."""
        return Expansion(
            tuple(None if cells is None else tuple(Cell(key, values) for key, values in cells) for cells in kept)
        )


def fans_out(job: Job) -> bool:
    """Say whether any step may make other than one task."""
    return any(step.matrix is not None for step in job.steps)


def expand_job(job: Job, evaluate: Callable[[str], Any], *, limit: int) -> Expansion:
    """Return the cells of every step; `evaluate` gives the value of an axis that is an expression.

    Raises UserError where an axis is no list, LimitExceeded where a step has more than `limit` cells, all of them more
    than ten times as many, or one of them a key that is too long.
    """
    expanded: list[tuple[Cell, ...] | None] = []
    total = 0
    for step in job.steps:
        cells = None if step.matrix is None else _cells(step, step.matrix, evaluate, limit)
        expanded.append(cells)
        total += len(cells or ())
        if total > limit * _OF_A_RUN:
            raise LimitExceeded("Tasks of all matrices of a run", total, limit * _OF_A_RUN)
    return Expansion(tuple(expanded))


def _cells(step: Step, matrix: Mapping[str, Any], evaluate: Callable[[str], Any], limit: int) -> tuple[Cell, ...]:
    axes: dict[str, list[Any]] = {}
    count = 1
    for name, written in matrix.items():
        try:
            values = evaluate(written) if isinstance(written, str) else written
        except ExpressionError as error:
            raise UserError(f'Step "{step.name}": matrix.{name}: {error}.') from error
        if not isinstance(values, list):
            raise UserError(f'Step "{step.name}": matrix.{name} must be a list, and its expression gives none.')
        axes[name] = values
        count = min(count * len(values), _UNCOUNTED)
    if count > limit:
        raise LimitExceeded(f'Tasks of step "{step.name}"', count, limit)
    texts = [[_text(value) for value in values] for values in axes.values()]
    longest = sum(max(map(len, column), default=0) + 1 for column in texts) - 1
    if longest > _LONGEST_KEY:
        raise LimitExceeded(f'Characters of the longest cell of step "{step.name}"', longest, _LONGEST_KEY)
    cells = [
        Cell(",".join(key), dict(zip(axes, values, strict=True)))
        for key, values in zip(itertools.product(*texts), itertools.product(*axes.values()), strict=True)
    ]
    keys = {cell.key for cell in cells}
    if len(keys) < len(cells):
        raise UserError(f'Step "{step.name}": two cells of its matrix are the same; each must differ from the others.')
    return tuple(cells)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
