"""Globs over paths, followed folder by folder, so that only those are entered in which something can match."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache

State = frozenset[tuple[int, int]]
_ANY_DEPTH = "**"
#: The place of a glob inside of a folder that it has matched itself.
_ALL = -1


class PathGlobs:
    """Some globs: `*`, `?` and `[...]` within a name, `**` for any folders, a folder's name for all in it.

    A name that begins with a dot is matched only by a pattern that does so, or inside of a folder that is named itself.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        """Prepare `globs`. Those that lead out of the folder (`/x`, `../x`) match nothing."""
        self._patterns = [_segments(glob) for glob in globs]

    def start(self) -> State:
        """Return the state at the top."""
        return frozenset((number, 0) for number, pattern in enumerate(self._patterns) if pattern)

    def step(self, state: State, name: str) -> State:
        """Return the state after `name`; empty where nothing matches there or below."""
        after = set()
        for number, place in self._reachable(state):
            pattern = self._patterns[number]
            if place == _ALL:
                after.add((number, _ALL))
            elif place < len(pattern) and pattern[place] != _ANY_DEPTH and _matches(pattern[place], name):
                after.add((number, place + 1))
            elif place < len(pattern) and pattern[place] == _ANY_DEPTH and not name.startswith("."):
                after.add((number, place))
        return frozenset(after)

    def inside(self, state: State) -> State:
        """Return the state inside of a folder: all below it matches where it is matched itself."""
        named = {number for number in self.matching(state) if self._patterns[number][-1] != _ANY_DEPTH}
        return state | {(number, _ALL) for number in named}

    def matching(self, state: State) -> frozenset[int]:
        """Return the numbers of the globs that match what led to `state`."""
        ends = {(number, len(pattern)) for number, pattern in enumerate(self._patterns)}
        return frozenset(one[0] for one in self._reachable(state) if one[1] == _ALL or one in ends)

    def _reachable(self, state: State) -> set[tuple[int, int]]:
        reachable = set(state)
        for number, place in state:
            pattern, reached = self._patterns[number], place
            while 0 <= reached < len(pattern) and pattern[reached] == _ANY_DEPTH:
                reached += 1
                reachable.add((number, reached))
        return reachable


def _segments(glob: str) -> tuple[str, ...]:
    segments = tuple(part for part in glob.split("/") if part not in ("", "."))
    return () if glob.startswith("/") or ".." in segments else segments


def _matches(segment: str, name: str) -> bool:
    if name.startswith(".") and not segment.startswith("."):
        return False
    return _compiled(segment).match(name) is not None


@lru_cache(maxsize=256)
def _compiled(segment: str) -> re.Pattern[str]:
    return re.compile(translate(segment))
