"""Which steps come before which: many questions about one graph, answered without walking it again for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from windlass.model.expressions.paths import spelling


class StepOrder:
    """The steps of a job by name with their direct predecessors; names that are no steps and cycles may be among them.

    A question costs nothing after the first: for that the ancestors of all steps are gathered, as bits of one number
    a step, which takes 50 MB at 20,000 steps in a row.
    """

    def __init__(self, predecessors: Mapping[str, Sequence[str]]) -> None:
        """Take the direct predecessors of each step."""
        self.predecessors = predecessors

    def named(self, name: str) -> str | None:
        """Return the step that `name` means, `load_eu` for `load-eu` too; None where there is none."""
        return name if name in self.predecessors else self._spellings.get(spelling(name))

    def comes_before(self, name: str, step: str) -> bool:
        """Say whether the step `name` is a predecessor of `step`, direct or not; behind a cycle every step is one."""
        if name in self.predecessors.get(step, ()):
            return True
        bits = self._ancestors.get(step)
        return bits is None or bool(bits >> self._numbers[name] & 1)

    @cached_property
    def _spellings(self) -> dict[str, str]:
        return {spelling(name): name for name in reversed([*self.predecessors])}

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Numbers of the steps, so that a step in no cycle has a higher one than all that come before it."""
        return {name: number for number, name in enumerate((*self._order, *self.predecessors.keys() - {*self._order}))}

    @cached_property
    def _order(self) -> list[str]:
        """Return the steps that wait for no cycle, predecessors first."""
        waiting = dict.fromkeys(self.predecessors, 0)
        following: dict[str, list[str]] = {name: [] for name in self.predecessors}
        for name, before in self.predecessors.items():
            for one in before:
                if one in following:
                    following[one].append(name)
                    waiting[name] += 1
        order = [name for name, count in waiting.items() if count == 0]
        for name in order:  # it grows on the way
            for after in following[name]:
                waiting[after] -= 1
                if waiting[after] == 0:
                    order.append(after)
        return order

    @cached_property
    def _ancestors(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for name in self._order:
            bits = 0
            for one in self.predecessors[name]:
                if one in found:
                    bits |= found[one] | 1 << self._numbers[one]
            found[name] = bits
        return found
