"""How a worker shares the connections of a database with all the others that work on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Connections that a worker has where there is room: for changes, for its heartbeat, for hints; and a server's.
_OF_WORKER: Final = 3
#: The part of the database's connections that workers may keep while they need none.
_KEPT: Final = 0.6
#: The part of them that may stay open for hints where not every worker can have one.
_LISTENING: Final = 0.125
#: Seconds for which a connection is kept: longer than a heartbeat comes; and only between two looks of a busy worker.
_LONG: Final = 20.0
_SHORT: Final = 0.1
#: Seconds between two looks at the queue of a worker that hears of what is new, and of one that does not.
_LOOK: Final = 1.0
_RARELY: Final = 5.0
#: Looks a second of all workers together, where there are so many that they would keep the database busy.
_LOOKS: Final = 20.0
#: Longest time between two looks: that a run waits for a worker is to be seen as such.
_LONGEST: Final = 30.0


@dataclass(frozen=True, slots=True)
class Thrift:
    """What one worker keeps, and how often it looks."""

    #: Seconds for which it keeps a connection that it does not need.
    linger: float
    #: True where it has one for hints.
    listens: bool
    #: Seconds between two looks at the queue.
    poll: float


#: What is kept where there is room for everybody, and by one who does not know yet.
PLENTY: Final = Thrift(_LONG, listens=True, poll=_LOOK)
UNKNOWN: Final = Thrift(_SHORT, listens=False, poll=_LOOK)


def thrift(room: int | None, workers: int, before: int) -> Thrift:
    """Return what a worker may keep where `room` connections are there for all; None: nothing bounds them.

    `workers` live, `before` of them joined before it: the first hear of new work at once and take it, the others look
    for it now and then.
    """
    if room is None or workers * _OF_WORKER <= room * _KEPT:
        return PLENTY
    poll = min(_LONGEST, max(_RARELY, workers / _LOOKS))
    return Thrift(_SHORT, listens=_may_listen(room, before), poll=poll)


def beginning(room: int | None, before: int) -> Thrift:
    """Return what a worker may keep that has just begun and sees plenty: others may begin as well."""
    return Thrift(_SHORT, listens=_may_listen(room, before), poll=_LOOK)


def _may_listen(room: int | None, before: int) -> bool:
    return room is None or before < room * _LISTENING
