"""The trees of processes that the supervisor's children grow, and whose tree an orphan belongs to."""

from __future__ import annotations

import os
import time

from windlass.supervisor import procfs
from windlass.supervisor.wire import MARK_VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

_TICKS = os.sysconf("SC_CLK_TCK")
_MARK = MARK_VARIABLE.encode()


class Tree:
    """A child and everything that it starts."""

    __slots__ = ("asked", "killed", "mark", "number", "patience", "pid", "running", "since", "unwanted")

    def __init__(self, number: int, mark: bytes) -> None:
        """Make it just before its process is started, so that nothing in it can be older."""
        self.number = number
        self.mark = mark
        #: In the unit of start times of /proc: clock ticks since the machine's start.
        self.since = int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS)
        self.pid = 0
        #: False once the child itself was reaped.
        self.running = True
        #: True once the whole tree is to end.
        self.unwanted = False
        #: True once it was asked to end by itself.
        self.asked = False
        #: Until when it may end by itself, on the monotonic clock.
        self.patience = 0.0
        #: (pid, start time) of the processes besides the child that were signalled.
        self.killed: set[tuple[int, int]] = set()


class Forest:
    """All trees, and the orphans among the supervisor's children.

    What a tree leaves behind becomes a direct child of the supervisor: when the supervisor has no children but those
    it started, nothing is left of any tree that has ended.
    """

    __slots__ = ("_children", "_owners", "by_number", "by_pid")

    def __init__(self) -> None:
        """Start with no tree."""
        self._children = procfs.Children()
        self._owners: dict[int, int] = {}
        self.by_number: dict[int, Tree] = {}
        #: Only trees whose child itself has not been reaped.
        self.by_pid: dict[int, Tree] = {}

    def add(self, tree: Tree) -> None:
        """Take in a tree whose child was just started."""
        self.by_number[tree.number] = tree
        self.by_pid[tree.pid] = tree

    def reaped(self, pid: int) -> Tree | None:
        """Note that child `pid` is gone; return the tree that it was the first process of."""
        self._owners.pop(pid, None)
        tree = self.by_pid.pop(pid, None)
        if tree:
            tree.running = False
        return tree

    def forget(self, tree: Tree) -> None:
        """Drop a tree of which nothing is left."""
        self.by_number.pop(tree.number, None)

    def orphans(self) -> dict[int, Collection[int]]:
        """Return the children that the supervisor did not start, each with the numbers of the trees it may be of."""
        strange = self._children.pids().difference(self.by_pid)
        return {pid: self._possible_owners(pid) for pid in strange}

    def _possible_owners(self, pid: int) -> Collection[int]:
        """Return the one tree that an orphan is of, or all that it could be of where nothing tells."""
        known = self._owners.get(pid)
        if known is not None:
            return (known,) if known in self.by_number else ()
        one = procfs.process(pid)
        if one is None:
            return ()
        mark = procfs.variable(pid, _MARK)
        for tree in self.by_number.values():
            if one.session == tree.pid or (mark is not None and mark == tree.mark):
                self._owners[pid] = tree.number
                return (tree.number,)
        return [tree.number for tree in self.by_number.values() if tree.since <= one.start]
