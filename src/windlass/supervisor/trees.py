"""The trees of processes that the supervisor's children grow, and whose tree an orphan belongs to."""

from __future__ import annotations

import os
import time

from windlass.supervisor import cgroup, procfs, signalling
from windlass.supervisor.wire import MARK_VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from windlass.supervisor.cgroup import Groups

_TICKS = os.sysconf("SC_CLK_TCK")
_MARK = MARK_VARIABLE.encode()


class Tree:
    """A child and everything that it starts."""

    __slots__ = (
        "asked",
        "grouped",
        "killed",
        "mark",
        "number",
        "out_of_memory",
        "patience",
        "pid",
        "running",
        "since",
        "unwanted",
    )

    def __init__(self, number: int, mark: bytes) -> None:
        """Make it just before its process is started, so that nothing in it can be older."""
        self.number = number
        self.mark = mark
        #: In the unit of start times of /proc: clock ticks since the machine's start.
        self.since = int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS)
        self.pid = 0
        #: True where it has a control group of its own.
        self.grouped = False
        #: How many processes had been killed for want of memory before it was started.
        self.out_of_memory = 0
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

    __slots__ = ("_children", "_groups", "_held", "_owners", "by_number", "by_pid", "untouchable")

    def __init__(self, groups: Groups | None) -> None:
        """Start with no tree; `groups` are the children's control groups, where there can be any."""
        self._children = procfs.Children()
        self._groups = groups
        self._held: list[int] = []
        self._owners: dict[int, tuple[int, ...]] = {}
        self.by_number: dict[int, Tree] = {}
        #: Only trees whose child itself has not been reaped.
        self.by_pid: dict[int, Tree] = {}
        #: Children that became somebody else's, so that we may not signal them: nothing waits for their end.
        self.untouchable: set[int] = set()

    def add(self, tree: Tree) -> None:
        """Take in a tree whose child was just started."""
        self.by_number[tree.number] = tree
        self.by_pid[tree.pid] = tree

    def reaped(self, pid: int) -> Tree | None:
        """Note that child `pid` is gone; return the tree that it was the first process of."""
        self._owners.pop(pid, None)
        self.untouchable.discard(pid)
        tree = self.by_pid.pop(pid, None)
        if tree:
            tree.running = False
        return tree

    def forget(self, tree: Tree) -> None:
        """Drop a tree of which nothing is left."""
        self.by_number.pop(tree.number, None)

    def with_mark(self, mark: bytes) -> list[Tree]:
        """Return all trees of one mark."""
        return [tree for tree in self.by_number.values() if tree.mark == mark]

    def orphans(self, *, held: bool = False) -> dict[int, Collection[int]]:
        """Return the children that the supervisor did not start, each with the numbers of the trees it may be of.

        Where they are to be `held`, those not yet known are stopped first, so that none can fork, end and so be gone
        before it was looked at; `release` lets them go on.
        """
        strange = self._children.pids().difference(self.by_pid, self.untouchable)
        if held:
            self._held = [pid for pid in strange if pid not in self._owners and signalling.stop_own_child(pid)]
        return {pid: self._possible_owners(pid) for pid in strange}

    def release(self) -> None:
        """Let those orphans go on that were held; must come before the next reaping, while their numbers are theirs."""
        while self._held:
            signalling.continue_own_child(self._held.pop())

    def vacated(self, tree: Tree) -> bool:
        """Remove the control group of a tree without known processes; return False where it still holds one."""
        if tree.grouped and self._groups and not self._groups.vacate(tree.number):
            return False
        tree.grouped = False
        return True

    def grouped_pids(self, tree: Tree) -> set[int]:
        """Return the processes in a tree's control group."""
        if not tree.grouped or not self._groups:
            return set()
        self._groups.leave(tree.number)
        return cgroup.pids_in(self._groups.of(tree.number))

    def kill_group(self, tree: Tree) -> None:
        """Kill all of a tree's control group in one stroke, where that can be done."""
        if tree.grouped and self._groups:
            self._groups.leave(tree.number)
            cgroup.kill_all_in(self._groups.of(tree.number))

    def _possible_owners(self, pid: int) -> Collection[int]:
        """Return the tree that an orphan is of, or all that it could be of where nothing tells."""
        known = self._owners.get(pid)
        if known is None:
            one = procfs.process(pid)
            if one is None:
                return ()
            known = self._owners_by_sign(pid, one.session)
            if not known:
                return [tree.number for tree in self.by_number.values() if tree.since <= one.start]
            self._owners[pid] = known
        return [number for number in known if number in self.by_number]

    def _owners_by_sign(self, pid: int, session: int) -> tuple[int, ...]:
        """Return whose control group, session or mark a process has."""
        if self._groups:
            number = self._groups.number_of(pid)
            if number is not None:
                return (number,)
        for tree in self.by_number.values():
            if tree.pid == session:
                return (tree.number,)
        mark = procfs.variable(pid, _MARK)
        return tuple(tree.number for tree in self.with_mark(mark)) if mark is not None else ()
