"""Which versions of what workers and servers say to each other this program speaks.

A change that the other side may not know gets the next number, and both are spoken for one version of Windlass, so that
servers and workers can be brought up to date one by one, in any order. What a worker says when it joins never changes.
"""

from __future__ import annotations

from typing import Final

from windlass.errors import Conflict

#: The oldest and the newest one.
SPOKEN: Final = (1, 1)


def common_protocol(theirs: tuple[int, int]) -> int:
    """Return the newest version that both sides speak; `theirs` are a worker's oldest and newest.

    Raises Conflict where there is none.
    """
    oldest, newest = max(SPOKEN[0], theirs[0]), min(SPOKEN[1], theirs[1])
    if oldest <= newest:
        return newest
    late = "worker" if theirs[1] < SPOKEN[0] else "server"
    raise Conflict(
        f"This worker speaks version {_range(theirs)} of the protocol of workers and this server version "
        f"{_range(SPOKEN)}: bring the {late} up to date."
    )


def _range(versions: tuple[int, int]) -> str:
    first, last = versions
    return str(first) if first == last else f"{first} to {last}"
