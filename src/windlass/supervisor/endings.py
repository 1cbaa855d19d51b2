"""End whole trees: ask, wait, kill, and look again until nothing is left."""

from __future__ import annotations

import signal
import time

from windlass.supervisor import procfs, signalling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from windlass.supervisor.trees import Forest, Tree

#: Seconds between two rounds of killing: it starts short and grows while somebody does not die.
_FIRST_ROUND, _LAST_ROUND = 0.01, 0.5
#: The pause before a round that tells that some rounds were in vain.
_IN_VAIN = 0.05
#: Seconds; more than some weeks would be more than the kernel's interface can say.
_LONGEST_SLEEP = 86400.0


class Endings:
    """The trees of a forest that are to end, and the orphans that are nobody's."""

    __slots__ = ("_forest", "_next_round", "_pause", "everything", "restless")

    def __init__(self, forest: Forest) -> None:
        """Start with nothing to end."""
        self._forest = forest
        self._pause = _FIRST_ROUND
        self._next_round = 0.0
        #: True once nothing at all may live on.
        self.everything = False
        #: True while somebody is to end, so that `advance` has to be called by time as well as by events.
        self.restless = False

    def reject(self, tree: Tree, grace: float) -> None:
        """Let a tree end: at once, or after `grace` seconds of its own time."""
        until = time.monotonic() + grace
        tree.patience = min(tree.patience, until) if tree.unwanted else until
        tree.unwanted = self.restless = True
        self._pause, self._next_round = _FIRST_ROUND, 0.0

    def reject_everything(self) -> None:
        """Let all trees and orphans end at once."""
        self.everything = self.restless = True
        for tree in self._forest.by_number.values():
            self.reject(tree, 0.0)

    @property
    def laborious(self) -> bool:
        """True after some rounds in vain: somebody forks faster than we look."""
        return self.restless and self._pause > _IN_VAIN

    def advance(self, owners: dict[int, Collection[int]]) -> list[Tree]:
        """Bring what is to end nearer to it; return the trees of which nothing is left.

        `owners` are the orphans, each with the numbers of the trees that it may be of.
        """
        roots, strays = self._roots(owners)
        ended: list[Tree] = []
        waiting: list[Tree] = []
        for tree in [tree for tree in self._forest.by_number.values() if tree.unwanted]:
            gone = tree.number not in roots and self._forest.vacated(tree)
            (ended if gone else waiting).append(tree)
        for tree in ended:
            self._forest.forget(tree)
        self.restless = self.everything or bool(waiting or strays)
        now = time.monotonic()
        due = [tree for tree in waiting if not tree.asked or tree.patience <= now]
        if now >= self._next_round and (due or strays):
            self._signal(due, roots, strays, now)
        return ended

    def timeout(self) -> float:
        """Return seconds until `advance` has something to do even if nothing happens; -1 is for ever."""
        if not self.restless:
            return -1
        now = time.monotonic()
        patience = min((tree.patience for tree in self._forest.by_number.values() if tree.unwanted), default=now)
        return min(max(0.0, max(patience, self._next_round) - now), _LONGEST_SLEEP)

    def _roots(self, owners: dict[int, Collection[int]]) -> tuple[dict[int, list[int]], list[int]]:
        """Return where to begin with each tree, by number, and the orphans that can be nobody's who is wanted."""
        roots = {tree.number: [pid] for pid, tree in self._forest.by_pid.items() if pid not in self._forest.untouchable}
        strays: list[int] = []
        for pid, numbers in owners.items():
            if self.everything or all(self._forest.by_number[number].unwanted for number in numbers):
                for number in numbers:
                    roots.setdefault(number, []).append(pid)
                if not numbers:
                    strays.append(pid)
        return roots, strays

    def _signal(self, due: list[Tree], roots: dict[int, list[int]], strays: list[int], now: float) -> None:
        """Ask or kill all of some trees, and kill strays."""
        table = procfs.processes()
        refused: set[int] = set()
        for tree in due:
            kills = tree.asked or tree.patience <= now
            tree.asked = True
            everybody = self._forest.grouped_pids(tree).union(roots.get(tree.number, ()))
            reached = signalling.send_all(everybody, signal.SIGKILL if kills else signal.SIGTERM, table, refused)
            if kills:
                self._forest.kill_group(tree)
            tree.killed.update((one.pid, one.start) for one in reached if one.pid != tree.pid)
        signalling.send_all(strays, signal.SIGKILL, table, refused)
        self._forest.untouchable |= refused
        self._next_round = now + self._pause
        self._pause = min(2 * self._pause, _LAST_ROUND)
